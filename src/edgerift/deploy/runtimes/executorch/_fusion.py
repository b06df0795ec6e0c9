"""What XNNPACK makes of a graph before it runs it, as far as answers depend on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from edgerift.deploy.runtimes.executorch._flatbuffer import Json

#: Operators that take a clamp behind them over, and round to its grid at once.
_TAKING: Final = frozenset(
    {
        "XNNConv2d",
        "XNNDepthwiseConv2d",
        "XNNConvTranspose2d",
        "XNNFullyConnected",
        "XNNAvgPooling2d",
        "XNNMaxPooling2d",
    }
)
_OUTPUT: Final = "output_id"


def fused(nodes: Sequence[Json], outside: frozenset[int]) -> list[Json]:
    """Put each clamp into the operator before it, if that is one that can clip and nothing else reads its result.

    Values `outside` are read by others. With two grids the operator then rounds once, to the clamp's, and not twice.
    """
    readers = Counter(number for node in nodes for number in _inputs(node))
    kept: list[Json] = []
    makers: dict[int, int] = {}
    for node in nodes:
        fields = node["xnode_union"] or {}
        given = int(fields.get("input_id", -1))
        place = makers.get(given) if node["xnode_union_type"] == "XNNClamp" else None
        if place is not None and readers[given] == 1 and given not in outside:
            kept[place] = _clipping(kept[place], node)
            makers[fields[_OUTPUT]] = place
            continue
        if node["xnode_union_type"] in _TAKING:
            makers[fields[_OUTPUT]] = len(kept)
        kept.append(node)
    return kept


def _inputs(node: Json) -> list[int]:
    fields = node["xnode_union"] or {}
    return [number for name, number in fields.items() if name.endswith("_id") and name != _OUTPUT]


def _clipping(node: Json, clamp: Json) -> Json:
    ends = [entry["output_min_max"] for entry in (node, clamp) if entry["output_min_max"] is not None]
    bounds = {
        "output_min": max((end["output_min"] for end in ends), default=float("-inf")),
        "output_max": min((end["output_max"] for end in ends), default=float("inf")),
    }
    fields = {**node["xnode_union"], _OUTPUT: clamp["xnode_union"][_OUTPUT]}
    return {**node, "xnode_union": fields, "output_min_max": bounds}
