"""What the second paper claims of thefts, and what is ours beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Final, Literal, TypeAlias

from edgerift.facts._stated import Stated
from edgerift.measure import spread
from edgerift.study import TheftCell

Difference: TypeAlias = Callable[[TheftCell], float | None]

#: How the names of the light networks begin that the paper says err more.
_LIGHT: Final = "mobilenet"


def _stolen(first: str, second: str, labels: Literal["soft", "hard"], target: str | None = None) -> Difference:
    """How much more a thief errs who steals one victim than one who steals another."""

    def difference(cell: TheftCell) -> float | None:
        victims = cell.hardening.victim
        if first not in victims or second not in victims or target not in (None, cell.target):
            return None
        errors = [getattr(victims[name].adversary_error, labels).value for name in (first, second)]
        return 100 * float(errors[0] - errors[1])

    return difference


def _beyond_noise(cell: TheftCell) -> float | None:
    victims = cell.hardening.victim
    return victims["divqat"].l1.value - cell.hardening.noise.test.value if "divqat" in victims else None


def _costs(cell: TheftCell) -> float | None:
    victims = cell.hardening.victim
    if "divqat" not in victims or "qat" not in victims:
        return None
    return 100 * (victims["divqat"].defender_error.value - victims["qat"].defender_error.value)


def _other_clones(figure: Literal["adversary_error", "disagreement"]) -> Difference:
    """How much higher a figure is of DivQAT than of QAT, over the clones of other networks that ask for soft labels."""

    def difference(cell: TheftCell) -> float | None:
        plain, defended = (_of_clones(cell, victim, figure) for victim in ("qat", "divqat"))
        both = [student for student in defended if student in plain]
        return 100 * mean(defended[student] - plain[student] for student in both) if both else None

    return difference


def _of_clones(cell: TheftCell, victim: str, figure: Literal["adversary_error", "disagreement"]) -> dict[str, float]:
    """Give a figure of the clones of other networks than the attack's own, by network."""
    points = [point for point in cell.hardening.students if (point.victim, point.labels) == (victim, "soft")]
    return {point.student: float(getattr(point, figure).value) for point in points}


def _light_clone(cell: TheftCell) -> float | None:
    """How much more the clone that is a MobileNet errs on DivQAT than the others do on average."""
    errors = _of_clones(cell, "divqat", "adversary_error")
    if "divqat" in cell.hardening.victim:
        errors[cell.hardening.thief.attack.student] = cell.hardening.victim["divqat"].adversary_error.soft.value
    light = [error for name, error in errors.items() if name.startswith(_LIGHT)]
    others = [error for name, error in errors.items() if not name.startswith(_LIGHT)]
    return 100 * (mean(light) - mean(others)) if light and others else None


def _rises(figure: Literal["divergence", "adversary_error", "defender_error", "disagreement"]) -> Difference:
    """How much a figure rises from the least alpha to the greatest."""

    def difference(cell: TheftCell) -> float | None:
        points = sorted(cell.hardening.alphas, key=lambda point: point.alpha)
        if len(points) < 2:
            return None
        if figure == "divergence":
            return points[-1].divergence - points[0].divergence
        return 100 * float(getattr(points[-1], figure).value - getattr(points[0], figure).value)

    return difference


def thieves_words(cells: Sequence[tuple[str, TheftCell]], labels: Literal["soft", "hard"]) -> str:
    """Name the places in which even the plain build's thief may be no better than who guesses; nothing without any."""
    by_place: dict[str, list[TheftCell]] = {}
    for place, cell in cells:
        if "qat" in cell.hardening.victim:
            by_place.setdefault(place, []).append(cell)
    told = []
    for place, found in by_place.items():
        error, high = _of_plain(found, labels)
        guessing = 1 - 1 / len(found[0].hardening.data.classes)
        if high >= guessing:
            told.append(
                f"{place} (error {100 * error:.1f} %, interval to {100 * high:.1f} %; guessing {100 * guessing:.1f} %)"
            )
    if not told:
        return ""
    return (
        f"Thieves with {labels} labels may have learnt nothing even of the plain {cells[0][1].target} build on "
        f"{', '.join(told)}: what a defence adds there tells little of it."
    )


