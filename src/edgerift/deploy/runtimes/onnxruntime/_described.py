"""What an ONNX file says of itself: its input and output, and whether it chooses its grids as it runs."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from edgerift.deploy.builds._described import specification_of
from edgerift.deploy.twins.onnx._graph import TensorDescription, describe, tensor_of
from edgerift.errors import BuildError
from edgerift.specification import Quantization, Specification

_DYNAMIC: Final = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")


class DescribedModel(NamedTuple):
    """An ONNX file's own words: its specification, its input's extents behind the batch, and how it quantizes."""

    specification: Specification
    extents: tuple[int | None, ...] | None
    is_dynamic: bool


def describe_model(model: Any, file: str) -> DescribedModel:
    """Read how a `ModelProto` of a file wants its image and what it answers; its weights are not looked at.

    Raises :class:`~edgerift.errors.BuildError` for a file that is no ONNX model, and for one that takes no single
    image.
    """
    graph = model.graph
    image = _image(graph, file)
    shape = image.shape or (None,) * 4
    found = specification_of(image.dtype, shape, file, image.name)
    reads, writes = _quantizations(graph, file)
    quantization = reads.get(image.name) if found.input.is_integer else None
    if quantization is not None:
        found = found.replace(input=found.input.replace(quantization=quantization))
    outputs = [describe(value) for value in graph.output]
    if len(outputs) == 1 and outputs[0].dtype in ("uint8", "int8") and outputs[0].name in writes:
        found = found.replace(output=found.output.replace(quantization=writes[outputs[0].name]))
    is_dynamic = any(node.op_type in _DYNAMIC for node in graph.node)
    return DescribedModel(found, None if image.shape is None else shape[1:], is_dynamic)


def _image(graph: Any, file: str) -> TensorDescription:
    """Find the one input that is no weight."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [describe(value) for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        named = ", ".join(f"'{value.name}'" for value in inputs) or "none"
        raise BuildError(f"{file} has {len(inputs)} inputs ({named}); a classifier of images has one")
    return inputs[0]


def _quantizations(graph: Any, file: str) -> tuple[dict[str, Quantization], dict[str, Quantization]]:
    """Find the scales with which integer tensors are read and written, by the names of those tensors."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            stored[node.output[0]] = node.attribute[0].t
    reads: dict[str, Quantization] = {}
    writes: dict[str, Quantization] = {}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.input[1] not in stored:
            continue
        scale = _scale(tensor_of(stored[node.input[1]]), node, file)
        zero = tensor_of(stored[node.input[2]]) if len(node.input) > 2 and node.input[2] in stored else None
        is_wide = zero is not None and zero.dtype not in (torch.uint8, torch.int8)
        if scale.numel() != 1 or is_wide or not float(scale) > 0:
            continue
        found = Quantization(scale=float(scale), zero_point=0 if zero is None else int(zero))
        (reads if node.op_type == "DequantizeLinear" else writes)[_of(node)] = found
    return reads, writes


def _scale(scale: Tensor, node: Any, file: str) -> Tensor:
    """Refuse a scale that no quantizer writes; 0 is that of a channel whose weights are all 0."""
    damaged = scale[~((scale >= 0) & (scale < math.inf))]
    if damaged.numel():
        wrong = f"the scale of '{_of(node)}' is {float(damaged[0]):g}"
        raise BuildError(f"{file} is damaged: {wrong}; copy it again, or quantize it again")
    return scale


def _of(node: Any) -> str:
    """Name the integer tensor of a node that reads or writes one."""
    return str(node.input[0] if node.op_type == "DequantizeLinear" else node.output[0])
