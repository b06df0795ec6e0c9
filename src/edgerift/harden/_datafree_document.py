"""Results of data-free extraction from several victims, and whether the attacks suffered from gradient masking."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

from edgerift.extract import DataFree, DataFreeTheft, Masking
from edgerift.harden._variant import VariantName
from edgerift.settings import Settings


class DataFreeEntry(Settings):
    """One data-free attack: its name, its victim and its result.

    `epsilon` is the step of its finite differences, None for an attack without. `control` is None for the attack as
    published or configured; otherwise it names the control: float images rounded to whole grey levels for a float
    victim (`whole pixels`), and a build's quantized weights computed in float (`simulated`).
    """

    victim: VariantName
    attack: str
    epsilon: float | None
    control: Literal["whole pixels", "simulated"] | None = None
    theft: DataFreeTheft

    @property
    def masking(self) -> Masking | None:
        """The quality of the gradient estimates when the budget was spent; None if it was not measured."""
        last = self.theft.curve[-1].measured if self.theft.curve else None
        return None if last is None else last.masking

    @property
    def zero_share(self) -> float | None:
        """The share of the attack's own last differences in which the victim's answer did not change at all."""
        return self.theft.curve[-1].zero_share if self.theft.curve else None

    @property
    def is_blind(self) -> bool | None:
        """Whether the estimates carried no information on the victim's gradients; None if it was not measured."""
        found = self.masking
        return None if found is None else found.is_blind


class DataFreeComparison(Settings):
    """Data-free attacks on several victims of one original, in table order."""

    type: Literal["data-free-comparison"] = "data-free-comparison"
    version: Literal[1] = 1
    entries: tuple[DataFreeEntry, ...]

    def find(
        self,
        victim: str,
        attack: str,
        epsilon: float | None = None,
        control: Literal["whole pixels", "simulated"] | None = None,
    ) -> DataFreeEntry | None:
        """Find an attack's entry; None if it was not run."""
        wanted = (victim, attack, epsilon, control)
        return next((one for one in self.entries if (one.victim, one.attack, one.epsilon, one.control) == wanted), None)


def published_epsilon(attack: str) -> float | None:
    """The step of an attack's finite differences in its publication; None for an attack without."""
    differences = DataFree.model_validate({"name": attack}).differences
    return None if differences is None else differences.epsilon


def best_epsilon(comparisons: Sequence[DataFreeComparison], attack: str, victim: str = "qat") -> float | None:
    """Choose the epsilon at which an attack's clones of one victim have the lowest mean validation error.

    Comparisons without the attack do not count. Of equal ones the smaller is taken; None if that victim was not
    attacked with the same epsilon in all of the others, or the clones were not evaluated on the validation images.
    As long as `victim` is undefended, the choice cannot be tuned against a defence.
    """
    errors: dict[float, list[float]] = {}
    with_attack = [one for one in comparisons if any(entry.attack == attack for entry in one.entries)]
    for comparison in with_attack:
        for one in comparison.entries:
            error = one.theft.validation_error
            if (one.victim, one.attack, one.control) != (victim, attack, None) or one.epsilon is None or error is None:
                continue
            errors.setdefault(one.epsilon, []).append(error.value)
    means = {epsilon: statistics.fmean(own) for epsilon, own in errors.items() if len(own) == len(with_attack)}
    return min(means, key=lambda epsilon: (means[epsilon], epsilon), default=None)
