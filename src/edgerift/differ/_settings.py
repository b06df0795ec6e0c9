"""The settings of differential testing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from edgerift.evade import GreyLevels
from edgerift.settings import Count, Seed, Settings, Times


class DifferSettings(Settings):
    """A search for images about which an original and a build differ, from images on which they agree.

    The `objective` is `margin`: the smaller of two margins, that by which one model gives the shared answer, and that
    by which the other, the `deviant`, gives another one; where it is positive they differ. `deepxplore` (Pei et al.
    2017, arXiv:1705.06640) is the score of the shared answer in one model minus `weight` times that in the deviant, and
    `dlfuzz` (Guo et al. 2018, arXiv:1808.09413) half the four next probabilities of the deviant minus its best one.

    The `constraint` says what may change: `box`, every pixel by at most `epsilon` grey levels; `light`, all pixels by
    the same amount of at most `epsilon`; `occlusion`, one rectangle of `rectangle` pixels a side, to anything;
    `blackout`, `squares` small squares of `square` pixels a side in each step, darker only. Each of the `steps` moves a
    pixel by `step` grey levels, times the gradient over its root mean square where the constraint leaves it free.

    With a `coverage` the search also raises neurons of the original that no image has activated yet, by that weight; a
    neuron counts as covered above the `threshold` of its layer's range. Coverage does not predict faults (Harel-Canada
    et al. 2020), so it is off by default.
    """

    objective: Literal["margin", "deepxplore", "dlfuzz"] = "margin"
    deviant: Literal["build", "original"] = "build"
    weight: PositiveFloat = 1.0
    constraint: Literal["box", "light", "occlusion", "blackout"] = "box"
    epsilon: GreyLevels = 8
    step: PositiveFloat = 1.0
    steps: Times = 20
    rectangle: Count = 8
    squares: Count = 5
    square: Count = 3
    coverage: NonNegativeFloat = 0.0
    threshold: float = Field(default=0.25, ge=0)
    seed: Seed = 0
