"""The integer grid that one quantized tensor lives on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import fx

from edgerift.deploy.program._operators import DEQUANTIZE, QUANTIZE, operator_name

_ARGUMENTS: Final = ("input", "scale", "zero_point", "quant_min", "quant_max", "dtype")


@dataclass(frozen=True)
class Grid:
    """A per-tensor affine grid: real value = scale * (q - zero_point), q whole in `[minimum, maximum]`."""

    scale: float
    zero_point: int
    minimum: int
    maximum: int

    @property
    def low(self) -> int:
        """The smallest level counted from the zero point: `minimum - zero_point`."""
        return self.minimum - self.zero_point

    @property
    def high(self) -> int:
        """The largest level counted from the zero point: `maximum - zero_point`."""
        return self.maximum - self.zero_point

    @property
    def inverse(self) -> float:
        """The factor that quantization multiplies by; the runtimes' reference divides once and multiplies."""
        return 1.0 / self.scale

    def level(self, value: float) -> int:
        """The level of a real value, counted from the zero point: rounded half to even and clipped.

        >>> Grid(scale=0.5, zero_point=-128, minimum=-128, maximum=127).level(1.25)
        2
        """
        level = float(np.rint(np.float32(value) * np.float32(self.inverse)))
        return int(max(self.low, min(self.high, level)))


def quantize_arguments(node: fx.Node) -> dict[str, Any]:
    """Read the arguments of a quantize or dequantize node by name, positional or not."""
    return {**dict(zip(_ARGUMENTS, node.args, strict=False)), **node.kwargs}


def grid_of(node: fx.Node) -> Grid:
    """Read the grid off a quantize or dequantize node."""
    values = quantize_arguments(node)
    return Grid(float(values["scale"]), int(values["zero_point"]), int(values["quant_min"]), int(values["quant_max"]))


def is_quantize(node: Any) -> bool:
    """Return whether a graph argument is a per-tensor quantize node."""
    return isinstance(node, fx.Node) and node.op == "call_function" and operator_name(node.target) == QUANTIZE


def is_dequantize(node: Any) -> bool:
    """Return whether a graph argument is a per-tensor dequantize node."""
    return isinstance(node, fx.Node) and node.op == "call_function" and operator_name(node.target) == DEQUANTIZE


def stored(module: torch.nn.Module, node: Any) -> torch.Tensor:
    """Fetch the tensor that a `get_attr` node stands for."""
    return module.get_buffer(node.target)
