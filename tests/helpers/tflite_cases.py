"""One table of `.tflite` files with one operator each, on random grids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_files import TfliteFile

ENDS = {"int8": (-128, 127), "uint8": (0, 255)}
Case = Callable[[np.random.Generator], bytes]
CASES: dict[str, Case] = {}


def images_for(content: bytes, count: int, seed: int = 0) -> Any:
    """Random numbers of the type and shape that a file takes, all of its range."""
    root = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    tensor = root.Tensors(root.Inputs(0))
    shape = [count, *(int(extent) for extent in tensor.ShapeAsNumpy()[1:])]
    generator = np.random.default_rng(seed)
    if tensor.Type() == schema.TensorType.FLOAT32:
        return generator.normal(0, 2, shape).astype(np.float32)
    dtype = np.uint8 if tensor.Type() == schema.TensorType.UINT8 else np.int8
    low, high = ENDS[np.dtype(dtype).name]
    drawn = generator.integers(low, high + 1, shape)
    drawn[0] = np.where(generator.random(shape[1:]) < 0.5, low, high)
    return drawn.astype(dtype)


def case(label: str, /, **settings: Any) -> Callable[[Callable[..., bytes]], Callable[..., bytes]]:
    """Add a function with settings to the table."""

    def added(function: Callable[..., bytes]) -> Callable[..., bytes]:
        assert label not in CASES
        CASES[label] = lambda generator: function(generator, **settings)
        return function

    return added


def scale_of(generator: np.random.Generator, low: float = 0.005, high: float = 0.2) -> np.float32:
    """A random scale, even in its logarithm."""
    return np.float32(np.exp(generator.uniform(np.log(low), np.log(high))))


def zero_of(generator: np.random.Generator, dtype: str) -> int:
    """A random zero point, often one of the ends."""
    low, high = ENDS[dtype]
    return int(generator.choice([low, high, generator.integers(low, high + 1), generator.integers(low, high + 1)]))


def activation(file: TfliteFile, generator: np.random.Generator, shape: Any, dtype: str, **grid: Any) -> int:
    """Add a tensor on a random grid, or on a given one."""
    if dtype == "float32":
        return file.tensor(shape, dtype)
    scale, zero = grid.get("scale"), grid.get("zero")
    return file.tensor(
        shape,
        dtype,
        scale_of(generator) if scale is None else scale,
        zero_of(generator, dtype) if zero is None else zero,
    )


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
    turned = activation(file, generator, [1, 7, 5, 20], dtype, **_same(file, given))
    file.operator("TRANSPOSE", [given, axes], [turned], schema.TransposeOptionsT())
    shape = file.tensor([4], "int32", data=extents)
    copied = activation(file, generator, extents, dtype, **_same(file, given))
    file.operator("RESHAPE", [turned, shape], [copied], schema.ReshapeOptionsT(extents))
    if dtype == "float32":
        return copied
    result = activation(file, generator, extents, dtype)
    file.operator("QUANTIZE", [copied], [result], schema.QuantizeOptionsT(), 2)
    return result


def _same(file: TfliteFile, index: int) -> dict[str, Any]:
    found = file.graph.tensors[index].quantization
    return {} if found is None else {"scale": np.float32(found.scale[0]), "zero": found.zeroPoint[0]}


def _single(
    generator: np.random.Generator,
    name: str,
    dtype: str = "int8",
    result: str = "",
    options: Any = None,
    shape: Any = (1, 6, 5, 18),
    made: Any = None,
    constants: Any = (),
    same: bool = False,
    given_grid: Any = None,
    made_grid: Any = None,
) -> bytes:
    """A file with one operator on one tensor, with constants of int32 behind it."""
    file = TfliteFile()
    given = activation(file, generator, shape, dtype, **(given_grid or {}))
    others = [file.tensor(np.shape(numbers), "int32", data=numbers) for numbers in constants]
    grid = _same(file, given) if same else (made_grid or {})
    output = activation(file, generator, made or shape, result or dtype, **grid)
    file.operator(name, [given, *others], [output], options)
    return file.written([given], [output])


def _add(label: str, /, **settings: Any) -> None:
    case(label, **settings)(_single)


for _dtype in ("int8", "uint8", "float32"):
    _pool: dict[str, Any] = {"filterWidth": 3, "filterHeight": 3, "padding": 0, "strideW": 2, "strideH": 2}
    for _kind in ("AVERAGE", "MAX"):
        _add(
            f"{_kind} pool {_dtype}",
            name=f"{_kind}_POOL_2D",
            dtype=_dtype,
            options=schema.Pool2DOptionsT(**_pool),
            shape=(1, 7, 8, 19),
            made=(1, 4, 4, 19),
            same=True,
        )
        _add(
            f"{_kind} pool valid relu {_dtype}",
            name=f"{_kind}_POOL_2D",
            dtype=_dtype,
            options=schema.Pool2DOptionsT(**{**_pool, "padding": 1, "fusedActivationFunction": 1}),
            shape=(1, 7, 8, 19),
            made=(1, 3, 3, 19),
            same=True,
        )
    _add(
        f"average of all {_dtype}",
        name="AVERAGE_POOL_2D",
        dtype=_dtype,
        options=schema.Pool2DOptionsT(padding=1, strideW=8, strideH=7, filterWidth=8, filterHeight=7),
        shape=(1, 7, 8, 19),
        made=(1, 1, 1, 19),
        same=True,
    )
    for _keeps in (False, True):
        _add(
            f"mean {_dtype}{' keeps' if _keeps else ''}",
            name="MEAN",
            dtype=_dtype,
            options=schema.ReducerOptionsT(keepDims=_keeps),
            shape=(1, 7, 8, 37),
            made=(1, 1, 1, 37) if _keeps else (1, 37),
            constants=([1, 2],),
        )
    _add(
        f"mean of one axis {_dtype}",
        name="MEAN",
        dtype=_dtype,
        options=schema.ReducerOptionsT(keepDims=False),
        shape=(1, 7, 8, 37),
        made=(1, 7, 37),
        constants=([2],),
    )
    _softmax = {"scale": 1 / 256, "zero": {"int8": -128, "uint8": 0, "float32": 0}[_dtype]}
    for _count in (10, 2):
        _add(
            f"softmax of {_count} {_dtype}",
            name="SOFTMAX",
            dtype=_dtype,
            options=schema.SoftmaxOptionsT(beta=1.0),
            shape=(1, _count),
            made_grid=_softmax,
        )
    _add(f"logistic {_dtype}", name="LOGISTIC", dtype=_dtype, made_grid=_softmax)
    _tanh = {"scale": 1 / 128, "zero": {"int8": 0, "uint8": 128, "float32": 0}[_dtype]}
    _add(f"tanh {_dtype}", name="TANH", dtype=_dtype, made_grid=_tanh)
    _add(f"hard swish {_dtype}", name="HARD_SWISH", dtype=_dtype, options=schema.HardSwishOptionsT())
    for _slope in (0.1, 0.3, 1.7, -0.2):
        _add(
            f"leaky relu {_slope} {_dtype}",
            name="LEAKY_RELU",
            dtype=_dtype,
            options=schema.LeakyReluOptionsT(alpha=_slope),
        )
    for _name in ("RELU", "RELU6", "RELU_N1_TO_1"):
        _add(f"{_name} {_dtype}", name=_name, dtype=_dtype)
        _add(f"{_name} on its grid {_dtype}", name=_name, dtype=_dtype, same=True)
    _add(
        f"pad {_dtype}",
        name="PAD",
        dtype=_dtype,
        made=(1, 9, 6, 20),
        constants=([[0, 0], [1, 2], [0, 1], [1, 1]],),
        same=True,
    )
    _add(
        f"transpose {_dtype}", name="TRANSPOSE", dtype=_dtype, made=(1, 18, 6, 5), constants=([0, 3, 1, 2],), same=True
    )
    _add(f"reshape {_dtype}", name="RESHAPE", dtype=_dtype, made=(1, 540), constants=([1, 540],), same=True)
    _add(
        f"squeeze {_dtype}",
        name="SQUEEZE",
        dtype=_dtype,
        shape=(1, 1, 1, 9),
        made=(1, 9),
        options=schema.SqueezeOptionsT([1, 2]),
        same=True,
    )
    _add(f"expand {_dtype}", name="EXPAND_DIMS", dtype=_dtype, shape=(1, 9), made=(1, 1, 9), constants=(1,), same=True)
    _add(
        f"slice {_dtype}",
        name="SLICE",
        dtype=_dtype,
        made=(1, 3, 5, 7),
        constants=([0, 2, 0, 4], [1, 3, -1, 7]),
        same=True,
    )
    _add(
        f"strided slice {_dtype}",
        name="STRIDED_SLICE",
        dtype=_dtype,
        made=(1, 3, 4, 18),
        constants=([0, 0, 1, 0], [1, 6, 5, 0], [1, 2, 1, 1]),
        options=schema.StridedSliceOptionsT(beginMask=1, endMask=9),
        same=True,
    )
    for _corners, _centred in ((False, False), (False, True), (True, False)):
        _modes = f"{'corners ' if _corners else ''}{'centred ' if _centred else ''}{_dtype}"
        for _size in ((11, 8), (3, 4)):
            _add(
                f"bilinear {_size} {_modes}",
                name="RESIZE_BILINEAR",
                dtype=_dtype,
                made=(1, *_size, 18),
                constants=(list(_size),),
                options=schema.ResizeBilinearOptionsT(alignCorners=_corners, halfPixelCenters=_centred),
                same=True,
            )
            _add(
                f"nearest {_size} {_modes}",
                name="RESIZE_NEAREST_NEIGHBOR",
                dtype=_dtype,
                made=(1, *_size, 18),
                constants=(list(_size),),
                options=schema.ResizeNearestNeighborOptionsT(alignCorners=_corners, halfPixelCenters=_centred),
                same=True,
            )
    if _dtype != "float32":
        _add(f"quantize {_dtype}", name="QUANTIZE", dtype="float32", result=_dtype)
        _add(f"dequantize {_dtype}", name="DEQUANTIZE", dtype=_dtype, result="float32")
        for _other in ("int8", "uint8"):
            _add(f"requantize {_dtype} {_other}", name="QUANTIZE", dtype=_dtype, result=_other)
        _shift = {"scale": 0.1, "zero": {"int8": -28, "uint8": 100}[_dtype]}
        _other = "uint8" if _dtype == "int8" else "int8"
        _back = {"scale": 0.1, "zero": {"int8": -28, "uint8": 100}[_other]}
        for _ratio in (0.001, 200.0):
            _far = {"given_grid": {"scale": 0.01 * _ratio}, "made_grid": {"scale": 0.01}}
            _add(f"requantize far {_ratio} {_dtype}", name="QUANTIZE", dtype=_dtype, **_far)
            _add(
                f"leaky relu far {_ratio} {_dtype}",
                name="LEAKY_RELU",
                dtype=_dtype,
                options=schema.LeakyReluOptionsT(alpha=0.1),
                **_far,
            )
        _add(f"shift {_dtype}", name="QUANTIZE", dtype=_dtype, result=_other, given_grid=_shift, made_grid=_back)


@case("concatenation")
@case("concatenation uint8", dtype="uint8")
@case("concatenation float", dtype="float32")
def _joined(generator: np.random.Generator, dtype: str = "int8") -> bytes:
    file = TfliteFile()
    given = activation(file, generator, [1, 4, 5, 6], dtype)
    numbers = (
        generator.normal(0, 1, [1, 4, 5, 3]) if dtype == "float32" else generator.integers(-128, 128, [1, 4, 5, 3])
    )
    other = file.tensor([1, 4, 5, 3], dtype, *_same(file, given).values(), data=numbers)
    result = activation(file, generator, [1, 4, 5, 15], dtype, **_same(file, given))
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


_add("cast uint8 float", name="CAST", dtype="uint8", result="float32")
_add(
    "sum float", name="SUM", dtype="float32", options=schema.ReducerOptionsT(True), made=(1, 6, 1, 18), constants=([2],)
)
_add(
    "largest float",
    name="REDUCE_MAX",
    dtype="float32",
    options=schema.ReducerOptionsT(),
    made=(1, 18),
    constants=([1, 2],),
)
_add("log softmax float", name="LOG_SOFTMAX", dtype="float32", options=schema.LogSoftmaxOptionsT())


@case("matrices float")
@case("matrices turned float", turned=True)
def _matrices(generator: np.random.Generator, turned: bool = False) -> bytes:
    file = TfliteFile()
    given, other = file.tensor([1, 5, 7], "float32"), [1, 4, 7] if turned else [1, 7, 4]
    second = file.tensor(other, "float32", data=generator.normal(0, 1, other))
    result = file.tensor([1, 5, 4], "float32")
    file.operator("BATCH_MATMUL", [given, second], [result], schema.BatchMatMulOptionsT(False, turned))
    return file.written([given], [result])
