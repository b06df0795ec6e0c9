"""Operators of `.tflite` files on one tensor, with constants behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_files import TfliteFile
from tflite_table import activation, case, same_grid


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
    grid = same_grid(file, given) if same else (made_grid or {})
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
