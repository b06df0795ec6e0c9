"""From the bytes of a `.tflite` file to its graph; every size is looked at before memory is taken for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.twins.onnx._limits import MOST_ELEMENTS
from edgerift.deploy.twins.tflite._flatbuffer import Walk, model_in, schema, undamaged
from edgerift.deploy.twins.tflite._graph import Scales, TfliteGraph, TfliteOperator, TfliteTensor
from edgerift.deploy.twins.tflite._options import read_options
from edgerift.errors import ModelError

_NUMPY: Final = {
    "float32": np.float32,
    "float16": np.float16,
    "float64": np.float64,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "bool": np.bool_,
}
_MOST_DIMENSIONS: Final = 8
#: The most numbers that are computed for one image, in all tensors together.
_MOST_COMPUTED: Final = 2**31
_CUSTOM: Final = "CUSTOM"
#: Offsets and sizes that mean content inside of the flatbuffer.
_INSIDE: Final = (0, 1)


def read_graph(content: bytes) -> TfliteGraph:
    """Read a `.tflite` file.

    Raises `ModelError` for what is damaged, keeps its content elsewhere or asks for more memory than a classifier of
    images needs, and :class:`~edgerift.errors.MissingRuntimeError` without LiteRT's package.
    """
    model = model_in(content)
    return undamaged(lambda: _graph(model, content, Walk(content)))


def _graph(model: Any, content: bytes, walk: Walk) -> TfliteGraph:
    if walk.count(model, "Subgraphs") == 0:
        raise ModelError("the .tflite file holds no graph")
    graph, known = model.Subgraphs(0), schema()
    buffers = [_content(buffer, content) for buffer in walk.entries(model, "Buffers")]
    stored = [(_tensor(known, tensor, walk), tensor) for tensor in walk.entries(graph, "Tensors")]
    contents = [b"" if tensor.IsVariable() else buffers[int(tensor.Buffer())] for _, tensor in stored]
    require_moderate([described for described, _ in stored], contents)
    tensors = tuple(
        replace(described, data=_constant(described, part))
        for (described, _), part in zip(stored, contents, strict=True)
    )
    codes = [_name_of(known, code, walk) for code in walk.entries(model, "OperatorCodes")]
    operators = tuple(
        _operator(known, operator, walk, (index, codes, len(tensors)))
        for index, operator in enumerate(walk.entries(graph, "Operators"))
    )
    inputs, outputs = (_indices(walk.numbers(graph, field), len(tensors)) for field in ("Inputs", "Outputs"))
    metadata = {walk.text(entry.Name()): buffers[entry.Buffer()] for entry in walk.entries(model, "Metadata")}
    return TfliteGraph(tensors, operators, inputs, outputs, metadata)


def _content(buffer: Any, content: bytes) -> memoryview:
    """The bytes of a buffer, inside of the flatbuffer or behind it in the file; they are not copied."""
    offset, size = int(buffer.Offset()), int(buffer.Size())
    whole = memoryview(content)
    if offset not in _INSIDE or size not in _INSIDE:
        if offset + size > len(content):
            raise ModelError(f"the .tflite file is damaged: a buffer of {size:,} bytes lies outside of it")
        return whole[offset : offset + size]
    # Bounds are checked by NumPy.
    return whole[:0] if buffer.DataIsNone() else memoryview(buffer.DataAsNumpy())


def _tensor(schema: Any, tensor: Any, walk: Walk) -> TfliteTensor:
    """Describe a tensor, without its content."""
    name, dtype = walk.text(tensor.Name()), _dtype(schema, int(tensor.Type()))
    shape, signature = walk.numbers(tensor, "Shape"), walk.numbers(tensor, "ShapeSignature")
    if len(signature) != len(shape):
        signature = shape
    free = tuple(index for index, extent in enumerate(signature) if extent == -1)
    known = tuple(1 if extent == -1 else extent for extent in shape)
    if len(known) > _MOST_DIMENSIONS or any(extent < 0 for extent in known) or math.prod(known) > MOST_ELEMENTS:
        shown = list(shape)[:_MOST_DIMENSIONS]
        raise ModelError(f"the tensor '{name}' would have the shape {shown}; at most {MOST_ELEMENTS:,} numbers")
    if tensor.ExternalBuffer():
        raise ModelError(f"the tensor '{name}' lies in another file, which is not read; export one with its weights")
    if tensor.Sparsity() is not None:
        raise ModelError(f"the tensor '{name}' is stored sparsely, which is not read")
    return TfliteTensor(name, dtype, known, free, _scales(tensor, name, known, walk), None)


def _constant(tensor: TfliteTensor, content: memoryview | bytes) -> Tensor | None:
    if not len(content) or tensor.dtype not in _NUMPY:
        return None
    kind = np.dtype(_NUMPY[tensor.dtype])
    if math.prod(tensor.shape) * kind.itemsize != len(content):
        told = f"of shape {list(tensor.shape)} and {tensor.dtype} has {len(content):,} bytes"
        raise ModelError(f"the tensor '{tensor.name}' {told}")
    return torch.from_numpy(np.frombuffer(content, kind).reshape(tensor.shape).copy())


def _scales(tensor: Any, name: str, shape: tuple[int, ...], walk: Walk) -> Scales | None:
    found = tensor.Quantization()
    if found is None or found.ScaleLength() == 0:
        return None
    if found.DetailsType():
        raise ModelError(f"the tensor '{name}' is quantized in a way of its own, which is not read")
    scales = walk.numbers(found, "Scale")
    zeros = walk.numbers(found, "ZeroPoint") or (0,)
    axis = int(found.QuantizedDimension())
    zeros = zeros * len(scales) if len(zeros) == 1 else zeros
    fits = len(scales) == 1 or (0 <= axis < len(shape) and shape[axis] == len(scales))
    if not fits or len(zeros) != len(scales):
        raise ModelError(f"the tensor '{name}' of shape {list(shape)} has {len(scales)} scales along axis {axis}")
    if any(not 0 < scale < math.inf for scale in scales):
        raise ModelError(f"the tensor '{name}' has a scale that is not above 0")
    return Scales(scales, zeros, axis)


def _dtype(schema: Any, number: int) -> str:
    kinds = vars(schema.TensorType).items()
    return next((name.lower() for name, value in kinds if value == number and name.isupper()), f"type {number}")


def _name_of(schema: Any, code: Any, walk: Walk) -> tuple[str, bool]:
    """The name of an operator, and whether it is a custom one."""
    number = max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))  # The second had 8 bits.
    kinds = vars(schema.BuiltinOperator).items()
    name = next((name for name, value in kinds if value == number and name.isupper()), f"operator {number}")
    return (walk.text(code.CustomCode()) or _CUSTOM, True) if name == _CUSTOM else (name, False)


def _operator(schema: Any, operator: Any, walk: Walk, among: tuple[int, list[tuple[str, bool]], int]) -> TfliteOperator:
    index, codes, tensors = among
    name, is_custom = codes[int(operator.OpcodeIndex())]
    inputs = _indices(walk.numbers(operator, "Inputs"), tensors, lowest=-1)
    outputs = _indices(walk.numbers(operator, "Outputs"), tensors)
    return TfliteOperator(name, index, inputs, outputs, read_options(schema, operator, walk), is_custom)


def _indices(found: tuple[int, ...], count: int, lowest: int = 0) -> tuple[int, ...]:
    if any(not lowest <= index < count for index in found):
        raise ModelError(f"the .tflite file is damaged: it names a tensor beyond its {count:,}")
    return found


def require_moderate(tensors: Sequence[TfliteTensor], contents: Sequence[memoryview | bytes]) -> None:
    """Refuse what would take too much memory in sum; tensors may share what they hold."""
    sizes = [math.prod(tensor.shape) for tensor in tensors]
    stored = sum(size for size, content in zip(sizes, contents, strict=True) if len(content))
    computed = sum(sizes) - stored
    if stored > MOST_ELEMENTS or computed > _MOST_COMPUTED:
        raise ModelError(f"the file holds {stored:,} numbers and computes {computed:,} for one image: too many")
