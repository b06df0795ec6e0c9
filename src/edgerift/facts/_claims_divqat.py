"""The second paper's claims about extraction, and ours beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any, Final, Literal

from edgerift.facts import readings as of
from edgerift.facts._facts import Facts
from edgerift.facts._metric import Reading
from edgerift.facts._names import PLAIN
from edgerift.facts._pooled import pooled
from edgerift.facts._stated import Difference, Stated, minus, only
from edgerift.harden import VARIANTS

#: How the names of the light networks begin that the paper says err more.
_LIGHT: Final = "mobilenet"
#: What the claims about alpha compare.
_OVER_ALPHA: Final = " at the greatest alpha minus that at the least, of those whose models do better than guessing"


def _stolen(
    name: str,
    statement: str,
    published: str,
    victims: tuple[str, str],
    *,
    labels: Literal["soft", "hard"] = "soft",
    target: Literal["server", "mobile"] | None = None,
    priced: bool = False,
) -> Stated:
    """State a claim about the attacker's error on one victim minus that on another."""
    wheres: Iterable[dict[str, object]] = ({"labels": labels, "victim": victim} for victim in victims)
    one, other = ((of.CLONE_ERROR, where) for where in wheres)
    titles = " minus ".join(VARIANTS[victim].title for victim in victims)
    on_target = "" if target is None else f", target {target}"
    measured = f"clone's error with {labels} labels, {titles}{on_target}"
    return Stated(
        name, statement, published, measured, minus(one, other), paper_target=target, thief=labels,
        priced=victims if priced else None,
    )  # fmt: skip


def _other_clones(reading: Reading[Any]) -> Difference:
    """How much higher a figure is of DivQAT than of QAT, over the clones of other networks with soft labels."""

    def difference(found: Facts) -> float | None:
        plain, defended = (_of_clones(found, victim, reading) for victim in (PLAIN, "divqat"))
        both = [student for student in defended if student in plain]
        return 100 * mean(defended[student] - plain[student] for student in both) if both else None

    return difference


def _of_clones(found: Facts, victim: str, reading: Reading[Any]) -> dict[str, float]:
    """Give a figure of the clones of other networks than the attack's own, by network."""
    return {fact.student: fact.value for fact in found.of(reading, victim=victim, labels="soft")}


def _light_clone(found: Facts) -> float | None:
    """The error on DivQAT of the MobileNet clone minus the mean of the others."""
    errors = _of_clones(found, "divqat", of.STUDENT_ERROR) | _of_clones(found, "divqat", of.CLONE_ERROR)
    light = [error for name, error in errors.items() if name.startswith(_LIGHT)]
    others = [error for name, error in errors.items() if not name.startswith(_LIGHT)]
    return 100 * (mean(light) - mean(others)) if light and others else None


def _rises(reading: Reading[Any]) -> Difference:
    """The increase of a figure from the smallest alpha to the largest."""

    def difference(found: Facts) -> float | None:
        points = sorted(found.of(reading), key=lambda fact: fact.over)
        if len(points) < 2:
            return None
        return (100 if reading.metric.unit == "share" else 1) * (points[-1].value - points[0].value)

    return difference


def thieves_words(cells: Sequence[tuple[str, Facts]], labels: str) -> str:
    """Name the places in which even the plain build's attacker may be at chance; empty without any."""
    by_place: dict[str, list[Facts]] = {}
    for place, cell in cells:
        by_place.setdefault(place, []).append(cell)
    told = []
    for place, own in by_place.items():
        whole = pooled(fact for cell in own for fact in cell.of(of.CLONE_ERROR, victim=PLAIN, labels=labels))
        if whole is None:
            continue
        _, high = whole.ends
        guessing = own[0].of(of.CHANCE)[0].value
        if high >= guessing:
            told.append(
                f"{place} (error {100 * whole.value:.1f} %, interval to {100 * high:.1f} %; chance "
                f"{100 * guessing:.1f} %)"
            )
    if not told:
        return ""
    target = cells[0][1].of(of.CLONE_ERROR)[0].target
    return (
        f"Attackers with {labels} labels may be at chance even on the plain {target} build on {', '.join(told)}: "
        "what a defence adds there says little about it."
    )


def prices_words(cells: Sequence[Facts], names: tuple[str, str]) -> str:
    """Say what two victims cost their owner, since their costs may differ; empty without any cell."""
    if not cells:
        return ""
    told = []
    for name in names:
        cost_of = minus((of.DEFENDER_ERROR, {"victim": name}), (of.DEFENDER_ERROR, {"victim": PLAIN}))
        costs = [cost for cell in cells if (cost := cost_of(cell)) is not None]
        distances = [fact.value for cell in cells if (fact := only(cell, of.L1, victim=name)) is not None]
        adds = f" and adds {mean(costs):.1f} points to its owner's error" if costs else ""
        told.append(f"{name} moves the answers by an l1 of {mean(distances):.2f}{adds}")
    return f"The two need not cost the same: {'; '.join(told)}."