def prices_words(cells: Sequence[TheftCell], names: tuple[str, str]) -> str:
    """Say what two victims cost their owner, who may have got more for a higher price; nothing without any cell."""
    if not cells:
        return ""
    told = []
    for name in names:
        own = [cell.hardening.victim[name] for cell in cells]
        costs = [
            100 * (victim.defender_error.value - cell.hardening.victim["qat"].defender_error.value)
            for victim, cell in zip(own, cells, strict=True)
            if "qat" in cell.hardening.victim
        ]
        cost = f" and adds {mean(costs):.1f} points to its owner's error" if costs else ""
        told.append(f"{name} moves the answers by an l1 of {mean(victim.l1.value for victim in own):.2f}{cost}")
    return f"The two need not cost the same: {'; '.join(told)}."


def _of_plain(cells: Sequence[TheftCell], labels: Literal["soft", "hard"]) -> tuple[float, float]:
    """Give the mean error of the plain build's clones over the seeds, and its interval's upper end: shares."""
    errors = [getattr(cell.hardening.victim["qat"].adversary_error, labels) for cell in cells]
    found = spread([error.value for error in errors])
    return found.value, min(max(error.high for error in errors) if found.high is None else found.high, 1.0)


THEFT: Final[tuple[Stated[TheftCell], ...]] = (
    Stated(
        "divqat-soft",
        "DivQAT raises the thief's error over plain QAT.",
        "Table III, KnockoffNets: +3.1 (CIFAR-10), +6.8 (CIFAR-100), +1.9 (GTSRB), +11.8 (SVHN)",
        "clone's error with soft labels, DivQAT minus QAT",
        _stolen("divqat", "qat", "soft"),
        thief="soft",
    ),
    Stated(
        "divqat-hard",
        "The thief of labels alone, whom the paper leaves out.",
        "not in the paper, which names him as a limit",
        "clone's error with hard labels, DivQAT minus QAT",
        _stolen("divqat", "qat", "hard"),
        thief="hard",
    ),
    Stated(
        "divqat-moves",
        "DivQAT, as strong as its budget allows, moves the answers further than another seed of plain QAT does.",
        "not in the paper, which gives the budget alone (0.6)",
        "mean l1 of DivQAT's answers to QAT's, minus that between two seeds of QAT",
        _beyond_noise,
        unit="l1",
    ),
    Stated(
        "divqat-cost",
        "DivQAT costs its owner little accuracy: less than the 3.7 points that the paper calls its utmost drop.",
        "Table III: +4.5 (CIFAR-10), +6.1 (CIFAR-100), -0.4 (GTSRB), +3.5 (SVHN)",
        "defender's error, DivQAT minus QAT",
        _costs,
        bound=3.7,
        side="below",
    ),
    Stated(
        "rs-soft",
        "Reverse Sigmoid raises the thief's error over plain QAT.",
        "Table III: +1.4 (CIFAR-10), -0.8 (CIFAR-100), -3.9 (GTSRB), +0.3 (SVHN)",
        "clone's error with soft labels, QAT + Reverse Sigmoid minus QAT",
        _stolen("rs", "qat", "soft"),
        thief="soft",
    ),
    Stated(
        "dcp-soft",
        "Deception raises the thief's error over plain QAT.",
        "Table III: +3.8 (CIFAR-10), +6.8 (CIFAR-100), +1.5 (GTSRB), +9.2 (SVHN)",
        "clone's error with soft labels, QAT + Deception minus QAT",
        _stolen("dcp", "qat", "soft"),
        thief="soft",
    ),
    Stated(
        "joint-rs",
        "DivQAT makes Reverse Sigmoid stronger.",
        "Table IV: +2.5 (CIFAR-10), +3.5 (CIFAR-100), +8.0 (GTSRB), +3.6 (SVHN)",
        "clone's error with soft labels, DivQAT + Reverse Sigmoid minus QAT + Reverse Sigmoid",
        _stolen("divqat+rs", "rs", "soft"),
        thief="soft",
    ),
    Stated(
        "joint-dcp",
        "DivQAT makes Deception stronger.",
        "Table IV: +2.7 (CIFAR-10), +4.2 (CIFAR-100), +7.7 (GTSRB), +2.1 (SVHN)",
        "clone's error with soft labels, DivQAT + Deception minus QAT + Deception",
        _stolen("divqat+dcp", "dcp", "soft"),
        thief="soft",
    ),
    Stated(
        "server",
        "DivQAT protects builds for servers.",
        "Table V: +3.1 (CIFAR-10), +6.8 (CIFAR-100), +1.9 (GTSRB), +11.8 (SVHN)",
        "clone's error with soft labels, DivQAT minus QAT, target server",
        _stolen("divqat", "qat", "soft", "server"),
        every_target=True,
        thief="soft",
    ),
    Stated(
        "mobile",
        "DivQAT protects builds for phones.",
        "Table V: +2.8 (CIFAR-10), +2.9 (CIFAR-100), +1.9 (GTSRB), +5.7 (SVHN)",
        "clone's error with soft labels, DivQAT minus QAT, target mobile",
        _stolen("divqat", "qat", "soft", "mobile"),
        every_target=True,
        thief="soft",
    ),
    Stated(
        "clones-error",
        "DivQAT raises the error of clones of other networks as well.",
        'figure 3 (a), by eye; "for most cases"',
        "clone's error with soft labels, DivQAT minus QAT, mean over the clones of other networks",
        _other_clones("adversary_error"),
    ),
    Stated(
        "clones-disagreement",
        "DivQAT makes clones of other networks disagree more often with their victim.",
        'figure 3 (b), by eye; "for most cases"',
        "disagreement of clone and victim with soft labels, DivQAT minus QAT, mean over the clones of other networks",
        _other_clones("disagreement"),
    ),
    Stated(
        "clones-light",
        "Of DivQAT, the light MobileNet makes a worse clone than other networks do.",
        'figure 3 (a), by eye; "often"',
        "clone's error with soft labels against DivQAT, MobileNet's minus the mean of the other networks'",
        _light_clone,
    ),
    Stated(
        "alpha-divergence",
        "A larger alpha moves the quantized model further from the original.",
        "figure 6, by eye",
        "KL(quantized || original) at the greatest alpha minus that at the least",
        _rises("divergence"),
        unit="nats",
    ),
    Stated(
        "alpha-error",
        "A larger alpha raises the thief's error.",
        "figure 4, by eye",
        "clone's error with soft labels at the greatest alpha minus that at the least",
        _rises("adversary_error"),
    ),
    Stated(
        "alpha-cost",
        "A larger alpha costs its owner accuracy as well: alpha is a trade-off.",
        "figure 4, by eye",
        "defender's error at the greatest alpha minus that at the least",
        _rises("defender_error"),
    ),
    Stated(
        "alpha-disagreement",
        "At a large alpha clone and victim disagree more often.",
        "figure 5, by eye",
        "disagreement with soft labels at the greatest alpha minus that at the least",
        _rises("disagreement"),
    ),
    Stated(
        "held-soft",
        "Ours: DivQAT held by a hinge raises the thief's error over plain QAT.",
        "not in the paper",
        "clone's error with soft labels, held minus QAT",
        _stolen("held", "qat", "soft"),
        thief="soft",
    ),
    Stated(
        "held-hard",
        "Ours, against the thief of labels alone.",
        "not in the paper",
        "clone's error with hard labels, held minus QAT",
        _stolen("held", "qat", "hard"),
        thief="hard",
    ),
    Stated(
        "held-smoothing",
        "Ours raises the thief's error more than label smoothing, both within the same allowance.",
        "not in the paper",
        "clone's error with soft labels, held minus label smoothing",
        _stolen("held", "smoothing", "soft"),
        thief="soft",
        priced=("held", "smoothing"),
    ),
)
