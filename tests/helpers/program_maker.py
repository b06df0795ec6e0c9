"""Small quantized programs made by hand, so that the tests of `deploy` need nothing above it."""

import math
from dataclasses import replace

import torch

from edgerift.deploy import Operation, Program, Provenance, Target
from edgerift.images import ImageShape, Size, extent

LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}


class ProgramMaker:
    """Writes a program operation by operation; its grids are calibrated on random images, with a little clipping.

    `dyadic` makes every scale a power of two, so that whole levels often meet halfway between two levels.
    """

    def __init__(
        self,
        target: Target = "mobile",
        *,
        dyadic: bool = False,
        size: Size = 16,
        channels: int = 3,
        seed: int = 0,
    ) -> None:
        self.target = target
        self.dyadic = dyadic
        self.dtype = "int8" if target == "mobile" else "uint8"
        self.shape = ImageShape(channels, *extent(size))
        self.generator = torch.Generator().manual_seed(seed)
        self.images = torch.rand(8, *self.shape, generator=self.generator)
        self.operations: list[Operation] = []
        self.tensors: dict[str, torch.Tensor] = {}

    def call(self, operator, *arguments):
        """Append an operation; strings among the arguments are nodes."""
        name = f"step_{len(self.operations)}"
        encoded = [self._encoded(argument) for argument in arguments]
        self.operations.append(Operation(name=name, operator=operator, arguments=encoded))
        return name

    def value(self, node):
        """Compute a node's value for the calibration images."""
        return self._program(node).module()(self.images)

    def rounded(self, node, *, grid=None):
        """Append a quantize and dequantize pair, on a calibrated grid unless one is given."""
        scale, zero = grid or self._calibrated(self.value(node))
        settings = (scale, zero, *LIMITS[self.dtype], {"dtype": self.dtype})
        quantized = self.call("quantized_decomposed.quantize_per_tensor.default", node, *settings)
        return self.call("quantized_decomposed.dequantize_per_tensor.default", quantized, *settings)

    def grid(self, node):
        """Read the grid `(scale, zero_point)` of a dequantize node."""
        operation = next(operation for operation in self.operations if operation.name == node)
        return tuple(operation.arguments[1:3])

    def convolution(self, source, channels, kernel=1, stride=1, padding=0, groups=1):
        """Append a convolution of a random int8 weight per channel and a random bias."""
        inputs = self.value(source).shape[1]
        weight, bias = self._weight((channels, inputs // groups, kernel, kernel))
        extents = ([stride] * 2, [padding] * 2, [1, 1], groups)
        return self.call("aten.conv2d.default", source, weight, {"tensor": bias}, *extents)

    def linear(self, source, classes):
        """Append a linear layer of a random int8 weight per channel and a random bias."""
        weight, bias = self._weight((classes, self.value(source).shape[1]))
        return self.call("aten.linear.default", source, weight, {"tensor": bias})

    def program(self, output):
        """Return the program that ends in `output`, with a class for each of its scores."""
        program = self._program(output)
        return replace(program, classes=program.module()(self.images[:1]).shape[1])

    def _program(self, output):
        return Program(
            tuple(self.operations), self.tensors, output, self.target, 2, self.shape, "image", Provenance(method="made")
        )

    def _weight(self, shape):
        name = f"layer_{len(self.tensors)}"
        self.tensors[f"{name}.weight"] = torch.randint(-127, 128, shape, generator=self.generator).to(torch.int8)
        spread = (torch.rand(shape[0], generator=self.generator) + 0.5) / 73
        scale = spread / torch.Size(shape[1:]).numel() ** 0.5
        self.tensors[f"{name}.scale"] = torch.exp2(scale.log2().round()) if self.dyadic else scale
        self.tensors[f"{name}.zero_point"] = torch.zeros(shape[0], dtype=torch.int64)
        self.tensors[f"{name}.bias"] = torch.randn(shape[0], generator=self.generator) / 4
        parts = [{"tensor": f"{name}.{part}"} for part in ("weight", "scale", "zero_point")]
        operator = "quantized_decomposed.dequantize_per_channel.default"
        return self.call(operator, *parts, 0, -127, 127, {"dtype": "int8"}), f"{name}.bias"

    def _calibrated(self, value):
        low, high = min(float(value.min()), 0.0) * 0.9, max(float(value.max()), 0.0) * 0.9
        scale = float(torch.tensor((high - low) / 255))  # Quantizers keep scales in float32.
        if self.dyadic:
            scale = 2.0 ** math.ceil(math.log2(scale))
        return scale, round(LIMITS[self.dtype][0] - low / scale)

    def _encoded(self, argument):
        if isinstance(argument, str):
            return {"node": argument}
        if isinstance(argument, list) and argument and isinstance(argument[0], str):
            return [{"node": name} for name in argument]
        return argument
