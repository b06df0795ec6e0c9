"""What a search for bit flips found, as a document."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgerift.flips._flip import Flip
from edgerift.measure import Interval, Spread
from edgerift.settings import Settings, is_none


class TrialPart(Settings):
    """One search, with its own training images.

    `flips` are all that were searched for, and `curve` the accuracy of the twin before them and after each. `needed` is
    the smallest number after which the goal is reached, None where none is. `accuracy` is that of the build with these
    flips (all where the goal is not reached), `answered` its most common answer and `answered_share` the share of that;
    the build answers the same images as `curve`, none of which steered the search. But `needed` is found on them, so
    the interval of `accuracy` is that of a search that stopped there: other images may show a few points more.
    """

    seed: int
    flips: tuple[Flip, ...]
    curve: tuple[float, ...]
    needed: int | None
    accuracy: Interval
    answered: int
    answered_share: float


class RandomPart(Settings):
    """The control: as many bits drawn at random, each as likely as any other, in every trial.

    `accuracy` is that of the twin over the trials; None for its interval of a single one.
    """

    flips: int
    accuracy: Spread


class LayerPart(Settings):
    """One layer: how many weights it has, the loss after its best single flip, and the flips that were used.

    The loss is that of the first trial's first round, None where no flip of the layer raises it; `used` counts over all
    trials.
    """

    layer: str
    weights: int
    best_loss: float | None
    used: int


class FlipsReport(Settings):
    """How few flipped bits of the stored weights destroy a build.

    `chance` is the share of the most common class of the images. `needed` summarises the trials that reach the goal,
    None where none does. `bits` counts the flips that were used by their bit, from 0 to 7. `original_accuracy` is that
    of the original, whose file no flip touches. `artefact` is the flipped build of the first trial.
    """

    type: Literal["flips"] = "flips"
    version: Literal[1] = 1
    runtime: str
    images: int
    classes: tuple[str, ...]
    target_class: int | None = Field(default=None, exclude_if=is_none)
    weight_bits: int
    chance: float
    original_accuracy: Interval | None
    accuracy: Interval
    needed: Spread | None
    trials: tuple[TrialPart, ...]
    random: tuple[RandomPart, ...]
    layers: tuple[LayerPart, ...]
    bits: tuple[int, ...]
    artefact: str
