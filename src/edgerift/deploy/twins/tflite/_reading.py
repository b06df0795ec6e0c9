"""From the bytes of a `.tflite` file to its graph; every size is looked at before memory is taken for it."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.twins.onnx._limits import MOST_ELEMENTS
from edgerift.deploy.twins.tflite._flatbuffer import entries, length_of, model_in, numbers, schema, text, undamaged
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
#: The buffer that no content has, and the sizes that mean content inside of the flatbuffer.
_INSIDE: Final = (0, 1)


def read_graph(content: bytes) -> TfliteGraph:
    """Read a `.tflite` file.

    Raises `ModelError` for what is damaged, keeps its content elsewhere or asks for more memory than a classifier of
    images needs, and :class:`~edgerift.errors.MissingRuntimeError` without LiteRT's package.
    """
    model = model_in(content)
    return undamaged(lambda: _graph(model, content))


def _graph(model: Any, content: bytes) -> TfliteGraph:
    subgraphs = length_of(model, "Subgraphs")
    if subgraphs == 0:
        raise ModelError("the .tflite file holds no graph")
    graph = model.Subgraphs(0)
    buffers = [_content(buffer, content) for buffer in entries(model, "Buffers")]
    tensors = tuple(_tensor(schema(), tensor, buffers) for tensor in entries(graph, "Tensors"))
    _require_moderate(tensors)
    codes = [_name_of(schema(), code) for code in entries(model, "OperatorCodes")]
    operators = tuple(
        _operator(operator, index, codes, len(tensors)) for index, operator in enumerate(entries(graph, "Operators"))
    )
    inputs, outputs = (_indices(numbers(graph, field), len(tensors)) for field in ("Inputs", "Outputs"))
    metadata = {text(entry.Name()): buffers[entry.Buffer()] for entry in entries(model, "Metadata")}
    return TfliteGraph(tensors, operators, inputs, outputs, metadata)


def _content(buffer: Any, content: bytes) -> bytes:
    """The bytes of a buffer, inside of the flatbuffer or behind it in the file."""
    offset, size = int(buffer.Offset()), int(buffer.Size())
    if offset not in _INSIDE or size not in _INSIDE:
        if offset < 0 or size < 0 or offset + size > len(content):
            raise ModelError(f"the .tflite file is damaged: a buffer of {size:,} bytes lies outside of it")
        return content[offset : offset + size]
    if buffer.DataIsNone():
        return b""
    # Bounds are checked by NumPy.
    data: bytes = memoryview(buffer.DataAsNumpy()).tobytes()
    return data


def _tensor(schema: Any, tensor: Any, buffers: list[bytes]) -> TfliteTensor:
    name, dtype = text(tensor.Name()), _dtype(schema, int(tensor.Type()))
    shape, signature = numbers(tensor, "Shape", _MOST_DIMENSIONS), numbers(tensor, "ShapeSignature", _MOST_DIMENSIONS)
    free = tuple(index for index, extent in enumerate(signature or shape) if extent == -1)
    known = tuple(1 if extent == -1 else extent for extent in shape)
    if any(extent < 0 for extent in known) or math.prod(known) > MOST_ELEMENTS:
        raise ModelError(f"the tensor '{name}' would have the shape {list(shape)}; at most {MOST_ELEMENTS:,} numbers")
    if tensor.ExternalBuffer():
        raise ModelError(f"the tensor '{name}' lies in another file, which is not read; export one with its weights")
    content = buffers[int(tensor.Buffer())]
    if tensor.Sparsity() is not None:
        raise ModelError(f"the tensor '{name}' is stored sparsely, which is not read")
    data = _constant(name, dtype, known, content) if content and not tensor.IsVariable() else None
    return TfliteTensor(name, dtype, known, free, _scales(tensor, name, known), data)


def _constant(name: str, dtype: str, shape: tuple[int, ...], content: bytes) -> Tensor | None:
    if dtype not in _NUMPY:
        return None
    kind = np.dtype(_NUMPY[dtype])
    if math.prod(shape) * kind.itemsize != len(content):
        raise ModelError(f"the tensor '{name}' of shape {list(shape)} and {dtype} has {len(content):,} bytes")
    return torch.from_numpy(np.frombuffer(content, kind).reshape(shape).copy())


def _scales(tensor: Any, name: str, shape: tuple[int, ...]) -> Scales | None:
    found = tensor.Quantization()
    if found is None or found.ScaleLength() == 0:
        return None
    if found.DetailsType():
        raise ModelError(f"the tensor '{name}' is quantized in a way of its own, which is not read")
    scales = tuple(float(scale) for scale in entries(found, "Scale"))
    zeros = numbers(found, "ZeroPoint") or (0,)
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


def _name_of(schema: Any, code: Any) -> tuple[str, bool]:
    """The name of an operator, and whether it is a custom one."""
    number = max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))  # The second had 8 bits.
    kinds = vars(schema.BuiltinOperator).items()
    name = next((name for name, value in kinds if value == number and name.isupper()), f"operator {number}")
    return (text(code.CustomCode()) or _CUSTOM, True) if name == _CUSTOM else (name, False)


def _operator(operator: Any, index: int, codes: list[tuple[str, bool]], tensors: int) -> TfliteOperator:
    name, is_custom = codes[int(operator.OpcodeIndex())]
    inputs = _indices(numbers(operator, "Inputs"), tensors, lowest=-1)
    outputs = _indices(numbers(operator, "Outputs"), tensors)
    return TfliteOperator(name, index, inputs, outputs, read_options(schema(), operator), is_custom)


def _indices(found: tuple[int, ...], count: int, lowest: int = 0) -> tuple[int, ...]:
    if any(not lowest <= index < count for index in found):
        raise ModelError(f"the .tflite file is damaged: it names a tensor beyond its {count:,}")
    return found


def _require_moderate(tensors: tuple[TfliteTensor, ...]) -> None:
    """Refuse what would take too much memory in sum; tensors may share what they hold."""
    stored = sum(tensor.data.numel() for tensor in tensors if tensor.data is not None)
    computed = sum(math.prod(tensor.shape) for tensor in tensors if tensor.data is None)
    if stored > MOST_ELEMENTS or computed > _MOST_COMPUTED:
        raise ModelError(f"the .tflite file holds {stored:,} numbers and computes {computed:,} for one image: too many")
