"""A canonical form of graphs, so that operator matching sees all arguments.

A matcher reads positional arguments. Keyword arguments, or forms that a runtime does not read, would be dropped
silently; so they are made positional first, and a remaining keyword has a meaning that no plain operator has.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

from edgerift.deploy.program._grid import is_dequantize, is_quantize
from edgerift.deploy.program._norms import NORMS, spell_norm
from edgerift.deploy.program._operators import ADAPTIVE_MAXIMUM, ADD, DEQUANTIZE_CHANNELS, SUBTRACT, operator_name
from edgerift.deploy.program._program import Program
from edgerift.errors import ProgramError
from edgerift.images import ImageShape

_CLAMP: Final = "aten.clamp.default"
_CLAMP_BELOW: Final = "aten.clamp_min.default"


def read_program(program: Program) -> fx.GraphModule:
    """Build a program's converted graph with each argument in its place; see :func:`spell_arguments`."""
    module = program.module()
    spell_arguments(module.graph)
    return module


def runtime_form(program: Program) -> fx.GraphModule:
    """Build a program's converted graph as integer runtimes read it, with the values it has.

    Every clamp is a hardtanh, a factor `alpha` of an addition or a subtraction is a multiplication before it, an
    adaptive maximum over equal windows is a maximum over windows, and a layer or group normalisation is written in
    operators that all runtimes compute alike. The shapes for two images are noted in
    `node.meta["tensor_meta"]`.
    """
    module = read_program(program)
    note_shapes(module, program.shape)
    for node in list(module.graph.nodes):
        if node.op != "call_function":
            continue
        name = operator_name(node.target)
        if name in (_CLAMP, _CLAMP_BELOW):
            _spell_clamp(node)
        elif name in (ADD, SUBTRACT) and "alpha" in node.kwargs:
            _spell_factor(node)
        elif name == ADAPTIVE_MAXIMUM:
            _spell_maximum(node)
        elif name in NORMS:
            spell_norm(module, node)
    module.graph.eliminate_dead_code()
    return module


def note_shapes(module: fx.GraphModule, shape: ImageShape) -> None:
    """Note every node's shape for two images of that shape in `node.meta["tensor_meta"]`."""
    with torch.no_grad():
        ShapeProp(module).propagate(torch.zeros(2, *shape))


def shape_of(node: Any) -> torch.Size:
    """The shape of a node's value for two images, noted before."""
    shape: torch.Size = node.meta["tensor_meta"].shape
    return shape


def spell_arguments(graph: fx.Graph) -> None:
    """Move arguments given by name to their place, drop those that say the default, write lists in their full length.

    Raises :class:`~edgerift.errors.ProgramError` for a quantization that rounds to or from another type than float32.
    """
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op != "call_function" or schema is None:
            continue
        _place_arguments(node, schema.arguments)
        is_quantization = is_quantize(node) or is_dequantize(node) or operator_name(node.target) == DEQUANTIZE_CHANNELS
        if is_quantization and node.kwargs:
            keyword, value = next(iter(node.kwargs.items()))
            raise ProgramError(f"node '{node.name}' quantizes with {keyword}={value}; only float32 is understood")


def _place_arguments(node: fx.Node, known: list[Any]) -> None:
    keywords: dict[str, Any] = dict(node.kwargs)
    places = [argument for argument in known if not argument.kwarg_only]
    values: list[Any] = list(node.args)
    named = [index for index, argument in enumerate(places) if index >= len(values) and argument.name in keywords]
    if named:
        later = places[len(values) : named[-1] + 1]
        values += [keywords.pop(argument.name, argument.default_value) for argument in later]
    for argument in known:
        default = torch.float32 if argument.name == "out_dtype" else argument.default_value
        if argument.name in keywords and keywords[argument.name] in (default, argument.default_value):
            del keywords[argument.name]
    node.args = tuple(_in_full(value, argument.N) for value, argument in zip(values, places, strict=False))
    node.kwargs = keywords


def _in_full(value: Any, length: int | None) -> Any:
    """Repeat a number that stands for `length` equal ones."""
    if length is None or (isinstance(value, (list, tuple)) and len(value) != 1) or value is None:
        return value
    (number,) = value if isinstance(value, (list, tuple)) else [value]
    return [number] * length


def _spell_clamp(node: fx.Node) -> None:
    source, *bounds = node.args
    low, high = (*bounds, None, None)[:2]
    if isinstance(low, fx.Node) or isinstance(high, fx.Node):
        return
    low = float("-inf") if low is None else low
    high = float("inf") if high is None else high
    _replace(node, torch.ops.aten.hardtanh.default, (source, low, high))


def _spell_factor(node: fx.Node) -> None:
    keywords = dict(node.kwargs)
    factor = keywords.pop("alpha")
    first, second = node.args
    with node.graph.inserting_before(node):
        scaled = node.graph.call_function(torch.ops.aten.mul.Tensor, (second, factor))
    scaled.meta = dict(getattr(second, "meta", {}))
    node.args, node.kwargs = (first, scaled), keywords


def _spell_maximum(node: fx.Node) -> None:
    """Write an adaptive maximum as one over windows, where all windows are equal and the indices are unused."""
    source: Any = node.args[0]
    extent: Any = node.args[1]
    lengths = list(zip(shape_of(source)[-2:], extent, strict=True))
    readers: list[Any] = list(node.users)
    if any(operator_name(reader.target) != "operator.getitem" or reader.args[1] != 0 for reader in readers):
        return
    if any(length % parts for length, parts in lengths):
        return
    window = [length // parts for length, parts in lengths]
    with node.graph.inserting_before(node):
        pooled = node.graph.call_function(torch.ops.aten.max_pool2d.default, (source, window, window))
    for value in readers:
        pooled.meta = dict(value.meta)
        value.replace_all_uses_with(pooled)
        node.graph.erase_node(value)
    node.graph.erase_node(node)


def _replace(node: fx.Node, target: Any, arguments: tuple[Any, ...]) -> None:
    node.target, node.args, node.kwargs = target, arguments, {}
