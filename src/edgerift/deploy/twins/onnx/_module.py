"""From an ONNX model to a module."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor, fx, nn

from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Levels, UntranslatedError, Value
from edgerift.deploy.twins.onnx._files import model_of
from edgerift.deploy.twins.onnx._graph import OnnxGraph, OnnxNode, TensorDescription, read_graph
from edgerift.deploy.twins.onnx._measured import Measured
from edgerift.errors import EdgeriftError, first_line

_INTEGER_INPUTS: Final = {"uint8": (0, 255), "int8": (-128, 127)}
_FLOAT_INPUTS: Final = ("float", "float16", "double")
_SOFTMAXES: Final = ("Softmax", "com.microsoft.QLinearSoftmax")
_PASSED: Final = ("DequantizeLinear", "QuantizeLinear", "Identity", "Reshape", "Squeeze", "Flatten", "Cast")


@final
class OnnxModule(nn.Module):
    """An ONNX model with gradients: its one input to one of its outputs, both as the file describes them.

    The input is float32 and holds whole numbers where the file takes uint8 or int8; so does an output of integers.
    `input` and `output` describe both. `scores` is the module that answers with what enters the softmax at the end, or
    this one where there is none: where a softmax is rounded to integers its gradient vanishes. `step` is the distance
    of two neighbouring numbers of the output where they lie on a grid.
    """

    def __init__(
        self, body: Body, input: TensorDescription, output: TensorDescription, step: float | None, scores: Body | None
    ) -> None:
        """Take a translated graph; see :func:`onnx_module`."""
        super().__init__()
        for buffer in body.buffers():
            if buffer.dim() == 4:
                buffer.data = buffer.contiguous(memory_format=torch.channels_last)
        self.body = body
        self.input, self.output, self.step = input, output, step
        self.requires_grad_(False).eval()
        self._scores = scores

    def forward(self, images: Tensor) -> Tensor:
        """Compute the output of a batch."""
        if images.dim() == 4:
            images = images.contiguous(memory_format=torch.channels_last)
        answer: Tensor = self.body(images)
        return answer

    @property
    def scores(self) -> OnnxModule:
        """The same model up to the softmax at its end, if it has one."""
        if self._scores is None:
            return self
        return OnnxModule(self._scores, self.input, self.output, None, None)


def onnx_module(model: Path | str | bytes, output: str | None = None) -> OnnxModule:
    """Translate an ONNX model, a file or its bytes, into a differentiable module that computes as ONNX Runtime does.

    Float operators are translated, and the integer ones that ONNX Runtime's optimiser makes of quantized files. Weights
    in other files are read from the model's folder. `output` names one of several outputs; by default the first. No
    code runs.

    Raises :class:`~edgerift.errors.BuildError` for a file that cannot be read, and
    :class:`~edgerift.errors.ModelError` for an operator that has no translation, more than one input, or an output that
    does not exist.
    """
    return module_of(model_of(model), output)


def module_of(model: Any, output: str | None = None) -> OnnxModule:
    """Translate a `ModelProto` that was read, and whose sizes were looked at; see :func:`onnx_module`."""
    graph = read_graph(model)
    named = {value.name: value for value in graph.outputs}
    chosen = output or next(iter(named), "")
    if chosen not in named:
        raise UntranslatedError(f"the model has no output '{chosen}'; it has {', '.join(named) or 'none'}")
    builder = _translated(graph)
    body = _ending_in(builder, builder.values.get(chosen), chosen)
    before = _softmax_input(graph, chosen)
    scores = None if before is None else _ending_in(builder, builder.values.get(before), before)
    return OnnxModule(body, graph.inputs[0], named[chosen], _step(builder, graph, chosen), scores)


def _translated(graph: OnnxGraph) -> Builder:
    if len(graph.inputs) != 1:
        named = ", ".join(value.name for value in graph.inputs) or "none"
        raise UntranslatedError(f"the model has {len(graph.inputs)} inputs ({named}); models of one image are taken")
    builder = Builder(graph)
    builder.values[graph.inputs[0].name] = _entering(builder, graph.inputs[0])
    with Measured():
        for node in graph.nodes:
            _append(builder, node)
    return builder


def _entering(builder: Builder, described: TensorDescription) -> Value:
    node = builder.graph.placeholder("images")
    if described.dtype in _INTEGER_INPUTS:
        return Levels(node, 0, *_INTEGER_INPUTS[described.dtype])
    if described.dtype not in _FLOAT_INPUTS:
        raise UntranslatedError(f"the model takes {described.dtype}; float, uint8 and int8 are translated")
    return node


def _append(builder: Builder, node: OnnxNode) -> None:
    if node.operator not in OPERATORS:
        raise UntranslatedError(f"the operator {node} has no translation")
    try:
        made = OPERATORS[node.operator](builder, node)
    except EdgeriftError:
        raise
    except Exception as error:  # What a damaged node lacks, and what PyTorch says of constants that make no sense.
        raise UntranslatedError(f"{node} cannot be translated ({type(error).__name__}: {first_line(error)})") from None
    results: tuple[Value, ...] = made if isinstance(made, tuple) else (made,)
    builder.values.update(zip(node.outputs, results, strict=False))


def _ending_in(builder: Builder, value: Value | None, name: str) -> Body:
    if isinstance(value, Levels):
        value = builder.call(torch.add, value.node, value.zero)
    if not isinstance(value, fx.Node):
        raise UntranslatedError(f"the model's '{name}' does not depend on the image")
    output = builder.graph.output(value)
    body = Body(builder.root, builder.graph)
    builder.graph.erase_node(output)
    return body


def _softmax_input(graph: OnnxGraph, output: str) -> str | None:
    """Name the input of the softmax that an output comes from through operators that keep the order of its numbers."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    node = makers.get(output)
    while node is not None and node.operator in _PASSED and node.inputs:
        node = makers.get(node.inputs[0])
    if node is None or node.operator not in _SOFTMAXES:
        return None
    return node.inputs[0]


def _step(builder: Builder, graph: OnnxGraph, output: str) -> float | None:
    makers = {name: node for node in graph.nodes for name in node.outputs}
    node = makers.get(output)
    if node is None or node.operator not in ("DequantizeLinear", "com.microsoft.DequantizeLinear"):
        return None
    return builder.number(node, 1)
