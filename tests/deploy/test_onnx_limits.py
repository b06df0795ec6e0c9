"""ONNX files that ask for more than a classifier of images can need: refused in one line, before memory is taken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx_models import made, one_node

from edgerift.deploy import inspect_build, onnx_module
from edgerift.errors import EdgeriftError

Array = np.ndarray[Any, Any]
_IMAGE = (1, 3, 8, 8)
_SUM = helper.make_node("Add", ["x", "large"], ["y"])


def _ints(*values: int) -> Array:
    return np.array(values, np.int64)


def _constant(operator: str, inputs: list[str], constants: Mapping[str, Array], **settings: Any) -> onnx.ModelProto:
    """A constant that an operator makes, added to the image."""
    return made([helper.make_node(operator, inputs, ["large"], **settings), _SUM], constants, _IMAGE)


_TERA = 2**40
LARGE = {
    "ConstantOfShape": _constant("ConstantOfShape", ["s"], {"s": _ints(2**20, 2**20)}),
    "Expand": _constant("Expand", ["c", "s"], {"c": np.ones(1, np.float32), "s": _ints(2**20, 2**20)}),
    "Tile": _constant("Tile", ["c", "s"], {"c": np.ones((1, 1), np.float32), "s": _ints(2**20, 2**20)}),
    "Range": _constant("Range", ["a", "b", "c"], {"a": np.array(0), "b": np.array(_TERA), "c": np.array(1)}),
    "Pad": _constant("Pad", ["c", "s"], {"c": np.ones(1, np.float32), "s": _ints(0, _TERA)}),
    "sum": _constant("Add", ["a", "b"], {"a": np.ones((2**18, 1), np.float32), "b": np.ones((1, 2**18), np.float32)}),
    "the image expanded": one_node("Expand", ("x", "s"), {"s": _ints(2**30, 3, 8, 8)}, _IMAGE),
    "the image resized": one_node(
        "Resize", ("x", "", "", "s"), {"s": _ints(1, 3, 2**20, 2**20)}, _IMAGE, {"mode": "linear"}
    ),
    "the image padded": one_node("Pad", ("x", "s"), {"s": _ints(0, 0, 0, 0, 0, 0, 2**20, 2**20)}, _IMAGE),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_model_that_asks_for_terabytes_is_refused_before_they_are_taken(name: str, tmp_path: Path) -> None:
    file = tmp_path / "large.onnx"
    onnx.save(LARGE[name], file)

    for ask in (onnx_module, inspect_build):
        with pytest.raises(EdgeriftError, match="numbers") as refused:
            ask(file)
        assert "\n" not in str(refused.value)


def test_a_size_that_is_known_only_when_it_is_computed_is_refused_as_well() -> None:
    nodes = [
        helper.make_node("Mul", ["half", "half"], ["length"]),
        helper.make_node("Max", ["length", "half"], ["longest"]),
        helper.make_node("ConstantOfShape", ["longest"], ["large"]),
        helper.make_node("Mul", ["large", "large"], ["square"]),
        helper.make_node("Add", ["x", "square"], ["y"]),
    ]

    with pytest.raises(EdgeriftError, match="numbers"):
        onnx_module(made(nodes, {"half": _ints(2**20)}, _IMAGE).SerializeToString())


@pytest.mark.parametrize("extents", [(-1, 4), (2**40,), (-4, -1)])
def test_a_stored_tensor_of_impossible_extents_is_refused(extents: tuple[int, ...]) -> None:
    tensor = TensorProto(name="large", dims=extents, data_type=TensorProto.FLOAT, raw_data=bytes(16))
    model = made([_SUM], {}, _IMAGE)
    model.graph.initializer.append(tensor)

    with pytest.raises(EdgeriftError, match="large"):
        onnx_module(model.SerializeToString())


def test_a_sparse_tensor_counts_with_all_its_zeros() -> None:
    values = TensorProto(name="large", dims=[1], data_type=TensorProto.FLOAT, raw_data=bytes(4))
    places = TensorProto(name="places", dims=[1], data_type=TensorProto.INT64, raw_data=bytes(8))
    model = made([_SUM], {}, _IMAGE)
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=values, indices=places, dims=[2**40]))

    with pytest.raises(EdgeriftError, match="would have"):
        onnx_module(model.SerializeToString())


def _with_functions(calls: Mapping[str, list[str]]) -> bytes:
    """A model whose functions call each other: by name, what each one calls in a row."""
    model = made([helper.make_node("f0", ["x"], ["y"], domain="own")], {}, _IMAGE)
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("own", 1)]
    model.opset_import.append(opsets[1])
    for name, called in calls.items():
        names = [f"v{index}" for index in range(len(called) + 1)]
        nodes = [
            helper.make_node(called[index], [names[index]], [names[index + 1]], domain="own" if "f" in one else "")
            for index, one in enumerate(called)
        ]
        model.functions.append(helper.make_function("own", name, names[:1], names[-1:], nodes, opsets))
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ({"f0": ["f1"], "f1": ["f0"]}, "calls itself"),
        ({f"f{index}": [f"f{index + 1}"] * 10 for index in range(9)} | {"f9": ["Relu"]}, "nodes"),
        ({f"f{index}": [f"f{index + 1}"] for index in range(2000)} | {"f2000": ["Relu"]}, "deep"),
    ],
)
def test_functions_that_grow_without_end_are_refused(calls: Mapping[str, list[str]], said: str) -> None:
    with pytest.raises(EdgeriftError, match=said):
        onnx_module(_with_functions(calls))


def test_functions_that_call_each_other_a_few_times_are_taken() -> None:
    module = onnx_module(_with_functions({"f0": ["f1", "f1"], "f1": ["Relu", "Neg"]}))

    assert torch.equal(module(torch.tensor([[2.0, -1.0]])), torch.tensor([[0.0, 0.0]]))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("operator", ["QuantizeLinear", "DequantizeLinear"])
def test_a_scale_that_is_no_scale_is_refused(operator: str, scale: float) -> None:
    reads = operator == "DequantizeLinear"
    model = one_node(
        operator,
        ("x", "s", "z"),
        {"s": np.array(scale, np.float32), "z": np.array(3, np.uint8)},
        _IMAGE,
        dtype="uint8" if reads else "float32",
        answer="float32" if reads else "uint8",
    )

    with pytest.raises(EdgeriftError, match="scale"):
        onnx_module(model.SerializeToString())


_LEVELS = np.ones((3, 3), np.int8)
_NUMBER, _POINT = np.float32(0.1), np.uint8(3)
_OPERANDS = {"xs": _NUMBER, "xz": _POINT, "w": _LEVELS, "wz": np.int8(0), "ys": _NUMBER, "yz": _POINT}
#: Operators with a weight that has a scale for each channel, `ws`: their inputs, and the constants of another shape.
WEIGHED: dict[str, tuple[tuple[str, ...], dict[str, Array]]] = {
    "QLinearConv": (("x", "xs", "xz", "w", "ws", "wz", "ys", "yz"), {"w": _LEVELS.reshape(3, 3, 1, 1)}),
    "QLinearMatMul": (("x", "xs", "xz", "w", "ws", "wz", "ys", "yz"), {}),
    "com.microsoft.QGemm": (("x", "xs", "xz", "w", "ws", "wz", "", "ys", "yz"), {}),
    "com.microsoft.MatMulIntegerToFloat": (("x", "w", "xs", "ws", "xz", "wz"), {}),
}


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("operator", WEIGHED)
def test_a_scale_of_a_weight_that_is_no_scale_is_refused_by_name(operator: str, scale: float) -> None:
    inputs, others = WEIGHED[operator]
    domain, _, name = operator.rpartition(".")
    shape = (2, 3, 4, 4) if name == "QLinearConv" else (2, 3)
    constants = {**_OPERANDS, **others, "ws": np.float32([0.1, 0.2, 0.3])}
    constants = {key: value for key, value in constants.items() if key in inputs}
    answer = "float32" if name.endswith("Float") else "uint8"
    kinds: dict[str, Any] = {"domain": domain, "dtype": "uint8", "answer": answer}

    onnx_module(one_node(name, inputs, constants, shape, **kinds).SerializeToString())
    constants["ws"] = np.float32([0.1, scale, 0.3])
    with pytest.raises(EdgeriftError, match=f"{name}.* has the scale {scale:g} in its input"):
        onnx_module(one_node(name, inputs, constants, shape, **kinds).SerializeToString())
