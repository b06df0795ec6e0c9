"""The nodes of an XNNPACK graph as operators that have a translation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import torch

from edgerift.deploy.runtimes.executorch._collected import Collected
from edgerift.deploy.runtimes.executorch._flatbuffer import Json
from edgerift.deploy.twins.tflite._graph import ENDS, TfliteTensor, UntranslatedError

#: The number of a value that is left out.
ABSENT: Final = 0xFFFFFFFF
#: Flags without a meaning for what a node computes here: that a mean keeps its dimensions, which its result shows.
_FLAGS: Final = (0, 64)
_VALID: Final = 1
#: The most that is added at one side of an image, beyond the size of the window or of the image.
_MOST_PADDED: Final = 64
#: Operators that clip what they compute.
_CLIPPING: Final = (
    "ADD",
    "SUB",
    "MUL",
    "DIV",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "CLAMP",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
)


class Node(NamedTuple):
    """A node: its kind and its number, its fields, what it clips to, and where its values are among the tensors."""

    kind: str
    position: int
    fields: Json
    bounds: tuple[float | None, float | None]
    places: Mapping[int, int]

    def __str__(self) -> str:
        """Name the node as a message does."""
        return f"{self.kind} (node {self.position})"

    def place(self, field: str) -> int:
        """The tensor that a field names; -1 for none."""
        number = self.fields[field]
        if number == ABSENT:
            return -1
        if number not in self.places:
            raise UntranslatedError(f"{self} names the value {number}, which the graph does not hold")
        return self.places[number]


def append_node(into: Collected, node: Json, index: int, places: Mapping[int, int]) -> None:
    """Add what a node computes; raises `UntranslatedError` for one that has no translation."""
    ends = node["output_min_max"]
    bounds = (None, None) if ends is None else (_finite(ends["output_min"]), _finite(ends["output_max"]))
    made = Node(node["xnode_union_type"], index, node["xnode_union"] or {}, bounds, places)
    if made.kind not in _NODES:
        raise UntranslatedError(f"the operator {made} has no translation")
    if made.fields["flags"] not in _FLAGS:
        raise UntranslatedError(f"{made} has the flags {made.fields['flags']}")
    name, inputs, options = _NODES[made.kind](into, made)
    if bounds != (None, None):
        if name not in _CLIPPING:
            raise UntranslatedError(f"{made} clips what it computes")
        options = {**options, "Bounds": bounds}
    into.operator(name, inputs, made.place("output_id"), made.kind, options)


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


_Made = tuple[str, list[int], Mapping[str, Any]]
_Rule = Callable[[Collected, Node], _Made]


def _one(name: str) -> _Rule:
    return lambda into, node: (name, [node.place("input_id")], {})


def _two(name: str) -> _Rule:
    def made(into: Collected, node: Node) -> _Made:
        inputs = [node.place("input1_id"), node.place("input2_id")]
        result = into.tensors[node.place("output_id")].shape
        for tensor in (into.tensors[index] for index in inputs):
            if tensor.data is not None and len(tensor.shape) == len(result) and tensor.shape[0] != 1:
                raise UntranslatedError(f"{node} has a constant for each image of a batch")
        return name, inputs, {}

    return made


def _clamp(into: Collected, node: Node) -> _Made:
    return "CLAMP", [node.place("input_id")], {"Bounds": node.bounds}


def _convert(into: Collected, node: Node) -> _Made:
    given, result = (into.tensors[node.place(field)] for field in ("input_id", "output_id"))
    if result.dtype == "float32" and given.dtype in ENDS:
        return "DEQUANTIZE", [node.place("input_id")], {}
    if result.dtype not in ENDS:
        raise UntranslatedError(f"{node} turns {given.dtype} into {result.dtype}")
    return "QUANTIZE", [node.place("input_id")], {}


def _window(into: Collected, node: Node, image: int, names: tuple[str, str]) -> dict[str, Any]:
    """Read a window's options; raises `UntranslatedError` for paddings that only a damaged file has."""
    fields, (kernel, stride) = node.fields, names
    shape = into.tensors[image].shape
    if len(shape) != 4:
        raise UntranslatedError(f"{node} slides over {list(shape)}; [N,H,W,C] is translated")
    sides = zip(("height", "width"), shape[1:3], (("top", "bottom"), ("left", "right")), strict=True)
    for side, extent, ends in sides:
        spanned = (fields[f"{kernel}_{side}"] - 1) * max(1, fields[f"dilation_{side}"]) + 1
        if any(fields[f"padding_{end}"] >= min(spanned, extent) + _MOST_PADDED for end in ends):
            raise UntranslatedError(f"{node} pads by far more than its window")
    return {
        "Padding": _VALID,
        "Ends": (
            (fields["padding_top"], fields["padding_bottom"]),
            (fields["padding_left"], fields["padding_right"]),
        ),
        "StrideH": fields[f"{stride}_height"],
        "StrideW": fields[f"{stride}_width"],
        # Averages leave it at 0.
        "DilationHFactor": max(1, fields["dilation_height"]),
        "DilationWFactor": max(1, fields["dilation_width"]),
    }


