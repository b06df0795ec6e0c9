"""How much of an `.onnx` runs in integer kernels, read off the graph that ONNX Runtime itself has optimised."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, Final

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
    graph = _optimised(path).graph
    shapes = _shapes(graph)
    totals = {True: 0, False: 0}
    for node in graph.node:
        for table in (_INTEGER, _FLOAT):
            if node.op_type in table:
                totals[table is _INTEGER] += _multiply_accumulates(node, table[node.op_type], shapes)
    if not sum(totals.values()):
        raise BuildError(f"{path.name} holds no convolution and no matrix product, so it has no share of integer work")
    return totals[True] / sum(totals.values())


def _optimised(path: Path) -> Any:
    """Let ONNX Runtime optimise the model, short of the changes of memory layout that rename its tensors."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    # A graph that is saved after optimisation fits this machine alone: intended, but it would give a warning.
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(written)
        try:
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BuildError(f"ONNX Runtime cannot load {path}: {first_line(error)}") from None
        return onnx.load(written, load_external_data=False)


def _shapes(graph: Any) -> dict[str, list[int]]:
    """The shape of each tensor whose shape ONNX Runtime knows, for one image: a free dimension counts as 1."""
    shapes = {value.name: list(value.dims) for value in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape"):
            shapes[value.name] = [dimension.dim_value or 1 for dimension in kind.shape.dim]
    return shapes


def _multiply_accumulates(node: Any, position: int, shapes: dict[str, list[int]]) -> int:
    missing = [name for name in (node.output[0], node.input[position]) if name not in shapes]
    if missing:
        raise BuildError(f"ONNX Runtime gives no shape for '{missing[0]}' of {node.op_type} '{node.name}'")
    result, weight = shapes[node.output[0]], shapes[node.input[position]]
    if "Conv" in node.op_type:
        return math.prod(result) * math.prod(weight[1:])
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return math.prod(result) * weight[-1 if transposed else -2]
