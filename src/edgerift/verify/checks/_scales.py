"""Whether the scales of the weights follow from the ranges of the original's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import torch
from torch import Tensor

from edgerift.verify._document import CheckPart, LayerPart, Verdict
from edgerift.verify._evidence import CHECKS, Check, Evidence
from edgerift.verify._matching import Matched
from edgerift.verify._rates import limit, lowest

#: What float32, another order of folding, and a whole zero point move in a scale.
_SAME: Final = 2e-3
#: XNNPACK's quantizer gives no smaller scale; edgerift's does where the bias of the channel still fits its integers.
_FLOOR: Final = 2**-12


def _symmetric(levels: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda low, high: torch.maximum(-low, high) / levels


#: How a scale follows from the smallest and the largest weight, by the words for it.
_RULES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "largest / 127": _symmetric(127),
    "largest / 127.5": _symmetric(127.5),
    "largest / 128": _symmetric(128),
    "the largest / 127 or the smallest / 128": lambda low, high: torch.maximum(high / 127, -low / 128),
    "range / 255": lambda low, high: (high.clamp_min(0) - low.clamp_max(0)) / 255,
    "range / 254": lambda low, high: (high.clamp_min(0) - low.clamp_max(0)) / 254,
    "largest / 63": _symmetric(63),
    "largest / 63.5": _symmetric(63.5),
    "largest / 64": _symmetric(64),
    "range / 127": lambda low, high: (high.clamp_min(0) - low.clamp_max(0)) / 127,
}


def _run(evidence: Evidence) -> Iterator[CheckPart]:
    layers = evidence.integers
    if not layers:
        return
    found = [_measured(layer) for layer in layers]
    low, high = min(part.figures["low"] for _, part in found), max(part.figures["high"] for _, part in found)
    odd = [part for rule, part in found if not rule]
    clipped = [part.layer for part in odd if part.figures["clipped"] > 0]
    verdict = _judged(evidence, odd, low, high)
    rules = ", ".join(dict.fromkeys(rule for rule, _ in found if rule))
    text = f"all scales are {rules}" if not odd else _text(odd, clipped, low, high)
    named = ("a calibration that clips",) if clipped and verdict == "unknown" else ()
    parts = tuple(part for _, part in found)
    yield CheckPart(
        name="scales", verdict=verdict, text=text, figures={"low": low, "high": high}, layers=parts, named=named
    )


def _text(odd: list[LayerPart], clipped: list[str], low: float, high: float) -> str:
    names = ", ".join(part.layer for part in odd[:5]) + (f" and {len(odd) - 5} more" if len(odd) > 5 else "")
    told = f"the scales of {names} do not follow from the weights' ranges: {low:.3f} to {high:.3f} times those"
    return told + (f"; clipped: {', '.join(clipped[:5])}" if clipped else "")


def _judged(evidence: Evidence, odd: list[LayerPart], low: float, high: float) -> Verdict:
    if not odd:
        return "conforms"
    rules, training = evidence.rules, evidence.training
    if rules is None:
        return "unknown"
    if rules.scales == "ranges":
        return "deviates"
    least, most = lowest("scale_low", evidence.quantizer, training), limit("scale_high", evidence.quantizer, training)
    if least is not None and most is not None and (low < least or high > most):
        return "deviates"
    return "unknown"


def _measured(layer: Matched) -> tuple[str, LayerPart]:
    """The rule that gives a layer's scales, "" for none, and the scales over those of the rule that is closest."""
    ratios = {rule: _ratio(layer, function) for rule, function in _RULES.items()}
    rule = min(ratios, key=lambda name: float((ratios[name].log()).abs().max()))
    ratio = ratios[rule]
    fits = bool(((ratio - 1).abs() <= _SAME).all())
    figures = {
        "low": float(ratio.min()),
        "high": float(ratio.max()),
        "clipped": float(layer.is_clipped.double().mean()),
    }
    part = LayerPart(
        layer=layer.stored.name, original=layer.original.name, weights=layer.weight.numel(), figures=figures
    )
    return (rule if fits else ""), part


def _ratio(layer: Matched, rule: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    scale, weight = layer.scale, layer.weight
    axes = [axis for axis in range(weight.dim()) if scale.numel() == 1 or scale.shape[axis] == 1]
    expected = rule(weight.amin(axes, keepdim=True), weight.amax(axes, keepdim=True)) if axes else weight.abs()
    given, wanted = scale.expand_as(expected).flatten(), expected.flatten()
    # A channel of zeros has any scale, and one of very small weights a coarser one, up to the quantizer's floor.
    free = (wanted <= 0) | ((given <= _FLOOR * (1 + 1e-6)) & (wanted < given))
    return torch.where(free, torch.ones_like(given), (given / wanted).clamp_min(1e-12))


CHECKS.register("scales", Check(_run), rank=3)
