"""Whether rounding errors are spread as those of weights that were not trained against this grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch

from edgerift.measure import Rate
from edgerift.verify._document import CheckPart, LayerPart
from edgerift.verify._evidence import CHECKS, Check, Evidence
from edgerift.verify._matching import Matched
from edgerift.verify._rates import limit
from edgerift.verify._residuals import UNIFORM_EDGE, Spread, residual_spread, surely_apart, tested_errors

#: The level of the whole check, which its layers share.
_LEVEL: Final = 1e-3
#: Below this distance, and this share at the edge, a difference from the uniform is too small to hide anything.
_DISTANCE, _EDGE = 0.03, 2 * UNIFORM_EDGE
#: A layer with fewer errors is only looked at together with the others.
_FEWEST: Final = 100


def _run(evidence: Evidence) -> Iterator[CheckPart]:
    layers = evidence.integers
    if not layers:
        return
    errors = [tested_errors(layer) for layer in layers]
    whole = residual_spread(torch.cat(errors))
    if not whole.errors:
        yield CheckPart(name="truncation", verdict="unknown", text="no rounding error to look at")
        return
    found = [(layer, residual_spread(part)) for layer, part in zip(layers, errors, strict=True)]
    wrong = list(_wrong(evidence, [("all layers", whole), *((layer.stored.name, part) for layer, part in found)]))
    text = f"{whole.edge:.2%} of {whole.errors:,} rounding errors are beyond .49 of a step (uniform: 2 %), "
    text += f"Kolmogorov-Smirnov {whole.distance:.4f}, p {whole.p:.2g}"
    if wrong:
        text += f"; errors pile up in {', '.join(wrong[:5])}: weights were moved inside of their codes"
    chosen = evidence.rules is not None and evidence.rules.rounding == "chosen"
    if wrong and chosen:
        text += ", and the roundings were chosen after that"
    yield CheckPart(
        name="truncation",
        verdict=("unknown" if chosen else "deviates") if wrong else "conforms",
        text=text,
        figures={"edge": whole.edge, "spread": whole.distance, "p": whole.p, "errors": float(whole.errors)},
        layers=tuple(_part(layer, part) for layer, part in found),
    )


def _wrong(evidence: Evidence, found: list[tuple[str, Spread]]) -> Iterator[str]:
    level = _LEVEL / len(found)
    quantizer = evidence.quantizer  # How long it trained says little: long trainings come back to the uniform.
    furthest = max(_DISTANCE, limit("spread", quantizer) or 0.0) if quantizer else _DISTANCE
    most = max(_EDGE, limit("edge", quantizer) or 0.0) if quantizer else _EDGE
    for name, part in found:
        if part.errors < _FEWEST:
            continue
        at_edge = Rate(round(part.edge * part.errors), part.errors, 1 - level)
        if at_edge.low > most or surely_apart(part.distance, part.errors, level) > furthest:
            yield name


def _part(layer: Matched, found: Spread) -> LayerPart:
    return LayerPart(
        layer=layer.stored.name,
        original=layer.original.name,
        weights=found.errors,
        figures={"edge": found.edge, "spread": found.distance, "p": found.p},
    )


CHECKS.register("truncation", Check(_run), rank=2)
