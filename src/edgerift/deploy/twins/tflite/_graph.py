"""A `.tflite` file as plain data: tensors, operators, constants and metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.errors import ModelError

#: The ends of the integer types that images and activations are quantized to here.
ENDS: Final = {"int8": (-128, 127), "uint8": (0, 255)}


class UntranslatedError(ModelError):
    """A `.tflite` file holds something that has no translation."""


@dataclass(frozen=True)
class Scales:
    """How a tensor is quantized: a scale and a zero point, or one of each for every index of an axis."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int


@dataclass(frozen=True)
class TfliteTensor:
    """A tensor of a graph: its element type (`float32`, `int8` ...), its extents, and how it is quantized, if it is.

    `free` are the positions of extents that the file leaves open, which `shape` has as 1. `data` is what a constant
    holds, of that shape.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    free: tuple[int, ...]
    scales: Scales | None
    data: Tensor | None

    @property
    def grid(self) -> Grid | None:
        """The grid of 8-bit numbers with one scale; None for other tensors."""
        if self.scales is None or len(self.scales.scales) != 1 or self.dtype not in ENDS:
            return None
        return Grid(self.scales.scales[0], self.scales.zero_points[0], *ENDS[self.dtype])

    @property
    def extents(self) -> tuple[int | None, ...]:
        """The extents, None where the file leaves one open."""
        return tuple(None if index in self.free else extent for index, extent in enumerate(self.shape))


@dataclass(frozen=True)
class TfliteOperator:
    """One operator: its name in the schema, as in `CONV_2D`, and the numbers of the tensors it reads and writes.

    A custom one has its own name. An input that is left out is -1. `options` are the fields of its kind of options,
    by their names in the schema. `called` is its name in a file of another kind, from which it was made.
    """

    name: str
    index: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    is_custom: bool = False
    called: str = ""

    def has(self, position: int) -> bool:
        """Return whether the input at a position is given."""
        return position < len(self.inputs) and self.inputs[position] >= 0

    def __str__(self) -> str:
        """Name the operator as a message does."""
        return f"{self.called or self.name} (operator {self.index})"


@dataclass(frozen=True)
class TfliteGraph:
    """The first subgraph of a model: operators in their order, and the numbers of its inputs and outputs.

    `metadata` are the model's named buffers.
    """

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    metadata: Mapping[str, memoryview]
