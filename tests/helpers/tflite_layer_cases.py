"""Convolutions, matrix products, sums and products of `.tflite` files."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_files import TfliteFile
from tflite_table import activation, case, same_grid, scale_of, zero_of


@case("convolution")
@case("convolution same stride 2", stride=2, extent=9)
@case("convolution valid", padding=1)
@case("convolution valid stride 2", padding=1, stride=2)
@case("convolution dilated", dilation=2)
@case("convolution one scale", per_channel=False)
@case("convolution relu", fused=1)
@case("convolution relu6", fused=3)
@case("convolution relu 1", fused=2)
@case("convolution 1x1", kernel=1, channels=16)
@case("convolution grouped", channels=8, groups=2)
@case("convolution large weights", channels=64, large=True, extent=4)
@case("convolution uint8", dtype="uint8", per_channel=False)
@case("convolution uint8 relu6", dtype="uint8", per_channel=False, fused=3)
@case("convolution float", dtype="float32")
@case("convolution float relu6", dtype="float32", fused=3)
@case("depthwise", depthwise=True, channels=8)
@case("depthwise 12 channels", depthwise=True, channels=12)
@case("depthwise 5 channels", depthwise=True, channels=5)
@case("depthwise times 2", depthwise=True, channels=4, times=2)
@case("depthwise stride 2", depthwise=True, channels=16, stride=2)
@case("depthwise 5x5", depthwise=True, channels=8, kernel=5)
@case("depthwise dilated", depthwise=True, channels=8, dilation=2)
@case("depthwise one scale", depthwise=True, channels=8, per_channel=False)
@case("depthwise relu6 valid", depthwise=True, channels=32, fused=3, padding=1)
@case("depthwise uint8", depthwise=True, channels=8, dtype="uint8", per_channel=False)
@case("depthwise uint8 axis 0", depthwise=True, channels=8, dtype="uint8", per_channel=False, axis=0)
@case("depthwise float", depthwise=True, channels=8, dtype="float32")
def _convolution(
    generator: np.random.Generator,
    channels: int = 3,
    extent: int = 8,
    kernel: int = 3,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    fused: int = 0,
    groups: int = 1,
    times: int = 1,
    dtype: str = "int8",
    per_channel: bool = True,
    depthwise: bool = False,
    large: bool = False,
    axis: int = 3,
) -> bytes:
    file = TfliteFile()
    filters = channels * times if depthwise else 12
    given = activation(file, generator, [1, extent, extent, channels], dtype)
    shape = [1, kernel, kernel, filters] if depthwise else [filters, kernel, kernel, channels // groups]
    fan = kernel * kernel * (1 if depthwise else channels // groups)
    axis = axis if depthwise else 0
    if dtype == "float32":
        weight = file.tensor(shape, dtype, data=generator.normal(0, 1 / np.sqrt(fan), shape))
        bias = file.tensor([filters], dtype, data=generator.normal(0, 1, filters))
    else:
        scale = np.float32(file.graph.tensors[given].quantization.scale[0])
        scales = generator.uniform(0.2, 1, filters if per_channel else 1).astype(np.float32) * np.float32(0.02)
        zero = int(generator.integers(100, 150)) if dtype == "uint8" else 0
        low, high = (0, 256) if dtype == "uint8" else (-127, 128)
        levels = np.full(shape, 127) if large else generator.integers(low, high, shape)
        weight = file.tensor(shape, dtype, scales, zero, data=levels, axis=axis)
        biases = generator.integers(-3000, 3000, filters)
        bias = file.tensor([filters], "int32", scales * scale, 0, data=biases)
    spanned = (kernel - 1) * dilation
    made = -(-extent // stride) if padding == 0 else -(-(extent - spanned) // stride)
    scale = None if dtype == "float32" else scale * np.float32(0.02) * np.float32(0.6 * 80 * np.sqrt(fan))
    result = activation(file, generator, [1, made, made, filters], dtype, scale=scale)
    options: dict[str, Any] = {
        "padding": padding,
        "strideW": stride,
        "strideH": stride,
        "fusedActivationFunction": fused,
        "dilationWFactor": dilation,
        "dilationHFactor": dilation,
    }
    if depthwise:
        chosen: Any = schema.DepthwiseConv2DOptionsT(depthMultiplier=times, **options)
    else:
        chosen = schema.Conv2DOptionsT(**options)
    file.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [given, weight, bias], [result], chosen, 5)
    return file.written([given], [result])


@case("connected")
@case("connected one scale", per_channel=False)
@case("connected relu", fused=1)
@case("connected no bias", biased=False)
@case("connected many inputs", inputs=1500)
@case("connected uint8", dtype="uint8", per_channel=False)
@case("connected float", dtype="float32")
@case("connected keeps dimensions", keeps=True)
def _connected(
    generator: np.random.Generator,
    inputs: int = 40,
    fused: int = 0,
    dtype: str = "int8",
    per_channel: bool = True,
    biased: bool = True,
    keeps: bool = False,
) -> bytes:
    file, units = TfliteFile(), 10
    given = activation(file, generator, [1, 3, inputs] if keeps else [1, inputs], dtype)
    inner = [units, inputs]
    scale = None
    if dtype == "float32":
        weight = file.tensor(inner, dtype, data=generator.normal(0, 1 / np.sqrt(inputs), inner))
        bias = file.tensor([units], dtype, data=generator.normal(0, 1, units))
    else:
        source = np.float32(file.graph.tensors[given].quantization.scale[0])
        scales = generator.uniform(0.2, 1, units if per_channel else 1).astype(np.float32) * np.float32(0.02)
        zero = int(generator.integers(100, 150)) if dtype == "uint8" else 0
        low, high = (0, 256) if dtype == "uint8" else (-127, 128)
        weight = file.tensor(inner, dtype, scales, zero, data=generator.integers(low, high, inner))
        bias = file.tensor([units], "int32", scales * source, 0, data=generator.integers(-3000, 3000, units))
        scale = source * np.float32(0.02) * np.float32(0.6 * 80 * np.sqrt(inputs))
    result = activation(file, generator, [1, 3, units] if keeps else [1, units], dtype, scale=scale)
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=fused, keepNumDims=keeps)
    file.operator("FULLY_CONNECTED", [given, weight, *([bias] if biased else [])], [result], options, 5)
    return file.written([given], [result])


@case("add", name="ADD")
@case("add relu", name="ADD", fused=1)
@case("add relu6", name="ADD", fused=3)
@case("add uint8", name="ADD", dtype="uint8")
@case("add far scales", name="ADD", far=True)
@case("add float", name="ADD", dtype="float32")
@case("subtract", name="SUB")
@case("subtract relu", name="SUB", fused=1)
@case("subtract uint8", name="SUB", dtype="uint8")
@case("multiply", name="MUL")
@case("multiply relu6", name="MUL", fused=3)
@case("multiply uint8", name="MUL", dtype="uint8")
@case("multiply float", name="MUL", dtype="float32")
@case("add constant", name="ADD", shape=(1, 1, 1, 20))
@case("multiply constant", name="MUL", shape=(1, 1, 1, 20))
@case("subtract constant", name="SUB", shape=(1, 1, 1, 20))
@case("add scalar", name="ADD", shape=())
def _binary(
    generator: np.random.Generator,
    name: str,
    fused: int = 0,
    dtype: str = "int8",
    shape: Any = None,
    far: bool = False,
) -> bytes:
    file, extents = TfliteFile(), [1, 5, 7, 20]
    given = activation(file, generator, extents, dtype, scale=0.001 if far else None)
    scale = scale_of(generator) if dtype != "float32" else None
    if shape is None:
        other = _shuffled(file, generator, given, extents, dtype)
    else:
        numbers = generator.normal(0, 1, shape) if dtype == "float32" else generator.integers(-128, 128, shape)
        other = file.tensor(shape, dtype, scale, zero_of(generator, dtype), data=numbers)
    made = scale_of(generator, 4, 8) if far else scale_of(generator, 0.02, 0.2)
    result = activation(file, generator, extents, dtype, scale=made)
    kind = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[name]
    file.operator(name, [given, other], [result], kind(fusedActivationFunction=fused))
    return file.written([given], [result])


def _shuffled(file: TfliteFile, generator: np.random.Generator, given: int, extents: list[int], dtype: str) -> int:
    """Add what has the numbers of a tensor at other places, on another grid."""
    axes = file.tensor([4], "int32", data=[0, 2, 1, 3])
    turned = activation(file, generator, [1, 7, 5, 20], dtype, **same_grid(file, given))
    file.operator("TRANSPOSE", [given, axes], [turned], schema.TransposeOptionsT())
    shape = file.tensor([4], "int32", data=extents)
    copied = activation(file, generator, extents, dtype, **same_grid(file, given))
    file.operator("RESHAPE", [turned, shape], [copied], schema.ReshapeOptionsT(extents))
    if dtype == "float32":
        return copied
    result = activation(file, generator, extents, dtype)
    file.operator("QUANTIZE", [copied], [result], schema.QuantizeOptionsT(), 2)
    return result


@case("concatenation")
@case("concatenation uint8", dtype="uint8")
@case("concatenation float", dtype="float32")
def _joined(generator: np.random.Generator, dtype: str = "int8") -> bytes:
    file = TfliteFile()
    given = activation(file, generator, [1, 4, 5, 6], dtype)
    numbers = (
        generator.normal(0, 1, [1, 4, 5, 3]) if dtype == "float32" else generator.integers(-128, 128, [1, 4, 5, 3])
    )
    other = file.tensor([1, 4, 5, 3], dtype, *same_grid(file, given).values(), data=numbers)
    result = activation(file, generator, [1, 4, 5, 15], dtype, **same_grid(file, given))
    file.operator("CONCATENATION", [given, other, given], [result], schema.ConcatenationOptionsT(axis=3))
    return file.written([given], [result])


@case("prelu")
@case("prelu uint8", dtype="uint8")
@case("prelu float", dtype="float32")
def _sloped(generator: np.random.Generator, dtype: str = "int8") -> bytes:
    file = TfliteFile()
    given = activation(file, generator, [1, 4, 5, 6], dtype)
    numbers = generator.normal(0, 1, [1, 1, 6]) if dtype == "float32" else generator.integers(-128, 128, [1, 1, 6])
    grid = () if dtype == "float32" else (scale_of(generator, 0.001, 0.02), zero_of(generator, dtype))
    slopes = file.tensor([1, 1, 6], dtype, *grid, data=numbers)
    result = activation(file, generator, [1, 4, 5, 6], dtype)
    file.operator("PRELU", [given, slopes], [result])
    return file.written([given], [result])


@case("matrices float")
@case("matrices turned float", turned=True)
def _matrices(generator: np.random.Generator, turned: bool = False) -> bytes:
    file = TfliteFile()
    given, other = file.tensor([1, 5, 7], "float32"), [1, 4, 7] if turned else [1, 7, 4]
    second = file.tensor(other, "float32", data=generator.normal(0, 1, other))
    result = file.tensor([1, 5, 4], "float32")
    file.operator("BATCH_MATMUL", [given, second], [result], schema.BatchMatMulOptionsT(False, turned))
    return file.written([given], [result])
