"""How much of a `.tflite` runs in integer kernels, and what runs at all, read off the loaded file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any, Final, NamedTuple

from edgerift.errors import BuildError

#: Where the two factors of an operator that multiplies and accumulates stand among its inputs.
_FACTORS: Final = {
    "CONV_2D": (0, 1),
    "DEPTHWISE_CONV_2D": (0, 1),
    "FULLY_CONNECTED": (0, 1),
    "TRANSPOSE_CONV": (2, 1),
    "BATCH_MATMUL": (0, 1),
}


#: Operators that the `builtin` kernels compute in blocks of this many numbers at most, and the rest in another way.
_BLOCKED: Final = ("QUANTIZE", "DEQUANTIZE")
_BLOCK: Final = 16


class Tensor(NamedTuple):
    """A tensor of the loaded file."""

    shape: tuple[int, ...]
    is_integer: bool


class Kernel(NamedTuple):
    """One operator that multiplies and accumulates: its name, the work for one image, and the arithmetic."""

    name: str
    macs: int
    integer: bool


def integer_share(interpreter: Any, file: str) -> float:
    """The share of a file's multiply-accumulates in integer kernels, in [0, 1].

    Convolutions, linear layers and matrix products count, per image. All sets of kernels compute those in integers
    whose both factors are integers. Raises :class:`~edgerift.errors.BuildError` for a file that has none.
    """
    found = list(kernels(interpreter))
    total = sum(kernel.macs for kernel in found)
    if total == 0:
        raise BuildError(f"{file} holds no convolution and no matrix product, so it has no share of integer kernels")
    return sum(kernel.macs for kernel in found if kernel.integer) / total


def kernels(interpreter: Any) -> Iterator[Kernel]:
    """List the operators of a loaded file that multiply and accumulate."""
    tensors = {
        each["index"]: Tensor(tuple(int(extent) for extent in each["shape"]), each["dtype"]().dtype.kind in "iu")
        for each in interpreter.get_tensor_details()
    }
    for operator in interpreter._get_ops_details():
        name = operator["op_name"]
        if name in _FACTORS:
            source, weight = (tensors[int(operator["inputs"][place])] for place in _FACTORS[name])
            result = tensors[int(operator["outputs"][0])]
            yield Kernel(name, _macs(name, source, weight, result), source.is_integer and weight.is_integer)


def _macs(name: str, source: Tensor, weight: Tensor, result: Tensor) -> int:
    outputs = prod(result.shape[1:])
    if name == "CONV_2D":
        return outputs * prod(weight.shape[1:])
    if name == "DEPTHWISE_CONV_2D":
        return outputs * prod(weight.shape[1:3])
    if name == "TRANSPOSE_CONV":  # It spreads each of its inputs.
        return prod(source.shape[1:]) * prod(weight.shape[:3])
    return outputs * source.shape[-1]


def depends_on_batch(interpreter: Any, kernels: str) -> bool:
    """Return whether the last bits of an answer depend on the place of its image in a batch.

    The numbers of a whole batch are divided into blocks, so that those that one image leaves over are in a block when
    another image follows.
    """
    if kernels != "builtin":
        return False
    shapes = {each["index"]: each["shape"] for each in interpreter.get_tensor_details()}
    return any(
        prod(int(extent) for extent in shapes[int(operator["outputs"][0])][1:]) % _BLOCK
        for operator in interpreter._get_ops_details()
        if operator["op_name"] in _BLOCKED
    )


def operators(interpreter: Any) -> dict[str, int]:
    """Count a file's operators by name; a delegate that computes some of them stands beside them with its own name."""
    return dict(Counter(operator["op_name"] for operator in interpreter._get_ops_details()))
