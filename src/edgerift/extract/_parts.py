"""The parts of a data-free attack's settings."""

from __future__ import annotations

from typing import Literal, Self, final

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from edgerift.settings import Count, Settings, Times


@final
class Descent(Settings):
    """How a network is trained: the optimiser, and how its learning rate falls over the iterations.

    `steps` multiplies it by `factor` at each of the `milestones`, shares of all iterations; `cosine` lets it fall to
    zero along half a cosine. Momentum and weight decay are gradient descent's; Adam has none here.
    """

    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: PositiveFloat = 0.1
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: NonNegativeFloat = 5e-4
    schedule: Literal["steps", "cosine", "constant"] = "steps"
    milestones: tuple[float, ...] = (0.1, 0.3, 0.5)
    factor: PositiveFloat = 0.3

    @model_validator(mode="after")
    def _falls_on_the_way(self) -> Self:
        if any(not 0 < share < 1 for share in self.milestones):
            raise ValueError(f"milestones are shares of all iterations, between 0 and 1; got {list(self.milestones)}")
        return self


@final
class Rehearsal(Settings):
    """Clone steps on what was answered before: `steps` an iteration, each on a batch out of the last `capacity` images.

    `adds` tells which of an iteration's batches are remembered: each, or the last alone.
    """

    steps: Times
    capacity: Count
    adds: Literal["each", "last"] = "each"


@final
class Positives(Settings):
    """An attacker with a few images of the victim's kind (MAZE-PD): how many, and how strongly they draw the generator.

    A critic learns to tell them from generated images, as a Wasserstein GAN's with a gradient penalty of 10 (Gulrajani
    et al. 2017, arXiv 1704.00028), `critic_steps` an iteration, and the generator descends `weight` times its negative
    mean answer as well.
    """

    count: Count = 100
    weight: PositiveFloat = 10.0
    critic_steps: Times = 5
    learning_rate: PositiveFloat = 1e-4
