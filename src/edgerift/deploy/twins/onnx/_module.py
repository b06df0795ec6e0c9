"""From an ONNX graph to a module."""

from __future__ import annotations

from typing import Any

from torch import fx

from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Levels, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxGraph, OnnxNode, TensorDescription

_INTEGER_INPUTS = {"uint8": (0, 255), "int8": (-128, 127)}
_FLOAT_INPUTS = ("float", "float16", "double")


def translated(graph: OnnxGraph, output: str) -> Body:
    """Translate a graph with one input: a module from that input to one of its outputs.

    The input is float32 and holds whole numbers where the graph takes integers; so does an output of integers. Raises
    :class:`UntranslatedError` for what has no translation.
    """
    if len(graph.inputs) != 1:
        named = ", ".join(value.name for value in graph.inputs) or "none"
        raise UntranslatedError(f"the model has {len(graph.inputs)} inputs ({named}); one image is what can be given")
    builder = Builder(graph)
    builder.values[graph.inputs[0].name] = _entering(builder, graph.inputs[0])
    for node in graph.nodes:
        _append(builder, node)
    builder.graph.output(_leaving(builder, output))
    return Body(builder.root, builder.graph)


def _entering(builder: Builder, described: TensorDescription) -> Value:
    node = builder.graph.placeholder("images")
    if described.dtype in _INTEGER_INPUTS:
        return Levels(node, 0, *_INTEGER_INPUTS[described.dtype])
    if described.dtype not in _FLOAT_INPUTS:
        raise UntranslatedError(f"the model takes {described.dtype}; float32, uint8 and int8 are translated")
    return node


def _append(builder: Builder, node: OnnxNode) -> None:
    results = OPERATORS[node.operator](builder, node) if node.operator in OPERATORS else _unknown(node)
    for name, result in zip(node.outputs, results if type(results) is tuple else (results,), strict=False):
        builder.values[name] = result  # type: ignore[assignment]


def _unknown(node: OnnxNode) -> Any:
    raise UntranslatedError(f"the operator {node} has no translation")


def _leaving(builder: Builder, output: str) -> fx.Node:
    value = builder.values.get(output)
    if isinstance(value, Levels):
        return builder.call(_shifted, value.node, value.zero)  # type: ignore[no-any-return]
    if not isinstance(value, fx.Node):
        raise UntranslatedError(f"the model's output '{output}' does not depend on the image")
    return value


def _shifted(levels: Any, zero: int) -> Any:
    return levels + zero
