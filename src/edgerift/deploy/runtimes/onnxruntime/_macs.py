"""How much of an `.onnx` runs in integer kernels, read off the graph that ONNX Runtime itself has optimised."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from edgerift.deploy.runtimes.onnxruntime._optimised import optimised
from edgerift.errors import BuildError, first_line

#: Operators that multiply and accumulate in integers, and the position of their weight among the inputs.
_INTEGER: Final = {
    "QLinearConv": 3,
    "QGemm": 3,
    "QLinearMatMul": 3,
    "ConvInteger": 1,
    "MatMulInteger": 1,
    "MatMulIntegerToFloat": 1,
    "DynamicQuantizeMatMul": 1,
}
#: The same for operators that multiply and accumulate in float.
_FLOAT: Final = {"Conv": 1, "FusedConv": 1, "Gemm": 1, "FusedGemm": 1, "MatMul": 1, "FusedMatMul": 1}


def integer_share(path: Path) -> float:
    """The share of multiply-accumulates of convolutions and matrix products in integer kernels, in [0, 1].

    Raises :class:`~edgerift.errors.BuildError` for a model that has none of either.
    """
    model = optimised(path)
    counted = [
        (node, node.input[table[node.op_type]], table is _INTEGER)
        for node in model.graph.node
        for table in (_INTEGER, _FLOAT)
        if node.op_type in table
    ]
    if not counted:
        raise BuildError(f"{path.name} holds no convolution and no matrix product, so it has no share of integer work")
    shapes = _shapes(model, {name for node, weight, _ in counted for name in (node.output[0], weight)})
    totals = {True: 0, False: 0}
    for node, weight, is_integer in counted:
        totals[is_integer] += _multiply_accumulates(node, shapes[node.output[0]], shapes[weight])
    return totals[True] / sum(totals.values())


def _shapes(model: Any, names: set[str]) -> dict[str, list[int]]:
    """The shapes of tensors: of stored ones as they are, of others by computing them for one blank image.

    Files seldom tell the shapes of what is computed, and the graph that ONNX Runtime saves does not either.
    """
    shapes = {value.name: list(value.dims) for value in model.graph.initializer}
    computed = sorted(names - shapes.keys())
    answers = _asked(model, computed)
    return shapes | {name: list(answer.shape) for name, answer in zip(computed, answers, strict=True)}


def _asked(model: Any, names: list[str]) -> list[Any]:
    """Run a model as it stands on one blank image, and return tensors of it."""
    import numpy as np
    import onnxruntime

    while model.graph.output:
        model.graph.output.pop()
    for name in names:
        model.graph.output.add().name = name
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        (image,) = session.get_inputs()
        shape = [extent if isinstance(extent, int) else 1 for extent in image.shape]
        kinds = {"tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(float16)": np.float16}
        answers: list[Any] = session.run(None, {image.name: np.zeros(shape, kinds.get(image.type, np.float32))})
    except Exception as error:
        raise BuildError(
            f"ONNX Runtime cannot compute the shapes of the model's tensors: {first_line(error)}"
        ) from None
    return answers


def _multiply_accumulates(node: Any, result: list[int], weight: list[int]) -> int:
    if "Conv" in node.op_type:
        return math.prod(result) * math.prod(weight[1:])
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return math.prod(result) * weight[-1 if transposed else -2]
