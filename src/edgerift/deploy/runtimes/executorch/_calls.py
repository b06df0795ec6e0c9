"""The calls of ExecuTorch's own kernels that stand between what XNNPACK computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from edgerift.deploy.runtimes.executorch._collected import Collected
from edgerift.deploy.runtimes.executorch._flatbuffer import Json
from edgerift.deploy.twins.tflite._graph import UntranslatedError

_VALID: Final = 1


class Call(NamedTuple):
    """A call: its name, arguments, where the first of them was computed, results, and all values of the plan."""

    name: str
    arguments: Sequence[Json]
    given: int
    results: Sequence[Json]
    values: Sequence[Json]

    def number(self, position: int, default: float = 0) -> Any:
        """A number among the arguments; the default where none is given."""
        given = self.arguments[position]["val"]
        if not given:
            return default
        return next(iter(given.values()))

    def numbers(self, position: int) -> list[int]:
        """A list of whole numbers, which are values of the plan."""
        given = self.arguments[position]["val"]
        items = [] if given is None else given["items"]
        return [int(self.values[place]["val"]["int_val"]) for place in items]

    @property
    def sizes(self) -> list[int]:
        """The extents of the result."""
        return list(self.results[0]["sizes"])

    @property
    def order(self) -> list[int]:
        """The order of the result's dimensions in memory."""
        return list(self.results[0]["dim_order"])

    def require_plain(self) -> None:
        """Refuse tensors whose dimensions are not in their order in memory."""
        for tensor in (self.arguments[0]["val"], *self.results):
            order = list(tensor["dim_order"])
            if order != sorted(order):
                raise UntranslatedError(f"{self.name} reads or makes a tensor in the order {order}")


def is_arithmetic_of_shapes(name: str) -> bool:
    """Return whether a kernel computes numbers from extents alone, which the file says besides."""
    return name == "aten::sym_size" or name.startswith("executorch_prim::")


def append_call(into: Collected, call: Call) -> list[int]:
    """Add a call and return its results; raises `UntranslatedError` for one that has no translation."""
    if call.name not in _CALLS:
        raise UntranslatedError(f"the operator {call.name}, which ExecuTorch's own kernels compute, has no translation")
    made = _CALLS[call.name](into, call)
    return made if isinstance(made, list) else [made]


def _reshaped(into: Collected, call: Call) -> int:
    call.require_plain()
    made = into.like(call.given, call.sizes)
    into.operator("RESHAPE", [call.given], made, call.name)
    return made


def _as_contiguous(into: Collected, call: Call) -> int:
    """A view by strides, which exporters write for a tensor that stays as it is."""
    call.require_plain()
    wanted, strides = 1, call.numbers(2)
    for extent, stride in zip(reversed(call.sizes), reversed(strides), strict=True):
        if extent > 1 and stride != wanted:
            raise UntranslatedError(f"{call.name} reads by the strides {strides}")
        wanted *= extent
    if call.numbers(1) != call.sizes or call.number(3):
        raise UntranslatedError(f"{call.name} reads a part of a tensor")
    return _reshaped(into, call)


def _permuted(into: Collected, call: Call) -> int:
    call.require_plain()
    order, rank = call.numbers(1), len(call.sizes)
    return into.transposed(call.given, [axis % rank for axis in order], call.name)


def _copied(into: Collected, call: Call) -> int:
    """Bring a tensor into another order in memory."""
    before, after = list(call.arguments[0]["val"]["dim_order"]), call.order
    order = [before.index(axis) for axis in after]
    return call.given if order == sorted(order) else into.transposed(call.given, order, call.name)


def _softmax(into: Collected, call: Call) -> int:
    call.require_plain()
    rank = len(call.sizes)
    if call.number(1) % rank != rank - 1:
        raise UntranslatedError(f"{call.name} is taken along another dimension than the last one")
    made = into.like(call.given, call.sizes)
    into.operator("SOFTMAX", [call.given], made, call.name)
    return made


