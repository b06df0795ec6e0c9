"""Whether each code is the nearest one to the original's weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch

from edgerift.measure import Rate
from edgerift.verify._document import CheckPart, LayerPart, Place, Verdict
from edgerift.verify._evidence import CHECKS, Check, Evidence
from edgerift.verify._matching import HALF, Matched
from edgerift.verify._quantizers import QUANTIZERS
from edgerift.verify._rates import explained, least_far, limit

_PLACES: Final = 20
#: Only one of the two neighbours of a weight is chosen by a quantizer that rounds by a loss.
_NEIGHBOUR: Final = 1 + (HALF - 0.5)


def _run(evidence: Evidence) -> Iterator[CheckPart]:
    layers = evidence.integers
    if not layers:
        return
    off, total = sum(int(layer.is_off.sum()) for layer in layers), sum(layer.weight.numel() for layer in layers)
    far = sum(int((layer.is_off & (layer.residual.abs() > _NEIGHBOUR)).sum()) for layer in layers)
    figures = {"off": off / total, "far": far / total, "codes": float(off)}
    verdict, text, named = _judged(evidence, Rate(off, total), Rate(far, total))
    touched = [layer.stored.name for layer in layers if bool(layer.is_off.any())]
    if touched:
        text += f": {', '.join(touched[:5])}" + (f" and {len(touched) - 5} more layers" if len(touched) > 5 else "")
    yield CheckPart(
        name="rounding",
        verdict=verdict,
        text=text,
        figures=figures,
        layers=tuple(_part(layer) for layer in layers),
        places=tuple(_places(layers)),
        named=named,
    )


def _judged(evidence: Evidence, off: Rate, far: Rate) -> tuple[Verdict, str, tuple[str, ...]]:
    if not off.successes:
        return "conforms", f"all {off.trials:,} codes are the nearest", ()
    told = f"{off.successes:,} of {off.trials:,} codes ({off.value:.2%}) are not the nearest"
    rules = evidence.rules
    if rules is None:
        kinds = [name for name, one in QUANTIZERS.items() if one.rounding != "nearest" and not one.recorded]
        named = explained(off.low, far.value, kinds)
        if not named:
            return "deviates", f"{told}, more than any known quantizer leaves", ()
        titles = " or ".join(QUANTIZERS[name].title for name in named)
        return "unknown", f"{told}, as of {titles}; say which with --quantizer", named
    if rules.rounding == "nearest":
        return "deviates", f"{told}, and {rules.title} rounds to the nearest", ()
    if rules.rounding == "chosen":  # How many are turned depends on how long the loss was minimised.
        if far.successes:
            return "deviates", f"{told}, {far.value:.2%} by more than a step, and {rules.title} takes a neighbour", ()
        return "unknown", f"{told}, each one of the two neighbours, as {rules.title} leaves them", (evidence.quantizer,)
    allowed = limit("off", evidence.quantizer, evidence.training)
    if allowed is None:
        return "unknown", f"{told}, and no base rate of {rules.title} of this length was measured", ()
    if off.low > allowed:
        return "deviates", f"{told}, and {rules.title} leaves at most {allowed:.2%}", ()
    if far.high < least_far(evidence.quantizer, off.low):
        return "deviates", f"{told}, nearly none by more than a step, and {rules.title} moves some further", ()
    return "unknown", f"{told}, within the {allowed:.2%} of {rules.title}", (evidence.quantizer,)


def _part(layer: Matched) -> LayerPart:
    off = layer.is_off
    return LayerPart(
        layer=layer.stored.name,
        original=layer.original.name,
        weights=off.numel(),
        figures={
            "off": float(off.double().mean()),
            "clipped": float(layer.is_clipped.double().mean()),
            "largest": float(layer.residual.abs().max()),
        },
    )


def _places(layers: tuple[Matched, ...]) -> Iterator[Place]:
    left = _PLACES
    for layer in layers:
        for index in torch.nonzero(layer.is_off)[:left].tolist():
            place = tuple(index)
            found, expected = float(layer.stored.codes[place]), float(layer.nearest[place])
            yield Place(layer=layer.stored.name, index=place, found=found, expected=expected)
            left -= 1


CHECKS.register("rounding", Check(_run, decides=True), rank=1)
