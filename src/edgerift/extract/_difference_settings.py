"""How the gradient of a victim that has none is estimated."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from edgerift.settings import Settings, Times


class Differences(Settings):
    """How the gradient of the disagreement is estimated at a point, before the tanh.

    It is the mean over `directions` u, drawn uniformly from the unit sphere in d dimensions, of `d (L(x + e u) -
    L(x)) / e u`, or `d (L(x + e u) - L(x - e u)) / 2e u` with the `central` scheme, e being `epsilon`. `antithetic`
    draws half of the directions and takes each with its opposite. `split` differentiates through the clone as usual and
    takes differences of the victim's answers alone. Integer victims do not answer differently to steps below their
    grids: give an `epsilon` of 0.1 or more.
    """

    epsilon: float = Field(default=1e-3, gt=0)
    directions: Times = 1
    scheme: Literal["forward", "central"] = "forward"
    antithetic: bool = False
    split: bool = False

    @model_validator(mode="after")
    def _pairs_up(self) -> Self:
        if self.antithetic and self.directions % 2:
            raise ValueError(f"antithetic directions come in pairs; directions is {self.directions}, give an even one")
        if self.antithetic and self.scheme == "central":
            raise ValueError("central differences are pairs already; leave out antithetic")
        return self

    @property
    def needs_middle(self) -> bool:
        """Whether the victim is queried with the point itself."""
        return self.scheme == "forward" or self.split

    @property
    def queries(self) -> int:
        """How many images are paid for, for each point."""
        return self.directions * (2 if self.scheme == "central" else 1) + self.needs_middle
