"""The values of an XNNPACK graph as tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.runtimes.executorch._collected import Collected
from edgerift.deploy.runtimes.executorch._file import Delegate
from edgerift.deploy.runtimes.executorch._flatbuffer import Json
from edgerift.deploy.twins.tflite._graph import Scales, UntranslatedError

_DTYPES: Final = {
    "fp32": "float32",
    "qint8": "int8",
    "quint8": "uint8",
    "qcint8": "int8",
    "qint32": "int32",
    "qcint32": "int32",
}
_NUMPY: Final = {"float32": "<f4", "int8": "i1", "uint8": "u1", "int32": "<i4"}


def tensor_of(value: Json) -> Json:
    """The part of a value that says its number, its extents and its type."""
    inner = value["xvalue_union"]
    tensor: Json = inner.get("tensor_value", inner)
    return tensor


def append_value(into: Collected, delegate: Delegate, value: Json) -> int:
    """Add a value and return its number among the tensors.

    Raises `UntranslatedError` for scales that make no sense, and :class:`~edgerift.errors.BuildError` for constants
    that the file does not hold.
    """
    tensor = tensor_of(value)
    kind = str(tensor["datatype"]).removeprefix("xnn_datatype_")
    dtype, shape = _DTYPES.get(kind, kind), tensor["dims"] or [1]
    name = f"value {tensor['id_out']}"
    # Sums are counted in the product of two other scales, whatever is said beside them.
    scales = None if dtype in ("int32", "float32") else _scales(delegate, value, name)
    made = into.tensor(name, dtype, shape, scales=scales)
    if tensor["constant_buffer_idx"] and dtype in _NUMPY:
        into.fill(made, constant_of(delegate.constant(tensor["constant_buffer_idx"]), dtype, shape, name))
    return made


def constant_of(content: memoryview, dtype: str, shape: Sequence[int], name: str) -> Tensor:
    """Read a constant from the bytes that begin with it; raises `UntranslatedError` for too few of them."""
    if dtype not in _NUMPY:
        raise UntranslatedError(f"{name} is a constant of {dtype}")
    kind = np.dtype(_NUMPY[dtype])
    size = math.prod(shape) * kind.itemsize
    if size > len(content):
        raise UntranslatedError(f"{name} of shape {list(shape)} and {dtype} has {len(content):,} bytes")
    return torch.from_numpy(np.frombuffer(content[:size], kind).reshape(shape).copy())


def _scales(delegate: Delegate, value: Json, name: str) -> Scales | None:
    """Read how a value is quantized; None where that is not with constant scales for the whole or along one axis."""
    given, kind = value["xvalue_union"].get("quant_params"), value["xvalue_union"].get("quant_params_type")
    if kind == "PerTensorQuant":
        found = Scales((given["scale"],), (given["zero_point"],), 0)
    elif kind == "PerChannelQuant":
        numbers, axis, shape = _channel_scales(delegate, given), given["channel_dim"], tensor_of(value)["dims"]
        if not 0 <= axis < len(shape) or shape[axis] != len(numbers):
            raise UntranslatedError(f"{name} of shape {list(shape)} has {len(numbers)} scales along axis {axis}")
        found = Scales(tuple(numbers), (0,) * len(numbers), axis)
    else:
        return None
    if any(not 0 < scale < math.inf for scale in found.scales):
        raise UntranslatedError(f"{name} has a scale that is not above 0")
    return found


def _channel_scales(delegate: Delegate, given: Json) -> list[float]:
    if given["scale"]:
        return list(given["scale"])
    content, count = delegate.constant(given["scale_buffer_idx"]), given["num_scales"]
    numbers: list[float] = np.frombuffer(content[: 4 * count], "<f4").tolist()
    return numbers
