"""A program of two convolutions and a linear layer on fixed grids, whose work is counted by hand."""

from typing import NamedTuple

import torch
from program_maker import LIMITS

from edgerift.deploy import Operation, Program, Target
from edgerift.images import ImageShape

# Multiply-accumulates of the network that `two_convolutions` builds, for one image: outputs times inputs of each.
FIRST = 8 * 8 * 4 * (3 * 3 * 3)
SECOND = 4 * 4 * 6 * (3 * 3 * 2)
LINEAR = 5 * (6 * 4 * 4)

SHAPES = {"first": (4, 3, 3, 3), "second": (6, 2, 3, 3), "linear": (5, 96)}


class Rounding(NamedTuple):
    """How a target's quantizer rounds; the grids are `(scale, zero_point)`, and what has none stays in float."""

    dtype: str
    lowest_weight: int
    weight_scale: float
    bias_scale: float
    grids: dict[str, tuple[float, int]]


ROUNDINGS: dict[Target, Rounding] = {
    "mobile": Rounding(
        "int8", -127, 0.01, 1.0, dict.fromkeys(("image", "first", "second", "flatten", "linear"), (0.05, 3))
    ),
    "server": Rounding(
        "uint8",
        -128,
        0.003,
        0.1,
        {"image": (1 / 255, 0), "first": (0.01, 0), "second": (0.02, 128), "flatten": (0.02, 128)},
    ),
}


def two_convolutions(target: Target, *, second_in_integers: bool) -> Program:
    """A 3x3 convolution 3 to 4 on 8x8 pixels, a grouped one 4 to 6 of stride 2, and a linear layer to 5 classes."""
    rounding = ROUNDINGS[target]
    tensors = made_tensors(rounding)
    if not second_in_integers:
        parts = [tensors.pop(f"second.{part}") for part in ("weight", "scale", "zero_point")]
        tensors["second.float"] = parts[0] * rounding.weight_scale
    second_weight = {"node": "second_weight"} if second_in_integers else {"tensor": "second.float"}
    first = [{"node": "image_dq"}, {"node": "first_weight"}, {"tensor": "first.bias"}, [1, 1], [1, 1]]
    second = [{"node": "first_dq"}, second_weight, {"tensor": "second.bias"}, [2, 2], [1, 1], [1, 1], 2]
    linear = [{"node": "flatten_dq"}, {"node": "linear_weight"}, {"tensor": "linear.bias"}]
    operations = [
        *(weight(name, rounding) for name in SHAPES if f"{name}.weight" in tensors),
        *on_grid("image", "image", rounding),
        Operation(name="first", operator="aten.conv2d.default", arguments=first),
        Operation(name="relu", operator="aten.relu.default", arguments=[{"node": "first"}]),
        *on_grid("first", "relu", rounding),
        Operation(name="second", operator="aten.conv2d.default", arguments=second),
        *on_grid("second", "second", rounding),
        Operation(name="flatten", operator="aten.flatten.using_ints", arguments=[{"node": "second_dq"}, 1]),
        *on_grid("flatten", "flatten", rounding),
        Operation(name="linear", operator="aten.linear.default", arguments=linear),
        *on_grid("linear", "linear", rounding),
    ]
    return Program(tuple(operations), tensors, operations[-1].name, target, classes=5, shape=ImageShape(3, 8, 8))


def made_tensors(rounding: Rounding) -> dict[str, torch.Tensor]:
    """Make random int8 weights with one scale for all channels, and random biases."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in SHAPES.items():
        tensors[f"{name}.weight"] = torch.randint(-127, 128, shape, generator=generator).to(torch.int8)
        tensors[f"{name}.scale"] = torch.full(shape[:1], rounding.weight_scale)
        tensors[f"{name}.zero_point"] = torch.zeros(shape[0], dtype=torch.int64)
        tensors[f"{name}.bias"] = rounding.bias_scale * torch.randn(shape[0], generator=generator)
    return tensors


def on_grid(name: str, source: str, rounding: Rounding) -> list[Operation]:
    """A quantize and dequantize pair on the grid of that name, or nothing where the target has none."""
    if name not in rounding.grids:
        return []
    grid = [*rounding.grids[name], *LIMITS[rounding.dtype], {"dtype": rounding.dtype}]
    return [
        Operation(
            name=f"{name}_{kind}",
            operator=f"quantized_decomposed.{operator}_per_tensor.default",
            arguments=[{"node": node}, *grid],
        )
        for kind, operator, node in (("q", "quantize", source), ("dq", "dequantize", f"{name}_q"))
    ]


def weight(name: str, rounding: Rounding) -> Operation:
    """The real values of a layer's stored int8 weight."""
    arguments = [{"tensor": f"{name}.{part}"} for part in ("weight", "scale", "zero_point")]
    return Operation(
        name=f"{name}_weight",
        operator="quantized_decomposed.dequantize_per_channel.default",
        arguments=[*arguments, 0, rounding.lowest_weight, 127, {"dtype": "int8"}],
    )