def _convolution(into: Collected, node: Node) -> _Made:
    depthwise = node.kind == "XNNDepthwiseConv2d"
    inputs, fields = [node.place(field) for field in ("input1_id", "filter_id", "bias_id")], node.fields
    groups, given, made = (fields[name] for name in ("groups", "group_input_channels", "group_output_channels"))
    window = (fields["kernel_height"], fields["kernel_width"])
    wanted = (1, *window, groups * made) if depthwise else (groups * made, *window, given)
    weight, image = into.tensors[inputs[1]], into.tensors[inputs[0]]
    if weight.shape != wanted or image.shape[-1] != groups * given or (depthwise and given != 1):
        raise UntranslatedError(f"{node} has weights {list(weight.shape)} for {groups} groups of {given} channels")
    options = _window(into, node, inputs[0], ("kernel", "subsampling"))
    return "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", inputs, options


def _connection(into: Collected, node: Node) -> _Made:
    return "FULLY_CONNECTED", [node.place(field) for field in ("input1_id", "filter_id", "bias_id")], {}


def _pooling(name: str) -> _Rule:
    def made(into: Collected, node: Node) -> _Made:
        options = _window(into, node, node.place("input_id"), ("pooling", "stride"))
        if (options["DilationHFactor"], options["DilationWFactor"]) != (1, 1):
            raise UntranslatedError(f"{node} pools over windows with gaps")
        options |= {"FilterHeight": node.fields["pooling_height"], "FilterWidth": node.fields["pooling_width"]}
        return name, [node.place("input_id")], options

    return made


def _mean(into: Collected, node: Node) -> _Made:
    keeps = len(into.tensors[node.place("output_id")].shape) == 4
    return "MEAN", [node.place("input_id"), into.whole([1, 2])], {"KeepDims": keeps}


def _transposition(into: Collected, node: Node) -> _Made:
    return "TRANSPOSE", [node.place("input_id"), into.whole(node.fields["perm"])], {}


def _concatenation(into: Collected, node: Node) -> _Made:
    count = int(node.kind[-1])
    inputs = [node.place(f"input{number}_id") for number in range(1, count + 1)]
    return "CONCATENATION", inputs, {"Axis": node.fields["axis"]}


def _slice(into: Collected, node: Node) -> _Made:
    inputs = [node.place("input_id"), into.whole(node.fields["offsets"]), into.whole(node.fields["sizes"])]
    return "SLICE", inputs, {}


def _pad(into: Collected, node: Node) -> _Made:
    image, fields = node.place("input_id"), node.fields
    pairs = zip(fields["pre_paddings"], fields["post_paddings"], strict=True)
    filled = into.like(image, [1])
    into.fill(filled, _stored(into.tensors[image], fields["padding_value"]))
    return "PADV2", [image, into.whole([amount for pair in pairs for amount in pair]), filled], {}


def _stored(tensor: TfliteTensor, number: float) -> torch.Tensor:
    """A number as a tensor's elements hold it."""
    if tensor.grid is None:
        return torch.tensor([number])
    level = round(number / tensor.grid.scale) + tensor.grid.zero_point
    return torch.tensor([min(max(level, tensor.grid.minimum), tensor.grid.maximum)])


def _leaky(into: Collected, node: Node) -> _Made:
    return "LEAKY_RELU", [node.place("input_id")], {"Alpha": node.fields["negative_slope"]}


def _elu(into: Collected, node: Node) -> _Made:
    if node.fields["alpha"] != 1.0:
        raise UntranslatedError(f"{node} has the factor {node.fields['alpha']}")
    return "ELU", [node.place("input_id")], {}


_ONE: Final = {
    "XNNSoftmax": "SOFTMAX",
    "XNNSigmoid": "LOGISTIC",
    "XNNTanh": "TANH",
    "XNNHardswish": "HARD_SWISH",
    "XNNAbs": "ABS",
    "XNNExp": "EXP",
    "XNNLog": "LOG",
    "XNNSquareRoot": "SQRT",
    "XNNSquare": "SQUARE",
    "XNNReciprocalSquareRoot": "RSQRT",
    "XNNNegate": "NEG",
    "XNNFloor": "FLOOR",
    "XNNSin": "SIN",
    "XNNCos": "COS",
    "XNNStaticReshape": "RESHAPE",
    "XNNCopy": "RESHAPE",
    "XNNGelu": "GELU",
}
_TWO: Final = {
    "XNNAdd": "ADD",
    "XNNSubtract": "SUB",
    "XNNMultiply": "MUL",
    "XNNDiv": "DIV",
    "XNNMinimum": "MINIMUM",
    "XNNMaximum": "MAXIMUM",
    "XNNPReLU": "PRELU",
    "XNNBatchMatrixMultiply": "BATCH_MATMUL",
}
_NODES: Final[dict[str, _Rule]] = {
    **{kind: _one(name) for kind, name in _ONE.items()},
    **{kind: _two(name) for kind, name in _TWO.items()},
    **{f"XNNConcatenate{count}": _concatenation for count in (2, 3, 4, 5)},
    "XNNClamp": _clamp,
    "XNNConvert": _convert,
    "XNNConv2d": _convolution,
    "XNNDepthwiseConv2d": _convolution,
    "XNNFullyConnected": _connection,
    "XNNMaxPooling2d": _pooling("MAX_POOL_2D"),
    "XNNAvgPooling2d": _pooling("AVERAGE_POOL_2D"),
    "XNNGlobalAvgPooling2d": _mean,
    "XNNStaticTranspose": _transposition,
    "XNNStaticSlice": _slice,
    "XNNStaticConstantPad": _pad,
    "XNNLeakyReLU": _leaky,
    "XNNELU": _elu,
}