THEFT: Final[tuple[Stated, ...]] = (
    _stolen(
        "divqat-soft",
        "DivQAT, as strong as its owner can use it, raises the attacker's error over plain QAT.",
        "Table III, KnockoffNets: +3.1 (CIFAR-10), +6.8 (CIFAR-100), +1.9 (GTSRB), +11.8 (SVHN)",
        ("divqat", "qat"),
    ),
    _stolen(
        "divqat-hard",
        "The attacker with labels alone, not tested in the paper.",
        "not in the paper, which names it as a limitation",
        ("divqat", "qat"),
        labels="hard",
    ),
    Stated(
        "divqat-moves",
        "DivQAT, as strong as its budget allows, moves the answers further than another seed of plain QAT does.",
        "not in the paper, which gives the budget alone (0.6)",
        "mean l1 of DivQAT's answers to QAT's, minus that between two seeds of QAT",
        minus((of.L1, {"victim": "divqat"}), (of.NOISE, {})),
        unit="l1",
    ),
    Stated(
        "divqat-cost",
        "DivQAT costs its owner little accuracy: less than the 3.7 points that the paper calls its utmost drop.",
        "Table III: +4.5 (CIFAR-10), +6.1 (CIFAR-100), -0.4 (GTSRB), +3.5 (SVHN)",
        "defender's error, DivQAT minus QAT",
        minus((of.DEFENDER_ERROR, {"victim": "divqat"}), (of.DEFENDER_ERROR, {"victim": PLAIN})),
        bound=3.7,
        side="below",
    ),
    _stolen(
        "rs-soft",
        "Reverse Sigmoid raises the attacker's error over plain QAT.",
        "Table III: +1.4 (CIFAR-10), -0.8 (CIFAR-100), -3.9 (GTSRB), +0.3 (SVHN)",
        ("rs", "qat"),
    ),
    _stolen(
        "dcp-soft",
        "Deception raises the attacker's error over plain QAT.",
        "Table III: +3.8 (CIFAR-10), +6.8 (CIFAR-100), +1.5 (GTSRB), +9.2 (SVHN)",
        ("dcp", "qat"),
    ),
    _stolen(
        "joint-rs",
        "DivQAT, as strong as half of the budget allows, makes Reverse Sigmoid stronger.",
        "Table IV: +2.5 (CIFAR-10), +3.5 (CIFAR-100), +8.0 (GTSRB), +3.6 (SVHN)",
        ("divqat+rs", "rs"),
    ),
    _stolen(
        "joint-dcp",
        "DivQAT, as strong as half of the budget allows, makes Deception stronger.",
        "Table IV: +2.7 (CIFAR-10), +4.2 (CIFAR-100), +7.7 (GTSRB), +2.1 (SVHN)",
        ("divqat+dcp", "dcp"),
    ),
    _stolen(
        "server",
        "DivQAT, as strong as its owner can use it, protects builds for servers.",
        "Table V: +3.1 (CIFAR-10), +6.8 (CIFAR-100), +1.9 (GTSRB), +11.8 (SVHN)",
        ("divqat", "qat"),
        target="server",
    ),
    _stolen(
        "mobile",
        "DivQAT, as strong as its owner can use it, protects builds for phones.",
        "Table V: +2.8 (CIFAR-10), +2.9 (CIFAR-100), +1.9 (GTSRB), +5.7 (SVHN)",
        ("divqat", "qat"),
        target="mobile",
    ),
    Stated(
        "clones-error",
        "DivQAT raises the error of clones of other networks as well.",
        'figure 3 (a), by eye; "for most cases"',
        "clone's error with soft labels, DivQAT minus QAT, mean over the clones of other networks",
        _other_clones(of.STUDENT_ERROR),
    ),
    Stated(
        "clones-disagreement",
        "DivQAT makes clones of other networks disagree more often with their victim.",
        'figure 3 (b), by eye; "for most cases"',
        "disagreement of clone and victim with soft labels, DivQAT minus QAT, mean over the clones of other networks",
        _other_clones(of.STUDENT_DISAGREEMENT),
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
        "A larger alpha moves a quantized model that still works further from the original.",
        "figure 6, by eye",
        f"KL(quantized || original){_OVER_ALPHA}",
        _rises(of.ALPHA_KL),
        over_alpha=True,
        unit="nats",
    ),
    Stated(
        "alpha-error",
        "A larger alpha raises the attacker's error on a victim that still works.",
        "figure 4, by eye",
        f"clone's error with soft labels{_OVER_ALPHA}",
        _rises(of.ALPHA_ERROR),
        over_alpha=True,
    ),
    Stated(
        "alpha-cost",
        "A larger alpha costs the owner of a victim that still works accuracy as well: alpha is a trade-off.",
        "figure 4, by eye",
        f"defender's error{_OVER_ALPHA}",
        _rises(of.ALPHA_DEFENDER),
        over_alpha=True,
    ),
    Stated(
        "alpha-disagreement",
        "At a larger alpha clone and a victim that still works disagree more often.",
        "figure 5, by eye",
        f"disagreement with soft labels{_OVER_ALPHA}",
        _rises(of.ALPHA_DISAGREEMENT),
        over_alpha=True,
    ),
    _stolen(
        "held-soft",
        "Ours: DivQAT held by a hinge raises the attacker's error over plain QAT.",
        "not in the paper",
        ("held", "qat"),
    ),
    _stolen(
        "held-hard",
        "Ours, against the attacker with labels alone.",
        "not in the paper",
        ("held", "qat"),
        labels="hard",
    ),
    _stolen(
        "held-smoothing",
        "Ours raises the attacker's error more than label smoothing, at the same allowance and not at the same cost.",
        "not in the paper",
        ("held", "smoothing"),
        priced=True,
    ),
)
