"""ONNX models of one operator, and what ONNX Runtime answers: the reference of a translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from edgerift.deploy import onnx_module

KINDS = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "int64": TensorProto.INT64,
}


def one_node(
    operator: str,
    inputs: Sequence[str],
    constants: Mapping[str, np.ndarray[Any, Any]],
    shape: Sequence[int | str],
    attributes: Mapping[str, Any] | None = None,
    *,
    domain: str = "",
    dtype: str = "float32",
    answer: str = "float32",
    outputs: Sequence[str] = ("y",),
    opset: int = 19,
) -> onnx.ModelProto:
    """Make a model whose one input `x` goes through one operator; constants are initialisers by name."""
    node = helper.make_node(operator, list(inputs), list(outputs), domain=domain, **(attributes or {}))
    return made([node], constants, shape, dtype=dtype, answer=answer, output=outputs[0], opset=opset)


def made(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray[Any, Any]],
    shape: Sequence[int | str],
    *,
    dtype: str = "float32",
    answer: str = "float32",
    output: str = "y",
    opset: int = 19,
) -> onnx.ModelProto:
    """Make a model of nodes with one input `x`."""
    graph = helper.make_graph(
        list(nodes),
        "made",
        [helper.make_tensor_value_info("x", KINDS[dtype], list(shape))],
        [helper.make_tensor_value_info(output, KINDS[answer], None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def asked(model: onnx.ModelProto, value: np.ndarray[Any, Any]) -> Tensor:
    """Ask ONNX Runtime, which computes each node as it stands."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(np.asarray(session.run(None, {"x": value})[0]))


def computed(model: onnx.ModelProto, value: np.ndarray[Any, Any]) -> Tensor:
    """Compute the same with the translated module."""
    with torch.no_grad():
        answer: Tensor = onnx_module(model.SerializeToString())(torch.from_numpy(value).float())
    return answer
