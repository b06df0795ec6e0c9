"""An ONNX model as plain data: nodes, constants, and the descriptions of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from edgerift.errors import ModelError, first_line

#: Operators of the default domain are known by their plain name.
_DEFAULT_DOMAINS: Final = ("", "ai.onnx")
#: The integer types that PyTorch computes with less well than with a wider one.
_WIDER: Final = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64, "int4": np.int8, "uint4": np.uint8}


@dataclass(frozen=True)
class TensorDescription:
    """An input or output: its name, its element type (`float`, `uint8` ...) and its extents, None where one is free.

    A model may leave the shape out; then `shape` is None.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class OnnxNode:
    """One node: the operator, as in `Conv` or `com.microsoft.QGemm`, and the names that it reads and writes.

    An input that is left out is an empty name.
    """

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def has(self, index: int) -> bool:
        """Return whether the input at a position is given."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def ints(self, attribute: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Read an attribute that is a list of whole numbers."""
        return tuple(int(value) for value in self.attributes.get(attribute, default))

    def __str__(self) -> str:
        """Name the node as a message does."""
        return f"{self.operator} '{self.name or self.outputs[0]}'"


@dataclass(frozen=True)
class OnnxGraph:
    """The nodes of a model in their order, its constants by name, and its inputs and outputs.

    `opset` is the version of the default domain's operators.
    """

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Tensor]
    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]
    opset: int


def read_graph(model: Any) -> OnnxGraph:
    """Read a `ModelProto` whose weights are inside.

    Functions of the model are inlined; the graphs inside of nodes (`If`, `Loop`) stay attributes of those. Raises
    `ModelError` for a tensor whose content does not fit its shape.
    """
    import onnx.inliner

    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    graph = model.graph
    constants = {tensor.name: tensor_of(tensor) for tensor in graph.initializer}
    return OnnxGraph(
        nodes=tuple(_node(node) for node in graph.node),
        constants=constants,
        # Files before the fourth version of the format list each constant among the inputs too.
        inputs=tuple(describe(value) for value in graph.input if value.name not in constants),
        outputs=tuple(describe(value) for value in graph.output),
        opset=max((entry.version for entry in model.opset_import if entry.domain in _DEFAULT_DOMAINS), default=1),
    )


def describe(value: Any) -> TensorDescription:
    """Describe an input or output of a graph."""
    import onnx

    kind = value.type.tensor_type
    extents = [dimension.dim_value if dimension.HasField("dim_value") else None for dimension in kind.shape.dim]
    return TensorDescription(
        name=value.name,
        dtype=onnx.TensorProto.DataType.Name(kind.elem_type).lower(),
        shape=tuple(extents) if kind.HasField("shape") else None,
    )


def tensor_of(tensor: Any) -> Tensor:
    """Read a stored tensor; raises `ModelError` when its content does not fit its shape or type."""
    import onnx

    try:
        values = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # Damaged content raises errors of every kind.
        raise ModelError(
            f"the model's tensor '{tensor.name[:80]}' is damaged ({first_line(error)[:200]}); export it again"
        ) from None
    wider: Any = _WIDER.get(str(values.dtype))
    if wider is None and values.dtype.kind not in "biuf":  # Types that numpy itself does not have.
        wider = np.float32
    kept = values if wider is None else values.astype(wider)
    return torch.from_numpy(np.array(kept, order="C"))


def _node(node: Any) -> OnnxNode:
    import onnx

    attributes: dict[str, Any] = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = tensor_of(value)
        attributes[attribute.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    domain = "" if node.domain in _DEFAULT_DOMAINS else f"{node.domain}."
    return OnnxNode(
        operator=f"{domain}{node.op_type}",
        name=node.name,
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes=attributes,
    )
