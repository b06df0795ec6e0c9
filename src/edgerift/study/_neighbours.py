"""The attacks beside evasions that a study runs on a build: flipped bits, and differences without labels."""

from __future__ import annotations

from typing import final

from edgerift.differ import DifferPart, DifferReport
from edgerift.flips import FlipsReport
from edgerift.measure import Interval, Spread
from edgerift.settings import Settings


@final
class FlippedPart(Settings):
    """How few flipped bits destroy a build.

    Of the `trials`, `reached` bring it to chance; `needed` summarises their numbers of flips, None where none does.
    `accuracy` is the build's before, `flipped` that after the first trial's flips, and `random` the twin's after as
    many bits drawn at random as the longest trial used, over the trials.
    """

    trials: int
    reached: int
    needed: Spread | None
    accuracy: Interval
    flipped: Interval
    random: Spread


@final
class DifferedPart(Settings):
    """What differential testing found, and random changes of the same kind and cost; as in a `DifferReport`."""

    search: DifferPart
    control: DifferPart
    only_search: int
    only_control: int
    p: float


def flipped_part(report: FlipsReport) -> FlippedPart:
    """Summarise a search for bit flips."""
    return FlippedPart(
        trials=len(report.trials),
        reached=sum(trial.needed is not None for trial in report.trials),
        needed=report.needed,
        accuracy=report.accuracy,
        flipped=report.trials[0].accuracy,
        random=report.random[0].accuracy,
    )


def differed_part(report: DifferReport) -> DifferedPart:
    """Summarise differential testing."""
    return DifferedPart(
        search=report.search,
        control=report.control,
        only_search=report.only_search,
        only_control=report.only_control,
        p=report.p,
    )
