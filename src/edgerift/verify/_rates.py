"""The base rates of quantizers: what honest builds of each were measured to have, and the limits that follow."""

from __future__ import annotations

import functools
from collections.abc import Collection
from importlib import resources
from typing import Final

from pydantic import Field

from edgerift.settings import Settings, is_none

#: How far beyond the largest base rate a build may be before it is no longer explained by it.
MARGIN: Final = 1.5


class BaseRate(Settings):
    """What an honest build of one quantizer has; see the figures of the checks for their meaning.

    `training` is the learning rate times the steps of a trained one. `off` is the share of codes that are not the
    nearest, `far` that of codes more than one step away, `edge` the share of rounding errors beyond .49 of a step and
    `spread` their distance from the uniform. `distance` is that of the weights from the original's, over their length,
    and `scale_low` and `scale_high` bound a scale over the one that follows from the range. `bias` is the largest
    change of a bias, over what the rounding of the weights can explain.
    """

    quantizer: str
    settings: str
    data: str
    network: str
    weights: int
    training: float | None = Field(default=None, exclude_if=is_none)
    off: float
    far: float
    edge: float
    spread: float
    distance: float
    scale_low: float
    scale_high: float
    bias: float


class BaseRates(Settings):
    """The table of base rates."""

    rates: tuple[BaseRate, ...]


@functools.cache
def base_rates() -> BaseRates:
    """Read the table that ships with edgerift; `benchmarks/verify.py --rates` measures it."""
    content = resources.files("edgerift.verify").joinpath("base_rates.json").read_bytes()
    return BaseRates.model_validate_json(content)


def rates_of(quantizer: str, training: float | None = None) -> tuple[BaseRate, ...]:
    """The base rates of a quantizer, those of trainings up to the next larger one where `training` is known.

    A training longer than all measured ones has none.
    """
    found = [rate for rate in base_rates().rates if rate.quantizer == quantizer]
    if training is None or not found:
        return tuple(found)
    known = sorted({rate.training for rate in found if rate.training is not None})
    above = next((one for one in known if one >= training * (1 - 1e-9)), None)
    if above is None:
        return ()
    return tuple(rate for rate in found if rate.training is None or rate.training <= above)


def limit(figure: str, quantizer: str, training: float | None = None) -> float | None:
    """The largest value of a figure that an honest build of a quantizer may have; None where none was measured."""
    values = [float(getattr(rate, figure)) for rate in rates_of(quantizer, training)]
    return MARGIN * max(values) if values else None


def lowest(figure: str, quantizer: str, training: float | None = None) -> float | None:
    """The smallest value of a figure that an honest build of a quantizer may have; None where none was measured."""
    values = [float(getattr(rate, figure)) for rate in rates_of(quantizer, training)]
    return min(values) / MARGIN if values else None


def least_far(quantizer: str, off: float) -> float:
    """The least share of codes more than a step away that a build of a quantizer has with this share that is off.

    Weights that were trained move by different amounts: where many codes are off, some are off by more than a step.
    It is a third of the least among the honest builds that have nearly as many codes off; 0 where there are none.
    """
    near = [rate.far for rate in rates_of(quantizer) if off / MARGIN <= rate.off <= off]
    return min(near, default=0.0) / (2 * MARGIN)


def explained(off: float, far: float, kinds: Collection[str]) -> tuple[str, ...]:
    """Name those of some quantizers an honest build of which may have these shares of codes that are off, and far off.

    Without base rates of its own a quantizer is not named.
    """
    return tuple(name for name in kinds if _explains(name, off, far))


def _explains(name: str, off: float, far: float) -> bool:
    most, furthest = limit("off", name), limit("far", name)
    return most is not None and furthest is not None and off <= most and least_far(name, off) <= far <= furthest
