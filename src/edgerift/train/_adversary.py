"""The attacker inside a training loss, and the published ones by name."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from edgerift.errors import RecipeError, unknown_name
from edgerift.settings import Settings, TimesOrNone


class Adversary(Settings):
    """An attacker inside the training: sign steps that raise an objective, within `epsilon` grey levels of an image.

    `epsilon` (0 to 255) bounds how far a pixel moves, `step` how far each of the `steps` gradient steps moves it, both
    in grey levels. A search starts from the image itself (`clean`), anywhere in its box (`random`), or from Gaussian
    noise of 0.001 (`nearby`). The `objective` decides what the model learns:

    - `cross-entropy`: the cross-entropy of the moved images alone (Madry et al. 2018, arXiv:1706.06083; with one step
      of 1.25 epsilon from a random start that of Wong et al. 2020, arXiv:2001.03994).
    - `kl`: the cross-entropy of the images, and `weight` times KL(p(x) || p(x')) to the moved ones (TRADES, Zhang et
      al. 2019, arXiv:1901.08573).

    The search sees the model in evaluation mode, so that no batch statistics take part in it.
    """

    epsilon: float = Field(default=8.0, ge=0, le=255)
    step: PositiveFloat = 2.0
    steps: TimesOrNone = 7
    start: Literal["clean", "random", "nearby"] = "random"
    objective: Literal["cross-entropy", "kl"] = "cross-entropy"
    weight: NonNegativeFloat = 6.0

    @property
    def is_idle(self) -> bool:
        """Return whether training is that without an adversary."""
        return self.epsilon == 0 or (self.objective == "kl" and self.weight == 0)


#: The published adversaries; see :func:`adversaries`.
ADVERSARIES: Final = ("pgd-7", "trades", "fast")


def adversaries(epsilon: float = 8.0) -> dict[str, Adversary]:
    """Describe the published adversaries for an epsilon in grey levels: `pgd-7`, `trades`, `fast`."""
    return {
        "pgd-7": Adversary(epsilon=epsilon, step=_positive(epsilon / 4), steps=7),
        "trades": Adversary(epsilon=epsilon, step=_positive(epsilon / 4), steps=10, start="nearby", objective="kl"),
        "fast": Adversary(epsilon=epsilon, step=_positive(1.25 * epsilon), steps=1),
    }


def adversary(name: str, epsilon: float = 8.0) -> Adversary:
    """Look a published adversary up; raises :class:`~edgerift.errors.RecipeError` for an unknown name."""
    known = adversaries(epsilon)
    if name not in known:
        raise RecipeError(unknown_name("adversary", name, known))
    return known[name]


def _positive(step: float) -> float:
    """Return a step for an epsilon, any at all for 0."""
    return step or 1.0
