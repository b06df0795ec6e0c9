"""Whether each layer of a build was made of a layer of the original."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgerift.verify._document import CheckPart, LayerPart
from edgerift.verify._evidence import CHECKS, Check, Evidence
from edgerift.verify._matching import Matched

#: Weights farther from the original's than this part of their length are not its own: unrelated ones are at 1.4, those
#: of a long training at a large rate up to 0.7.
FAR: Final = 1.0
#: What storing a layer in bfloat16, and another order of folding, move in it.
_SAME: Final = 5e-3


def _run(evidence: Evidence) -> Iterator[CheckPart]:
    matching = evidence.matching
    equalised = evidence.equalised
    wrong = [layer.stored.name for layer in evidence.layers if layer.distance > _allowed(layer)]
    told = list(_told(evidence, wrong))
    named = ("cross-layer equalisation",) if equalised else ()
    distances = [layer.distance for layer in matching.layers]
    if equalised and not told:
        names = ", ".join(layer.stored.name for layer in equalised[:5])
        told = [f"the channels of {names} are the original's, each times a factor"]
    yield CheckPart(
        name="origin",
        verdict="deviates" if wrong or matching.unknown else "unknown" if named or matching.missing else "conforms",
        text="; ".join(told) or f"all {len(matching.layers)} layers are the original's, up to rounding",
        figures={"distance": max(distances, default=0.0), "layers": float(len(matching.layers))},
        layers=tuple(
            LayerPart(
                layer=layer.stored.name,
                original=layer.original.name,
                weights=layer.stored.codes.numel(),
                figures={"distance": layer.distance},
            )
            for layer in matching.layers
        ),
        named=named,
    )


def _allowed(layer: Matched) -> float:
    return _SAME if layer.stored.scale is None else FAR


def _told(evidence: Evidence, wrong: list[str]) -> Iterator[str]:
    matching = evidence.matching
    if wrong:
        yield f"{_list(wrong)}: not the original's weights"
    if matching.unknown:
        yield f"{_list([layer.name for layer in matching.unknown])}: no layer of the original has this shape"
    if matching.missing:
        yield f"no layer of the build can be read that was made of {_list([layer.name for layer in matching.missing])}"


def _list(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


CHECKS.register("origin", Check(_run), rank=0)
