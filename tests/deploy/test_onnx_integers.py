"""The integer operators of ONNX Runtime, against itself: equal in every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from onnx_models import asked, computed, one_node

Array = np.ndarray[Any, Any]
_DRAWN = np.random.default_rng(0)
_MICROSOFT = "com.microsoft"


def _levels(kind: str, *shape: int) -> Array:
    ends = np.iinfo(kind)
    return _DRAWN.integers(ends.min, ends.max + 1, shape).astype(kind)


def _f(*values: float) -> Array:
    return np.float32(values if len(values) > 1 else values[0])


class Case(NamedTuple):
    """One operator on integers `x`: its other inputs in their order, and the extents of `x`."""

    operator: str
    inputs: Mapping[str, Array | None]
    shape: Sequence[int]
    attributes: Mapping[str, Any] = {}
    kind: str = "uint8"
    answer: str = "uint8"
    first: int = 0
    domain: str = ""


def _grid(name: str, scale: float, zero: int, kind: str = "uint8") -> dict[str, Array]:
    return {f"{name}_scale": _f(scale), f"{name}_zero": np.array(zero, kind)}


def _convolution(kind: str, weights: str, zero: int, per_channel: bool, groups: int = 1, **attributes: Any) -> Case:
    weight = _levels(weights, 6, 4 // groups, 3, 3)
    scale = _f(*(0.001 * (2 + index) for index in range(6))) if per_channel else _f(0.0043)
    return Case(
        "QLinearConv",
        {
            **_grid("x", 0.021, 131 if kind == "uint8" else -3, kind),
            "w": weight,
            "w_scale": scale,
            "w_zero": np.full(scale.shape, zero, weights),
            **_grid("y", 0.25, 101 if kind == "uint8" else 7, kind),
            "b": _DRAWN.integers(-5000, 5000, 6).astype(np.int32),
        },
        (3, 9, 8, 4) if "channels_last" in attributes else (3, 4, 9, 8),
        {"group": groups, **attributes},
        kind,
        kind,
        domain=_MICROSOFT if "channels_last" in attributes else "",
    )


def _product(kind: str, weights: str, per_channel: bool, rounded: bool, **attributes: Any) -> Case:
    turned = attributes.get("transB", 0)
    weight = _levels(weights, *((7, 40) if turned else (40, 7)))
    scale = _f(*(0.001 * (2 + index) for index in range(7))) if per_channel else _f(0.0043)
    result = _grid("y", 0.3, 101 if kind == "uint8" else 5, kind) if rounded else {}
    inputs = {
        **_grid("x", 0.021, 131 if kind == "uint8" else -3, kind),
        "w": weight,
        "w_scale": scale,
        "w_zero": np.zeros(scale.shape, weights),
        "b": _DRAWN.integers(-5000, 5000, 7).astype(np.int32),
        **result,
    }
    answer = kind if rounded else "float32"
    return Case("QGemm", inputs, (50, 40), attributes, kind, answer, domain=_MICROSOFT)


def _pair(operator: str, kind: str, first: int, second: int, result: int, scale: float = 0.05) -> Case:
    inputs = {
        **_grid("x", 0.031, first, kind),
        "b": _levels(kind, 256),
        **_grid("b", 0.017, second, kind),
        **_grid("y", scale, result, kind),
    }
    return Case(operator, inputs, (256, 256), {}, kind, kind, domain=_MICROSOFT)


def _alone(operator: str, kind: str, scale: float, zero: int, shape: Sequence[int], **attributes: Any) -> Case:
    inputs = {**_grid("x", 0.031, 120 if kind == "uint8" else -9, kind), **_grid("y", scale, zero, kind)}
    return Case(operator, inputs, shape, attributes, kind, kind, domain=_MICROSOFT)


CASES = [
    _convolution("uint8", "int8", 0, per_channel=False),
    _convolution("uint8", "int8", 0, per_channel=True, pads=[1, 1, 1, 1]),
    _convolution("uint8", "uint8", 117, per_channel=False, pads=[0, 1, 2, 1]),
    _convolution("int8", "int8", 0, per_channel=True, strides=[2, 2], auto_pad="SAME_UPPER"),
    _convolution("uint8", "int8", 0, per_channel=True, groups=2, dilations=[2, 2]),
    _convolution("uint8", "int8", 0, per_channel=True, pads=[1, 1, 1, 1], channels_last=1),
    _product("uint8", "int8", per_channel=False, rounded=True),
    _product("uint8", "int8", per_channel=True, rounded=True, transB=1),
    _product("int8", "int8", per_channel=True, rounded=True, alpha=0.75),
    _product("uint8", "uint8", per_channel=False, rounded=False),
    _product("uint8", "int8", per_channel=True, rounded=False, transB=1),
    Case(
        "QLinearMatMul",
        {
            **_grid("x", 0.021, 131),
            "w": _levels("int8", 40, 7),
            "w_scale": _f(0.004),
            "w_zero": np.array(0, np.int8),
            **_grid("y", 0.3, 101),
        },
        (2, 30, 40),
    ),
    _pair("QLinearAdd", "uint8", 120, 131, 117),
    _pair("QLinearAdd", "uint8", 0, 0, 0),
    _pair("QLinearAdd", "int8", -3, 5, 11),
    _pair("QLinearMul", "uint8", 120, 131, 117),
    _pair("QLinearMul", "uint8", 0, 3, 0, 0.06),
    _pair("QLinearMul", "int8", -3, 5, 11),
    _alone("QLinearGlobalAveragePool", "uint8", 0.012, 117, (20, 16, 7, 5), channels_last=0),
    _alone("QLinearGlobalAveragePool", "int8", 0.012, 3, (20, 16, 7, 5), channels_last=0),
    _alone("QLinearGlobalAveragePool", "uint8", 0.012, 117, (20, 7, 5, 16), channels_last=1),
    _alone("QLinearAveragePool", "uint8", 0.03, 117, (5, 9, 8, 4), kernel_shape=[2, 2], channels_last=1),
    _alone("QLinearAveragePool", "uint8", 0.012, 117, (5, 4, 9, 8), kernel_shape=[3, 3], strides=[2, 2]),
    _alone("QLinearAveragePool", "uint8", 0.03, 117, (5, 4, 9, 8), kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
    _alone("QLinearSigmoid", "uint8", 1 / 256, 0, (256,)),
    _alone("QLinearSigmoid", "int8", 1 / 200, -128, (256,)),
    *(_alone("QLinearSigmoid", "uint8", 0.0005 * step, step, (256,)) for step in range(5, 15)),
    *(_alone("QLinearLeakyRelu", "uint8", 0.003 * step, 90 + step, (256,), alpha=0.1) for step in range(5, 15)),
    _alone("QLinearSoftmax", "uint8", 1 / 255, 0, (200, 10), opset=13),
    _alone("QLinearSoftmax", "uint8", 1 / 256, 0, (200, 10), axis=1, opset=12),
    _alone("QLinearSoftmax", "int8", 1 / 256, -128, (200, 10), opset=13),
    Case(
        "QLinearConcat",
        {
            **_grid("y", 0.05, 100),
            "x": None,
            **_grid("x", 0.031, 120),
            "b": _levels("uint8", 9, 40),
            **_grid("b", 0.05, 100),
        },
        (9, 200),
        {"axis": 1},
        domain=_MICROSOFT,
    ),
    Case(
        "QLinearWhere",
        {
            "chosen": np.arange(256) % 3 == 0,
            "x": None,
            **_grid("x", 0.031, 120),
            "b": _levels("uint8", 256),
            **_grid("b", 0.017, 131),
            **_grid("y", 0.05, 100),
        },
        (256,),
        domain=_MICROSOFT,
    ),
    Case("DequantizeLinear", _grid("x", 0.031, 120), (256,), answer="float32"),
    Case("MaxPool", {}, (2, 4, 9, 8), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.operator}-{case.kind}")
def test_an_integer_operator_gives_equal_numbers(case: Case) -> None:
    names = tuple(case.inputs) if "x" in case.inputs else ("x", *case.inputs)
    constants = {name: value for name, value in case.inputs.items() if value is not None}
    model = one_node(
        case.operator,
        names,
        constants,
        case.shape,
        case.attributes,
        domain=case.domain,
        dtype=case.kind,
        answer=case.answer,
    )
    ends = np.iinfo(case.kind)
    values = np.random.default_rng(1).integers(ends.min, ends.max + 1, case.shape).astype(case.kind)
    if len(case.shape) == 1:
        values = np.arange(ends.min, ends.max + 1).astype(case.kind)

    assert torch.equal(computed(model, values), asked(model, values).float())


@pytest.mark.parametrize(("kind", "zero"), [("uint8", 0), ("uint8", 117), ("int8", -3), ("int8", 0)])
def test_rounding_to_a_grid_gives_equal_numbers(kind: str, zero: int) -> None:
    model = one_node(
        "QuantizeLinear", ("x", "s", "z"), {"s": _f(0.02), "z": np.array(zero, kind)}, (9999,), answer=kind
    )
    values = np.random.default_rng(1).normal(size=9999).astype(np.float32)
    values[:400] = (np.arange(-200, 200) + 0.5).astype(np.float32) * np.float32(0.02)  # Half way between two levels.

    assert torch.equal(computed(model, values), asked(model, values).float())
