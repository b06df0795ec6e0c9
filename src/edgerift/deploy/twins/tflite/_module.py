"""From a `.tflite` file to a module."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final, TypeAlias, final

import torch
from torch import Tensor, fx

from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._translated_module import TranslatedModule
from edgerift.deploy.twins.onnx._measured import Measured
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Kernels, Real
from edgerift.deploy.twins.tflite._delegated import kernels_of
from edgerift.deploy.twins.tflite._graph import ENDS, TfliteGraph, TfliteOperator, TfliteTensor, UntranslatedError
from edgerift.deploy.twins.tflite._reading import read_graph
from edgerift.errors import EdgeriftError, first_line

Chosen: TypeAlias = Kernels | Callable[[TfliteOperator], Kernels]
_PASSED: Final = ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST")


@final
class TfliteModule(TranslatedModule):
    """A `.tflite` model with gradients: its one input to one of its outputs, both as the file describes them.

    The input is float32 in the order of the file, usually `[N,H,W,C]`, for any number of images, and holds whole
    numbers where the file takes uint8 or int8; so does an output of integers. `input` and `output` describe both.
    `scores` is the module that answers with what enters the softmax at the end, in real numbers, or this one where
    there is none: where a softmax is rounded to integers its gradient vanishes.
    """

    def __init__(
        self, body: Body, input: TfliteTensor, output: TfliteTensor, step: float | None, scores: Body | None
    ) -> None:
        """Take a translated graph; see :func:`tflite_module`."""
        super().__init__()
        self.body = body
        self.input, self.output, self.step = input, output, step
        self.requires_grad_(False).eval()
        self._scores = scores

    def forward(self, images: Tensor) -> Tensor:
        """Compute the output of a batch."""
        if tuple(images.shape[1:]) != self.input.shape[1:] and not self.input.free:
            raise UntranslatedError(f"the model takes {list(self.input.shape)}; got {list(images.shape)}")
        answer: Tensor = self.body(images)
        return answer

    @property
    def scores(self) -> TfliteModule:
        """The same model up to the softmax at its end, if it has one."""
        if self._scores is None:
            return self
        return TfliteModule(self._scores, self.input, self.output, None, None)


def tflite_module(content: bytes, output: str | None = None, kernels: Kernels = "default") -> TfliteModule:
    """Translate the bytes of a `.tflite` file into a differentiable module that computes as LiteRT does.

    Quantized operators compute as one of the runtime's sets of kernels does: `default` is XNNPACK where it has a kernel
    and the optimised ones elsewhere, `builtin` the optimised ones alone, `reference` the plain ones.
    `output` names one of several outputs; by default the first. No code runs.

    Raises :class:`~edgerift.errors.ModelError` for a damaged file, an operator or a number type without a translation,
    more than one input, or an output that does not exist.
    """
    graph = read_graph(content)
    return graph_module(graph, output, functools.partial(kernels_of, graph) if kernels == "default" else kernels)


def graph_module(graph: TfliteGraph, output: str | None, kernels: Chosen) -> TfliteModule:
    """Translate a graph as :func:`tflite_module` does, whatever file it was read from.

    `kernels` are those that compute all operators, or a function that says so for each. Raises as it does.
    """
    image, chosen = _image(graph), _output(graph, output)
    builder = _translated(graph, image, kernels)
    described = graph.tensors[chosen]
    body = _ending_in(builder, _as_stored(builder, chosen), described)
    before = _softmax_input(graph, chosen)
    scores = None
    if before is not None:
        scores = _ending_in(builder, _as_real(builder, before), graph.tensors[before])
    return TfliteModule(body, graph.tensors[image], described, _step(graph, chosen), scores)


def _image(graph: TfliteGraph) -> int:
    if len(graph.inputs) != 1:
        named = ", ".join(graph.tensors[index].name for index in graph.inputs) or "none"
        raise UntranslatedError(f"the model has {len(graph.inputs)} inputs ({named}); models of one image are taken")
    described = graph.tensors[graph.inputs[0]]
    if described.dtype not in ("float32", *ENDS):
        raise UntranslatedError(f"the model takes {described.dtype}; float32, uint8 and int8 are translated")
    return graph.inputs[0]


def _output(graph: TfliteGraph, name: str | None) -> int:
    named = {graph.tensors[index].name: index for index in reversed(graph.outputs)}
    chosen = name or (graph.tensors[graph.outputs[0]].name if graph.outputs else "")
    if chosen not in named:
        raise UntranslatedError(f"the model has no output '{chosen}'; it has {', '.join(named) or 'none'}")
    return named[chosen]


def _translated(graph: TfliteGraph, image: int, kernels: Chosen) -> Builder:
    builder = Builder(graph, "default" if callable(kernels) else kernels)
    node = builder.steps.graph.placeholder("images")
    grid = graph.tensors[image].grid
    builder.values[image] = node if grid is None else builder.call(torch.sub, node, grid.zero_point)
    for operator in graph.operators:
        if callable(kernels):
            builder.kernels = kernels(operator)
        _append(builder, operator)
    return builder


def _append(builder: Builder, operator: TfliteOperator) -> None:
    if operator.is_custom:
        kind = "TensorFlow's own (select-ops)" if operator.name.startswith("Flex") else "custom"
        raise UntranslatedError(f"the operator {operator} is {kind}, which has no translation")
    if operator.name not in OPERATORS:
        raise UntranslatedError(f"the operator {operator} has no translation")
    try:
        with Measured():
            made = OPERATORS[operator.name](builder, operator)
    except EdgeriftError:
        raise
    except Exception as error:  # What a damaged operator lacks, and what PyTorch says of constants that make no sense.
        raise UntranslatedError(
            f"{operator} cannot be translated ({type(error).__name__}: {first_line(error)})"
        ) from None
    results: tuple[Real, ...] = made if isinstance(made, tuple) else (made,)
    builder.values.update(zip(operator.outputs, results, strict=False))


def _as_stored(builder: Builder, index: int) -> Real | None:
    """A tensor as the runtime holds it: with its zero point where it is quantized."""
    value, described = builder.values.get(index), builder.source.tensors[index]
    if value is None or described.dtype not in ENDS or described.grid is None:
        return value
    return builder.call(torch.add, value, described.grid.zero_point)


def _as_real(builder: Builder, index: int) -> Real | None:
    """A tensor as the real numbers that it stands for."""
    value, grid = builder.values.get(index), builder.source.tensors[index].grid
    if value is None or grid is None:
        return value
    return builder.call(torch.mul, value, grid.scale)


def _ending_in(builder: Builder, value: Real | None, described: TfliteTensor) -> Body:
    if not isinstance(value, fx.Node):
        raise UntranslatedError(f"the model's '{described.name}' does not depend on the image")
    return builder.steps.ending_in(value)


def _softmax_input(graph: TfliteGraph, output: int) -> int | None:
    """Find the input of the softmax that an output comes from through operators that keep the order of its numbers."""
    makers = {index: operator for operator in graph.operators for index in operator.outputs}
    operator = makers.get(output)
    while operator is not None and operator.name in _PASSED and operator.inputs:
        operator = makers.get(operator.inputs[0])
    return operator.inputs[0] if operator is not None and operator.name == "SOFTMAX" and operator.inputs else None


def _step(graph: TfliteGraph, output: int) -> float | None:
    """The distance of two neighbouring numbers of an output that is quantized, or was before its last operator."""
    makers = {index: operator for operator in graph.operators for index in operator.outputs}
    operator, grid = makers.get(output), graph.tensors[output].grid
    if operator is not None and operator.name == "DEQUANTIZE" and operator.inputs:
        grid = graph.tensors[operator.inputs[0]].grid
    return None if grid is None else grid.scale
