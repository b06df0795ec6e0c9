"""A graph under construction, in the words of TensorFlow Lite, whose operators XNNPACK's kernels compute alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, final

import torch
from torch import Tensor

from edgerift.deploy.twins.onnx._limits import MOST_ELEMENTS
from edgerift.deploy.twins.tflite._graph import Scales, TfliteGraph, TfliteOperator, TfliteTensor, UntranslatedError
from edgerift.deploy.twins.tflite._reading import require_moderate

_MOST_DIMENSIONS: Final = 8


@final
class Collected:
    """Tensors and operators, in the order in which they run."""

    def __init__(self) -> None:
        """Start without any."""
        self.tensors: list[TfliteTensor] = []
        self._operators: list[TfliteOperator] = []

    def tensor(self, name: str, dtype: str, shape: Sequence[int], *, scales: Scales | None = None) -> int:
        """Add a tensor and return its number; raises `UntranslatedError` for extents that make no sense."""
        extents = tuple(int(extent) for extent in shape)
        if len(extents) > _MOST_DIMENSIONS or min(extents, default=1) < 1 or math.prod(extents) > MOST_ELEMENTS:
            raise UntranslatedError(f"{name} would have the shape {list(extents[:_MOST_DIMENSIONS])}")
        self.tensors.append(TfliteTensor(name, dtype, extents, (), scales, None))
        return len(self.tensors) - 1

    def whole(self, numbers: Sequence[int]) -> int:
        """Add a constant of whole numbers."""
        data = torch.tensor([int(number) for number in numbers], dtype=torch.int64)
        made = self.tensor("a constant", "int64", data.shape)
        self.fill(made, data)
        return made

    def like(self, index: int, shape: Sequence[int]) -> int:
        """Add a tensor that differs from another one in its extents alone."""
        known = self.tensors[index]
        return self.tensor(known.name, known.dtype, shape, scales=known.scales)

    def fill(self, index: int, data: Tensor) -> None:
        """Make a tensor a constant."""
        self.tensors[index] = replace(self.tensors[index], data=data)

    def quantize(self, index: int, scales: Scales) -> None:
        """Give a tensor, of which that was not known, its scale."""
        self.tensors[index] = replace(self.tensors[index], scales=scales)

    def operator(
        self, name: str, inputs: Sequence[int], output: int, called: str, options: Mapping[str, Any] | None = None
    ) -> None:
        """Add an operator by its name in TensorFlow Lite; `called` is its name in the file."""
        made = TfliteOperator(name, len(self._operators), tuple(inputs), (output,), options or {}, called=called)
        self._operators.append(made)

    def transposed(self, index: int, order: Sequence[int], called: str) -> int:
        """Add a transposition of a tensor and return its result."""
        shape = self.tensors[index].shape
        made = self.like(index, [shape[axis] for axis in order])
        self.operator("TRANSPOSE", [index, self.whole(order)], made, called)
        return made

    def graph(self, image: Sequence[int], answers: Sequence[int]) -> TfliteGraph:
        """Return the whole; raises :class:`~edgerift.errors.ModelError` where it would take too much memory."""
        require_moderate(self.tensors, [b"" if tensor.data is None else b"1" for tensor in self.tensors])
        return TfliteGraph(tuple(self.tensors), tuple(self._operators), tuple(image), tuple(answers), {})
