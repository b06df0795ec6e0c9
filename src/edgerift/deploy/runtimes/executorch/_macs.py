"""How much of a `.pte` runs in integer kernels, read off its plan and the XNNPACK graphs inside it."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Final, NamedTuple

from edgerift.deploy.runtimes.executorch._file import kernel_calls, plans, undamaged
from edgerift.deploy.runtimes.executorch._flatbuffer import Json
from edgerift.errors import BuildError

#: XNNPACK computes in integers when both of a weighted operator's factors are of these types.
_INTEGER_INPUTS: Final = frozenset({"qint8", "quint8", "qdint8", "qpint8"})
_INTEGER_FILTERS: Final = frozenset({"qint8", "quint8", "qcint8", "qcint4", "qbint4"})

_CONVOLUTIONS: Final = ("XNNConv2d", "XNNDepthwiseConv2d", "XNNConvTranspose2d")
#: Operators of ExecuTorch's own kernels that multiply and accumulate: where their two factors stand.
_PORTABLE: Final = {
    "aten::convolution": (0, 1),
    "aten::addmm": (1, 2),
    "aten::linear": (0, 1),
    "aten::mm": (0, 1),
    "aten::bmm": (0, 1),
}


class Kernel(NamedTuple):
    """One call of a kernel that multiplies and accumulates: its name, the work for one image, and the arithmetic."""

    name: str
    macs: int
    integer: bool


def integer_share(path: Path) -> float:
    """The share of a `.pte`'s multiply-accumulates that run in XNNPACK's integer kernels, in [0, 1].

    Convolutions, linear layers and matrix products count, per image. Those that XNNPACK computes on quantized inputs
    and quantized filters are integer; those that it computes in float, and those that were left to ExecuTorch's own
    kernels, are not. Raises :class:`~edgerift.errors.BuildError` when the file cannot be read or holds none.
    """
    found = kernels(path)
    total = sum(kernel.macs for kernel in found)
    if total == 0:
        raise BuildError(f"{path} holds no convolution and no matrix product, so it has no share of integer kernels")
    return sum(kernel.macs for kernel in found if kernel.integer) / total


def kernels(path: Path) -> list[Kernel]:
    """List the kernels of a `.pte` that multiply and accumulate.

    Raises :class:`~edgerift.errors.BuildError` when the file is missing, damaged, or holds a delegate other than
    XNNPACK, and :class:`~edgerift.errors.MissingRuntimeError` without ExecuTorch, whose schemas describe the file.
    """
    found: list[Kernel] = []
    with undamaged(path):
        for plan in plans(path):
            found += _portable_kernels(plan.content)
            for delegate in plan.delegates:
                found += _xnnpack_kernels(delegate.graph, path)
    return found


def _portable_kernels(plan: Json) -> list[Kernel]:
    found: list[Kernel] = []
    for name, places in kernel_calls(plan):
        if name in _PORTABLE:
            values = [plan["values"][index]["val"] for index in places]
            found.append(Kernel(name, _portable_macs(name, values), integer=False))
    return found


def _portable_macs(name: str, values: list[Json]) -> int:
    places = (*_PORTABLE[name], -1)
    first, second, result = ([int(length) for length in values[place]["sizes"]] for place in places)
    if name != "aten::convolution":
        return prod(result[1:]) * first[-1]
    # A weight is [O, I/groups, *kernel]; a transposed one is [I, O/groups, *kernel] and spreads each input.
    transposed = values[6]["bool_val"]
    return prod((first if transposed else result)[1:]) * prod(second[1:])


def _xnnpack_kernels(graph: Json, path: Path) -> list[Kernel]:
    values: dict[int, Json] = {}
    for entry in graph["xvalues"]:
        value = entry["xvalue_union"]
        tensor = value.get("tensor_value", value)
        values[tensor["id_out"]] = tensor
    found: list[Kernel] = []
    for node in graph["xnodes"]:
        name, arguments = node["xnode_union_type"], node["xnode_union"]
        if name == "XNNScaledDotProductAttention":
            raise BuildError(f"{path} holds XNNPACK's fused attention, whose work cannot be counted")
        if name not in (*_CONVOLUTIONS, "XNNFullyConnected", "XNNBatchMatrixMultiply"):
            continue
        source, result = values[arguments["input1_id"]], values[arguments["output_id"]]
        factor = values[arguments.get("filter_id", arguments.get("input2_id"))]
        integer = _datatype(source) in _INTEGER_INPUTS and _datatype(factor) in _INTEGER_FILTERS
        found.append(Kernel(name, _xnnpack_macs(name, arguments, source["dims"], result["dims"]), integer))
    return found


def _xnnpack_macs(name: str, arguments: Json, source: list[int], result: list[int]) -> int:
    if name not in _CONVOLUTIONS:
        return prod(result[1:]) * source[-1]
    area = int(arguments["kernel_height"]) * int(arguments["kernel_width"])
    if name == "XNNConvTranspose2d":
        return prod(source[1:]) * area * int(arguments["group_output_channels"])
    # A depthwise convolution has one input channel for each output.
    depth = 1 if name == "XNNDepthwiseConv2d" else int(arguments["group_input_channels"])
    return prod(result[1:]) * area * depth


def _datatype(tensor: Json) -> str:
    return str(tensor["datatype"]).removeprefix("xnn_datatype_")