def _averaged(into: Collected, call: Call) -> int:
    """Average over windows inside of the image, of [N,C,H,W]."""
    call.require_plain()
    kernel, padding = call.numbers(1), call.numbers(3)
    stride = call.numbers(2) or kernel
    (height, width), (down, right) = ((pair * 2)[:2] for pair in (kernel, stride))
    if any(padding) or call.number(4) or call.number(6, height * width) != height * width or len(call.sizes) != 4:
        raise UntranslatedError(f"{call.name} averages over windows beyond the image, or with a divisor of its own")
    options = {
        "Padding": _VALID,
        "StrideH": down,
        "StrideW": right,
        "FilterHeight": height,
        "FilterWidth": width,
    }
    return _channels_last(into, call, "AVERAGE_POOL_2D", options)


def _largest(into: Collected, call: Call) -> int:
    """The maximum over windows of [N,C,H,W]; where it stands is left out."""
    call.require_plain()
    kernel, padding = call.numbers(1), call.numbers(3) or [0]
    stride = call.numbers(2) or kernel
    (height, width), (down, right), (rows, columns) = ((pair * 2)[:2] for pair in (kernel, stride, padding))
    if any(step != 1 for step in call.numbers(4)) or call.number(5):
        raise UntranslatedError(f"{call.name} has windows with gaps or beyond the padding")
    options = {
        "Padding": _VALID,
        "Ends": ((rows, rows), (columns, columns)),
        "StrideH": down,
        "StrideW": right,
        "FilterHeight": height,
        "FilterWidth": width,
    }
    return _channels_last(into, call, "MAX_POOL_2D", options)


def _split(into: Collected, call: Call) -> list[int]:
    call.require_plain()
    rank = len(call.sizes)
    axis, begin, made = call.number(2) % rank, 0, []
    for result in call.results:
        begins = [begin if place == axis else 0 for place in range(rank)]
        part = into.like(call.given, result["sizes"])
        into.operator("SLICE", [call.given, into.whole(begins), into.whole(result["sizes"])], part, call.name)
        begin += result["sizes"][axis]
        made.append(part)
    return made


def _channels_last(into: Collected, call: Call, name: str, options: dict[str, Any]) -> int:
    given = into.transposed(call.given, [0, 2, 3, 1], call.name)
    count, channels, height, width = call.sizes
    made = into.like(given, [count, height, width, channels])
    into.operator(name, [given], made, call.name, options)
    return into.transposed(made, [0, 3, 1, 2], call.name)


def _mean(into: Collected, call: Call) -> int:
    call.require_plain()
    made = into.like(call.given, call.sizes)
    axes = into.whole(call.numbers(1))
    into.operator("MEAN", [call.given, axes], made, call.name, {"KeepDims": bool(call.number(2))})
    return made


def _alone(name: str) -> Callable[[Collected, Call], int]:
    def made(into: Collected, call: Call) -> int:
        result = into.like(call.given, into.tensors[call.given].shape)
        into.operator(name, [call.given], result, call.name, {"Bounds": (0.0, None)} if name == "CLAMP" else {})
        return result

    return made


_CALLS: Final[dict[str, Callable[[Collected, Call], int | list[int]]]] = {
    **dict.fromkeys(
        ("executorch_prim::et_view", "aten::view_copy", "aten::squeeze_copy", "aten::unsqueeze_copy"), _reshaped
    ),
    **dict.fromkeys(("aten::clone", "dim_order_ops::_to_dim_order_copy", "dim_order_ops::_clone_dim_order"), _copied),
    "aten::as_strided_copy": _as_contiguous,
    "aten::permute_copy": _permuted,
    "aten::_softmax": _softmax,
    "aten::split_with_sizes_copy": _split,
    "aten::avg_pool2d": _averaged,
    "aten::max_pool2d_with_indices": _largest,
    "aten::mean": _mean,
    "aten::relu": _alone("CLAMP"),
    "aten::sigmoid": _alone("LOGISTIC"),
    "aten::sqrt": _alone("SQRT"),
    "aten::rsqrt": _alone("RSQRT"),
    "aten::exp": _alone("EXP"),
}
