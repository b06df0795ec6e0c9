"""The converted graph as ExecuTorch's lowering to XNNPACK understands it; every rewrite keeps the values."""

from __future__ import annotations

from typing import Any, Final

from torch import fx

from edgerift.deploy.program._grid import is_dequantize
from edgerift.deploy.program._layers import regions_of
from edgerift.deploy.program._operators import ADD, MULTIPLY, RELU, SUBTRACT, operator_name
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._regions import Region
from edgerift.deploy.program._separation import separate_grids
from edgerift.deploy.program._spelling import runtime_form
from edgerift.errors import BuildError

_PAD: Final = "aten.pad.default"


def executorch_graph(program: Program) -> fx.GraphModule:
    """Rewrite a program for ExecuTorch; the module is bit-equal to the program.

    Raises :class:`~edgerift.errors.BuildError` for a padding that would fix the batch size.
    """
    module = runtime_form(program)
    graph = module.graph
    for node in graph.nodes:
        if node.op == "call_function" and operator_name(node.target) == _PAD and "circular" in node.args:
            raise BuildError(
                f"ExecuTorch fixes the batch size of a circular padding (node '{node.name}'); write it as a "
                "concatenation of slices, as adapting does, or choose another runtime"
            )
    for region in regions_of(graph).values():
        if region.activation is not None and not _is_fused(region):
            _clamp_levels(graph, region)
    separate_grids(module)
    for node in list(graph.nodes):
        if is_dequantize(node):
            _give_each_reader_its_own(graph, node)
    graph.lint()
    module.recompile()
    return module


def _is_fused(region: Region) -> bool:
    """Return whether XNNPACK has an integer kernel for an operator together with its activation."""
    if region.name == ADD:
        return region.activation is not None and operator_name(region.activation.target) == RELU
    return region.name not in (SUBTRACT, MULTIPLY)


def _clamp_levels(graph: fx.Graph, region: Region) -> None:
    """Round first and clamp then: on one grid both orders give the same level."""
    activation: Any = region.activation
    quantize: Any = region.quantize
    dequantize: Any = next(iter(quantize.users))
    activation.replace_all_uses_with(region.operator)
    with graph.inserting_after(dequantize):
        real = graph.node_copy(dequantize)
    with graph.inserting_after(real):
        clamped = graph.call_function(activation.target, (real, *activation.args[1:]))
    with graph.inserting_after(clamped):
        again = graph.call_function(quantize.target, (clamped, *quantize.args[1:]))
    quantize.replace_all_uses_with(again, delete_user_cb=lambda user: user is not real)
    dequantize.update_arg(0, again)
    again.append(dequantize)
    graph.erase_node(activation)


def _give_each_reader_its_own(graph: fx.Graph, dequantize: fx.Node) -> None:
    """Copy a dequantization for each reader, since the lowering consumes it with the first one's kernel."""
    for reader in list(dequantize.users)[1:]:
        with graph.inserting_before(reader):
            reader.replace_input_with(dequantize, graph.node_copy(dequantize))
