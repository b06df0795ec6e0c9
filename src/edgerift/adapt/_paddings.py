"""Padding of convolutions and of images in the spelling that every runtime knows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import fx

from edgerift.adapt._nodes import arguments_of, call, calls, replace

_ATEN: Final = torch.ops.aten
_MODES: Final = ("reflect", "replicate", "circular")


def spell_paddings_as_numbers(module: fx.GraphModule) -> None:
    """Replace `padding="same"` or `"valid"` of convolutions by numbers of pixels, where both sides get as many."""
    for node in calls(module, _ATEN.conv2d.padding):
        values = arguments_of(node)
        extents = values["weight"].meta["val"].shape[2:]
        reach = [(extent - 1) * step for extent, step in zip(extents, values["dilation"], strict=True)]
        if values["padding"] == "valid":
            reach = [0, 0]
        if all(pixels % 2 == 0 for pixels in reach):
            values["padding"] = [pixels // 2 for pixels in reach]
            node.target, node.args, node.kwargs = _ATEN.conv2d.default, tuple(values.values()), {}


def spell_borders_as_pieces(module: fx.GraphModule) -> None:
    """Write a padding with the image's own pixels as a concatenation of its slices, for any batch size."""
    for node in calls(module, _ATEN.pad.default):
        values = arguments_of(node)
        pixels, source = values["pad"], values["self"]
        given = source.meta["val"]
        if values["mode"] not in _MODES or given.dim() != 4 or len(pixels) > 4 or min(pixels) < 0:
            continue
        with module.graph.inserting_before(node):
            # The list counts from the last axis.
            for axis, before, after in zip((3, 2), pixels[::2], pixels[1::2], strict=False):
                source = _bordered(
                    module, node, source, axis, _rows(values["mode"], int(given.shape[axis]), before, after)
                )
        replace(module, node, source)


def _rows(mode: str, extent: int, before: int, after: int) -> list[int]:
    """List which row of an axis each row of the padded one is, as NumPy pads."""
    names: dict[str, Any] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    rows: list[int] = np.pad(np.arange(extent), (before, after), mode=names[mode]).tolist()
    return rows


def _bordered(module: fx.GraphModule, node: fx.Node, source: fx.Node, axis: int, rows: list[int]) -> fx.Node:
    extent = int(source.meta["val"].shape[axis])
    if rows == list(range(extent)):
        return source
    pieces: list[fx.Node] = []
    for start, end in _runs(rows):
        if (start, end) == (0, extent):
            pieces.append(source)
        else:
            pieces.append(call(module, _ATEN.slice.Tensor, (source, axis, start, end), torch.narrow, node))
    return call(module, _ATEN.cat.default, (pieces, axis), torch.cat, node)


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """Cut a list of rows into runs that rise by one, each as its start and its end."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and found[-1][1] == row:
            found[-1] = (found[-1][0], row + 1)
        else:
            found.append((row, row + 1))
    return found
