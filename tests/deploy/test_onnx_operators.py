"""Each operator of an ONNX graph against ONNX Runtime, which computes it by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from onnx_models import asked, computed, one_node

from edgerift.deploy import onnx_module
from edgerift.errors import ModelError

Array = np.ndarray[Any, Any]
_DRAWN = np.random.default_rng(0)


def _real(*shape: int) -> Array:
    return _DRAWN.normal(size=shape).astype(np.float32)


def _whole(*values: int) -> Array:
    return np.array(values, np.int64)


class Case(NamedTuple):
    """One operator: what it is given beside `x`, and the extents of that."""

    operator: str
    constants: Mapping[str, Array] = {}
    attributes: Mapping[str, Any] = {}
    shape: Sequence[int] = (2, 4, 6, 7)
    inputs: Sequence[str] = ()
    opset: int = 19
    domain: str = ""
    outputs: Sequence[str] = ("y",)


_PADS = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 2]}
_SAME = {"kernel_shape": [3, 3], "strides": [2, 2]}
_WEIGHT = {"w": _real(5, 4, 3, 3), "b": _real(5)}
_STATISTICS = {"s": _real(4), "b": _real(4), "m": _real(4), "v": np.abs(_real(4)) + 0.1}
_KEYS = {"k": _real(2, 4, 5, 8), "v": _real(2, 4, 5, 7)}
_ROWS = {"k": _real(2, 5, 12), "v": _real(2, 5, 18)}
_HEADS = {"num_heads": 3, "unidirectional": 1, "scale": 0.4}

CASES = [
    *(Case(name) for name in ("Relu", "Sigmoid", "Tanh", "Exp", "Neg", "Abs", "Floor", "Ceil", "Erf", "Softplus")),
    *(Case(name) for name in ("HardSwish", "Mish", "Elu", "HardSigmoid", "LeakyRelu", "Identity", "Flatten")),
    *(Case(name) for name in ("Sign", "Round", "Sin", "Cos", "Softsign", "Selu", "Celu", "ThresholdedRelu")),
    Case("Swish", attributes={"alpha": 1.5}, opset=24),
    Case("Elu", attributes={"alpha": 0.3}),
    Case("LeakyRelu", attributes={"alpha": 0.3}),
    Case("HardSigmoid", attributes={"alpha": 0.3, "beta": 0.4}),
    Case("Gelu", opset=20),
    Case("Gelu", attributes={"approximate": "tanh"}, opset=20),
    Case("Gelu", domain="com.microsoft"),
    Case("QuickGelu", domain="com.microsoft"),
    Case("FastGelu", domain="com.microsoft", constants={"b": _real(7)}),
    Case("BiasGelu", domain="com.microsoft", constants={"b": _real(7)}),
    *(Case(name, {"b": _real(4, 1, 1)}) for name in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "PRelu")),
    Case("Add", {"b": _real(3, 1, 4, 1, 1)}),
    Case("Mean", {"b": _real(4, 1, 1)}),
    Case("Mod", {"b": _real(4, 1, 1)}, {"fmod": 1}),
    *(Case(name, {"a": _real(6, 7)}, inputs=("a", "x")) for name in ("Sub", "Div")),
    Case("Clip", {"low": np.float32(-0.5), "high": np.float32(0.7)}),
    Case("Clip", {"high": np.float32(0.7)}, inputs=("x", "", "high")),
    Case("Clip", attributes={"min": -0.2, "max": 0.9}, opset=10),
    Case("Softmax", shape=(3, 5)),
    Case("Softmax", attributes={"axis": 1}),
    Case("Softmax", attributes={"axis": 1}, opset=12),
    Case("LogSoftmax", attributes={"axis": 2}),
    Case("Conv", _WEIGHT, _PADS),
    Case("Conv", _WEIGHT, {**_SAME, "auto_pad": "SAME_UPPER"}),
    Case("Conv", _WEIGHT, {**_SAME, "auto_pad": "SAME_LOWER"}),
    Case("Conv", _WEIGHT, {"dilations": [2, 2], "auto_pad": "VALID"}),
    Case("Conv", {"w": _real(4, 1, 3, 3)}, {"group": 4, "pads": [1, 1, 1, 1]}),
    Case("Conv", {"w": _real(3, 4, 3)}, {"strides": [2]}, (2, 4, 9)),
    Case("ConvTranspose", {"w": _real(4, 3, 2, 2), "b": _real(3)}, {"strides": [2, 2]}),
    Case("FusedConv", _WEIGHT, {"activation": "Relu"}, domain="com.microsoft"),
    Case("Gemm", {"w": _real(5, 6), "b": _real(6)}, {"alpha": 0.5, "beta": 2.0}, (3, 5)),
    Case("Gemm", {"w": _real(6, 5)}, {"transB": 1}, (3, 5)),
    Case("MatMul", {"w": _real(7, 5)}),
    Case("FusedMatMul", {"w": _real(5, 7)}, {"transB": 1, "alpha": 0.5}, domain="com.microsoft"),
    Case("BatchNormalization", _STATISTICS),
    Case("LayerNormalization", {"s": _real(7), "b": _real(7)}),
    Case("LayerNormalization", {"s": _real(6, 7)}, {"axis": 2}),
    Case("InstanceNormalization", {"s": _real(4), "b": _real(4)}),
    Case("InstanceNormalization", {"s": _real(4), "b": _real(4)}, {"epsilon": 0.1}),
    Case("GroupNormalization", {"s": _real(2), "b": _real(2)}, {"num_groups": 2}, opset=18),
    Case("GroupNormalization", {"s": _real(4), "b": _real(4)}, {"num_groups": 2}, opset=21),
    Case("RMSNormalization", {"s": _real(7)}, opset=23),
    Case("SimplifiedLayerNormalization", {"s": _real(7)}),
    Case(
        "SkipLayerNormalization",
        {"k": _real(2, 6, 7), "s": _real(7), "b": _real(7), "c": _real(7)},
        shape=(2, 6, 7),
        domain="com.microsoft",
    ),
    Case("LRN", attributes={"size": 3, "alpha": 0.5}),
    Case("LRN", attributes={"size": 5, "bias": 2.0}),
    Case("LpNormalization", attributes={"p": 1, "axis": 1}),
    Case("LpNormalization"),
    Case("MaxPool", attributes=_PADS),
    Case("MaxPool", attributes={**_SAME, "auto_pad": "SAME_UPPER"}),
    Case("MaxPool", attributes={**_SAME, "ceil_mode": 1, "dilations": [2, 1]}),
    Case("AveragePool", attributes={**_PADS, "count_include_pad": 1}),
    Case("AveragePool", attributes={**_SAME, "pads": [1, 1, 1, 1]}),
    Case("GlobalAveragePool"),
    Case("GlobalMaxPool"),
    Case("ReduceMean", {"axes": _whole(2, 3)}, {"keepdims": 0}),
    Case("ReduceMean", attributes={"axes": [-1]}, opset=13),
    Case("ReduceMean"),
    Case("ReduceSum", {"axes": _whole(1)}),
    Case("ReduceMax", {"axes": _whole(1)}),
    *(Case(name, {"axes": _whole(1, 3)}) for name in ("ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2")),
    *(Case(name, {"axes": _whole(-1)}, {"keepdims": 0}) for name in ("ReduceSumSquare", "ReduceLogSumExp")),
    Case("Flatten", attributes={"axis": 2}),
    Case("Reshape", {"shape": _whole(0, 2, -1)}),
    Case("Transpose", attributes={"perm": [0, 2, 3, 1]}),
    Case("Transpose"),
    Case("Squeeze", {"axes": _whole(1)}, shape=(2, 1, 3)),
    Case("Unsqueeze", {"axes": _whole(1, -1)}, shape=(2, 3)),
    Case("Concat", {"b": _real(2, 1, 6, 7)}, {"axis": 1}),
    Case("Slice", {"starts": _whole(-1, 1), "ends": _whole(-100, 5), "axes": _whole(2, 3), "steps": _whole(-2, 2)}),
    Case("Slice", {"starts": _whole(1), "ends": _whole(100)}),
    Case("Slice", attributes={"starts": [1, -3], "ends": [100, -1], "axes": [2, 3]}, opset=9),
    Case("Split", {"sizes": _whole(1, 3)}, {"axis": 1}, outputs=("first", "y")),
    Case("Split", attributes={"axis": 3, "num_outputs": 2}, outputs=("first", "y")),
    Case("Gather", {"index": _whole(2, -1)}, {"axis": 2}),
    Case("Gather", {"index": np.int64(1)}, {"axis": 1}),
    Case("Expand", {"shape": _whole(3, 1, 1, 6, 7)}),
    Case("DepthToSpace", attributes={"blocksize": 2, "mode": "CRD"}),
    Case("DepthToSpace", attributes={"blocksize": 2}),
    Case("SpaceToDepth", attributes={"blocksize": 2}, shape=(2, 3, 6, 4)),
    Case("Tile", {"times": _whole(1, 2, 1, 3)}),
    Case("GatherElements", {"index": _whole(1, -1, 0, 2).reshape(2, 2, 1, 1)}, {"axis": 1}),
    Case("GatherND", {"index": _whole(1, 2, 0, -1).reshape(2, 2)}),
    Case("ScatterND", {"index": _whole(1, 2, 0, -1).reshape(2, 2), "new": _real(2, 6, 7)}),
    Case("Trilu", {"shift": np.int64(1)}),
    Case("Trilu", attributes={"upper": 0}),
    Case("CumSum", {"axis": np.int64(2)}),
    Case("CumSum", {"axis": np.int64(-1)}, {"exclusive": 1, "reverse": 1}),
    Case("Einsum", {"w": _real(2, 4, 7, 3)}, {"equation": "bhij,bhjk->bhik"}),
    Case("Pad", {"pads": _whole(0, 0, 1, 2, 0, 0, 3, 0), "value": np.float32(0.5)}),
    Case("Pad", {"pads": _whole(0, 0, 1, 2, 0, 0, 3, 1)}, {"mode": "reflect"}),
    Case("Pad", {"pads": _whole(1, 2), "value": np.float32(0), "axes": _whole(-1)}),
    Case("Resize", {"scales": np.float32([1, 1, 2, 2])}, {"mode": "linear"}, inputs=("x", "", "scales")),
    Case(
        "Resize",
        {"scales": np.float32([1, 1, 2, 2])},
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        inputs=("x", "", "scales"),
    ),
    *(
        Case(
            "Resize",
            {"sizes": _whole(2, 4, 9, 5)},
            {"mode": "nearest", "coordinate_transformation_mode": place, "nearest_mode": rounding},
            inputs=("x", "", "", "sizes"),
        )
        for place in ("half_pixel", "asymmetric", "align_corners")
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    ),
    Case("Resize", {"scales": np.float32([1, 2, 2, 1])}, {"mode": "nearest"}, inputs=("x", "", "scales")),
    Case("Resize", {"scales": np.float32([1, 2, 2, 1])}, {"mode": "linear"}, inputs=("x", "", "scales")),
    Case("Resize", {"scales": np.float32([1, 1, 2, 3])}, opset=10),
    Case("Upsample", {"scales": np.float32([1, 1, 2, 3])}, opset=9),
    *(Case("Pad", {"pads": _whole(0, 1, 2, 0, 0, 2, 1, 0)}, {"mode": mode}) for mode in ("reflect", "edge", "wrap")),
    Case("Cast", attributes={"to": 10}),
    Case("Attention", _KEYS, shape=(2, 4, 6, 8), opset=23),
    Case("Attention", {**_KEYS, "m": _real(6, 5)}, {"scale": 0.3}, (2, 4, 6, 8), opset=23),
    Case("Attention", {**_KEYS, "m": _real(2, 1, 6, 5) < 1}, {"is_causal": 1}, (2, 4, 6, 8), opset=23),
    Case(
        "Attention",
        {"k": _real(2, 5, 16), "v": _real(2, 5, 12)},
        {"q_num_heads": 4, "kv_num_heads": 2},
        (2, 6, 32),
        opset=23,
    ),
    Case("MultiHeadAttention", _ROWS, {"num_heads": 3}, (2, 6, 12), domain="com.microsoft"),
    Case("MultiHeadAttention", {**_ROWS, "b": _real(42)}, _HEADS, (2, 6, 12), domain="com.microsoft"),
    Case(
        "MultiHeadAttention",
        {**_ROWS, "m": _real(2, 3, 6, 5)},
        {"num_heads": 3},
        (2, 6, 12),
        ("x", "k", "v", "", "", "m"),
        domain="com.microsoft",
    ),
    Case("Attention", {"w": _real(10, 36), "b": _real(36)}, _HEADS, (2, 6, 10), domain="com.microsoft"),
    Case(
        "Attention",
        {"w": _real(10, 30), "b": _real(30), "m": _real(2, 3, 6, 6)},
        {"num_heads": 3, "qkv_hidden_sizes": [12, 12, 6], "unidirectional": 1},
        (2, 6, 10),
        ("x", "w", "b", "", "", "m"),
        domain="com.microsoft",
    ),
    *(
        Case(
            "Resize",
            {"sizes": _whole(2, 4, *sizes)},
            {"mode": "cubic", "coordinate_transformation_mode": place, **more},
            inputs=("x", "", "", "sizes"),
        )
        for place, sizes, more in (
            ("half_pixel", (9, 5), {}),
            ("align_corners", (3, 11), {"cubic_coeff_a": -0.5}),
            ("pytorch_half_pixel", (1, 8), {}),
            ("asymmetric", (8, 3), {"exclude_outside": 1}),
        )
    ),
    Case("Resize", {"scales": np.float32([1, 1, 1.7, 0.6])}, {"mode": "cubic"}, inputs=("x", "", "scales")),
    Case(
        "Resize",
        {"sizes": _whole(2, 4, 9, 5)},
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
        inputs=("x", "", "", "sizes"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operator)
def test_a_float_operator_computes_as_onnx_runtime_does(case: Case) -> None:
    chosen = case.outputs.index("y")
    outputs = ["y", *case.outputs[1:]] if chosen == 0 else case.outputs
    model = one_node(
        case.operator,
        case.inputs or ("x", *case.constants),
        case.constants,
        case.shape,
        case.attributes,
        domain=case.domain,
        outputs=outputs,
        opset=case.opset,
        answer="float16" if case.operator == "Cast" else "float32",
    )
    model.graph.output[0].name = "y"
    images = np.random.default_rng(1).normal(size=case.shape).astype(np.float32)

    torch.testing.assert_close(computed(model, images), asked(model, images), atol=2e-6, rtol=2e-5)


@pytest.mark.parametrize(
    ("case", "told"),
    [
        (Case("Attention", _KEYS, {"softcap": 2.0}, (2, 4, 6, 8), opset=23), "attends with its softcap"),
        (
            Case(
                "MultiHeadAttention",
                {**_ROWS, "m": np.ones((2, 5), np.int32)},
                {"num_heads": 3},
                (2, 6, 12),
                ("x", "k", "v", "", "m"),
                domain="com.microsoft",
            ),
            "attends with its input 4",
        ),
        (
            Case(
                "Resize",
                {"sizes": _whole(2, 4, 3, 3)},
                {"mode": "cubic", "antialias": 1},
                inputs=("x", "", "", "sizes"),
            ),
            "smooths what it makes smaller",
        ),
    ],
    ids=["softcap", "padding", "antialias"],
)
def test_a_setting_without_a_translation_is_refused_by_name(case: Case, told: str) -> None:
    inputs = case.inputs or ("x", *case.constants)
    model = one_node(
        case.operator, inputs, case.constants, case.shape, case.attributes, domain=case.domain, opset=case.opset
    )
    with pytest.raises(ModelError, match=f"{case.operator} .*{told}"):
        onnx_module(model.SerializeToString())
