"""A twin's steps with fewer bits: convolutions of int8 as the runtime's own are, and their gradients in bfloat16.

Between the steps levels are whole numbers in bfloat16, which holds them exactly up to 256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from torch import Tensor

from edgerift.deploy.program._operators import MOVING, operator_name
from edgerift.deploy.twins._body import Body, Slot, Step, Stored
from edgerift.deploy.twins._integer_convolution import convolve_levels
from edgerift.deploy.twins._reduced_convolution import Range, ReducedConvolution, add_levels
from edgerift.deploy.twins._straight_through import QuantizeLevels, add_fixed_point, clipped

#: Levels of further than this from the zero point are not exact in bfloat16.
_EXACT: Final = 256
_CONCATENATE: Final = "aten.cat.default"


def reduce_steps(body: Body) -> Body | None:
    """Take a twin's body so that what it convolves is int8 forward and bfloat16 backward; None where nothing is."""
    last = max((step.slot for step in body.steps), default=0)
    steps: list[Step] = []
    ranges: dict[int, Range] = {}
    convolutions = 0
    for step in body.steps:
        range_of = _range(body, step, ranges)
        if range_of is not None:
            ranges[step.slot] = range_of
        read = _range_read(step, ranges)
        if step.function is convolve_levels and read is not None and len(step.arguments[5].stride) == 2:
            steps.append(_convolution(body, step, read))
            convolutions += 1
        elif step.function is add_fixed_point and range_of is not None:
            steps.append(_addition(step))
        elif _is_moving(step):
            steps.append(step)
        else:
            before, changed = _in_float32(step, last)
            steps += [*before, changed]
            last += len(before)
    return body.with_steps(steps) if convolutions else None


def _range(body: Body, step: Step, ranges: Mapping[int, Range]) -> Range | None:
    """The levels that a step answers with, counted from the zero point; None for anything but levels."""
    if isinstance(step.function, str):
        module = body.get_submodule(step.function)
        return clipped(module.grid, None, None) if isinstance(module, QuantizeLevels) else None
    if step.function in (convolve_levels, add_fixed_point):
        clip: Range = step.arguments[{convolve_levels: 6, add_fixed_point: 4}[step.function]]
        return clip
    return _range_read(step, ranges) if _is_moving(step) else None


def _range_read(step: Step, ranges: Mapping[int, Range]) -> Range | None:
    """The range of the levels that a step reads; None where one of them is not known, or not exact in bfloat16."""
    first = step.arguments[0] if step.arguments else None
    read = first if isinstance(first, list) else [first]
    found = [ranges.get(each.index) if isinstance(each, Slot) else None for each in read]
    known = [each for each in found if each is not None]
    if not known or len(known) < len(found):
        return None
    low, high = min(low for low, _ in known), max(high for _, high in known)
    return (low, high) if low >= -_EXACT and high <= _EXACT and high - low < _EXACT else None


def _is_moving(step: Step) -> bool:
    return not isinstance(step.function, str) and operator_name(step.function) in MOVING | {_CONCATENATE}


def _convolution(body: Body, step: Step, read: Range) -> Step:
    levels, weight, bias, factor, slope, geometry, clip, passing = step.arguments
    fetch = partial(_stored, body)
    layer = ReducedConvolution(fetch(weight), fetch(bias), fetch(factor), fetch(slope), geometry, read, clip, passing)
    return replace(step, function=layer, arguments=(levels,))


def _stored(body: Body, argument: Stored | None) -> Any:
    return None if argument is None else getattr(body, argument.name)


def _addition(step: Step) -> Step:
    first, second, multipliers, shift, clip, passing = step.arguments
    return replace(step, function=add_levels, arguments=(first, second, multipliers, shift, clip, passing))


def _in_float32(step: Step, last: int) -> tuple[list[Step], Step]:
    """Bring what a step reads of other steps to float32, by further steps whose slots follow the last one."""
    casts: list[Step] = []

    def cast(argument: Any) -> Any:
        if isinstance(argument, Slot):
            casts.append(Step(last + len(casts) + 1, _to_float32, (argument,), {}))
            return Slot(casts[-1].slot)
        return [cast(each) for each in argument] if type(argument) is list else argument

    arguments = tuple(cast(argument) for argument in step.arguments)
    keywords = {name: cast(value) for name, value in step.keywords.items()}
    return casts, replace(step, arguments=arguments, keywords=keywords)


def _to_float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value
