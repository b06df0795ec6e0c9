"""Windows over feature maps: what is put around the maps, and the largest value of each window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import torch
from torch import fx

from edgerift.deploy.runtimes.litert._file import Options
from edgerift.deploy.runtimes.litert._writer import CHANNELS_LAST, Find, Held, Writer, refuse

#: How many rows are put above and below a map, and how many columns to its left and right.
Sides = tuple[tuple[int, int], tuple[int, int]]

VALID: Final = 1
_LOWEST: Final = -128


def padded(writer: Writer, held: Held, sides: Sides, filling: int | None = None) -> Held:
    """Put zeros, or the constant `filling`, around a feature map with its channels last."""
    (top, bottom), (left, right) = sides
    if not any((top, bottom, left, right)):
        return held
    amounts = writer.numbers("padding", [[0, 0], [top, bottom], [left, right], [0, 0]])
    count, channels, height, width = held.shape
    larger = replace(held, shape=(count, channels, height + top + bottom, width + left + right))
    if filling is None:
        return writer.appended("padded", "PAD", [held.index, amounts], larger, Options("Pad"))
    return writer.appended("padded", "PADV2", [held.index, amounts, filling], larger, Options("PadV2"))


def append_maximum(writer: Writer, node: fx.Node, find: Find) -> Held:
    """Append the largest value of each window."""
    defaults: list[Any] = [None, [], [0, 0], [1, 1], False]
    given: list[Any] = [*node.args[1:], *defaults[len(node.args) - 1 :]]
    kernel, stride, padding, dilation, _ = given
    if list(dilation) != [1, 1]:
        refuse(node, "has windows with gaps")
    steps, source = list(stride or kernel), find(node.args[0])  # type: ignore[arg-type]
    held = writer.ordered(source, CHANNELS_LAST)
    lengths, windows = held.shape[2:], writer.shape(node)[2:]
    # `ceil_mode` adds windows beyond the padding, and a rest that no window reaches is left out.
    after = [(windows[axis] - 1) * steps[axis] + kernel[axis] - lengths[axis] - padding[axis] for axis in (0, 1)]
    held = _surrounded(writer, held, ((padding[0], max(after[0], 0)), (padding[1], max(after[1], 0))))
    fields = {"padding": VALID, "strideH": steps[0], "strideW": steps[1]}
    options = Options("Pool2D", {**fields, "filterHeight": kernel[0], "filterWidth": kernel[1]})
    return writer.made(node, "MAX_POOL_2D", [held.index], order=CHANNELS_LAST, grid=held.grid, options=options)


def _surrounded(writer: Writer, held: Held, sides: Sides) -> Held:
    """Put around a feature map what no maximum chooses."""
    if not any(extent for side in sides for extent in side):
        return held
    if held.grid is not None and held.grid.zero_point == _LOWEST:
        return padded(writer, held, sides)
    lowest = torch.tensor([_LOWEST if held.grid is not None else -torch.inf])
    return padded(writer, held, sides, writer.constant("lowest", lowest, held.grid).index)
