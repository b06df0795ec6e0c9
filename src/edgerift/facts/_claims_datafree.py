"""The second paper's claims about data-free attackers, and how much of a difference is due to the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from edgerift.facts import readings as of
from edgerift.facts._data_free import data_free_places
from edgerift.facts._facts import Facts
from edgerift.facts._metric import Fact
from edgerift.facts._names import ATTACKS, PLAIN
from edgerift.facts._stated import Stated, only
from edgerift.harden import published_epsilon

_DEFENDED: Final = "divqat"
#: Chooses the epsilon that counts for the facts of one place and seed.
_Choice: TypeAlias = Callable[[Facts], float | None]


class Worth(NamedTuple):
    """What a difference is worth: in words, and whether it shows nothing because the attack was blind.

    `blind` says that the attack was blind against every plain build, and did not steal as much there as where it sees.
    """

    note: str = ""
    blind: bool = False


@dataclass(frozen=True)
class StatedTheft:
    """A claim about extraction by an attack, and what a difference is worth, given the facts with their places."""

    attack: str
    stated: Stated
    worth: Callable[[Sequence[tuple[str, Facts]]], Worth]


class _Attack(NamedTuple):
    """How claims name an attack, and what the paper prints of it; None for attacks of which it prints nothing."""

    name: str
    title: str
    published: str | None


_WITH_DIFFERENCES: Final = (
    _Attack("dfme", "DFME", "Table III: +20.7 (CIFAR-10), +9.7 (CIFAR-100), +29.9 (GTSRB), +77.4 (SVHN)"),
    _Attack(
        "maze-dfme", "the paper's MAZE", "Table III: +7.0 (CIFAR-10), +0.4 (CIFAR-100), +9.3 (GTSRB), +85.7 (SVHN)"
    ),
    _Attack("maze", "MAZE as its authors run it", None),
)
_UNPRINTED: Final = "not in the paper"


def data_free_claims(found: Facts) -> tuple[StatedTheft, ...]:
    """State the claims about the attacks that were tried; each attack at an epsilon of its own choice if there are."""
    tried = found.of(of.DATA_FREE_ERROR).by("attack")
    stated: list[StatedTheft] = []
    for attack in _WITH_DIFFERENCES:
        if attack.name in tried:
            stated.append(_at_published(attack))
            varied = set(tried[attack.name].distinct("epsilon")) - {published_epsilon(attack.name)}
            stated += [_at_best(attack, found)] if varied else []
    others = (name for name in ATTACKS if name in tried and published_epsilon(name) is None)
    return (*stated, *(_without_differences(_Attack(name, ATTACKS[name], None)) for name in others))


def _at_published(attack: _Attack) -> StatedTheft:
    epsilon = published_epsilon(attack.name)
    return _stated(
        f"{attack.name}-published",
        f"DivQAT raises the error of {attack.title} over plain QAT.",
        attack,
        f"clone's error, DivQAT minus QAT, {attack.name} at the published epsilon of {epsilon:g}",
        lambda _: epsilon,
    )


def _at_best(attack: _Attack, found: Facts) -> StatedTheft:
    best = {(place.data, place.original): place.best_epsilon(attack.name) for place in data_free_places(found)}
    return _stated(
        f"{attack.name}-best",
        f"Ours: DivQAT raises the error of {attack.title} also at the epsilon that is best against QAT.",
        attack._replace(published=None),
        f"clone's error, DivQAT minus QAT, {attack.name} at the epsilon with the lowest error of its clones of QAT",
        lambda cell: best[cell[0].data, cell[0].original],
        " The epsilon was chosen against QAT, on the validation images.",
    )


def _without_differences(attack: _Attack) -> StatedTheft:
    stated = Stated(
        attack.name,
        f"Ours: DivQAT raises the error of {attack.title}, which takes no differences.",
        _UNPRINTED,
        f"clone's error, DivQAT minus QAT, {attack.name}",
        lambda cell: _difference(cell, attack.name, None),
    )
    return StatedTheft(attack.name, stated, lambda _: Worth())


def _stated(
    name: str, statement: str, attack: _Attack, measured: str, choose: _Choice, remark: str = ""
) -> StatedTheft:
    def difference(cell: Facts) -> float | None:
        epsilon = choose(cell)
        return None if epsilon is None else _difference(cell, attack.name, epsilon)

    def worth(cells: Sequence[tuple[str, Facts]]) -> Worth:
        found = _worth(attack, cells, choose)
        if not found.note:
            return found
        if remark and {choose(cell) for _, cell in cells} == {published_epsilon(attack.name)}:
            found = found._replace(note=f"{attack.title} is best against QAT at its published epsilon.")
        return found._replace(note=f"{found.note}{remark}")

    stated = Stated(name, statement, attack.published or _UNPRINTED, measured, difference)
    return StatedTheft(attack.name, stated, worth)


def _difference(cell: Facts, attack: str, epsilon: float | None) -> float | None:
    """The error of the defended build's clone minus that of the plain one's, in points."""
    plain, defended = (_theft(cell, attack, victim, epsilon) for victim in (PLAIN, _DEFENDED))
    return None if plain is None or defended is None else 100 * (defended.error.value - plain.error.value)


class _Theft(NamedTuple):
    """The result of an extraction, and the quality of its differences; None where not measured, or all zero."""

    error: Fact
    blind: bool | None
    correlation: float | None


def _theft(cell: Facts, attack: str, victim: str, epsilon: float | None, control: str | None = None) -> _Theft | None:
    own = cell.where(attack=attack, victim=victim, epsilon=epsilon, control=control)
    error, blind, slopes = (only(own, one) for one in (of.DATA_FREE_ERROR, of.BLIND, of.CORRELATION))
    if error is None:
        return None
    return _Theft(error, blind and bool(blind.value), slopes and slopes.value)


class _Compared(NamedTuple):
    """The extractions of both builds at one epsilon, and of the plain one without rounding, where not blind."""

    plain: _Theft
    defended: _Theft
    seeing: _Theft | None

    @property
    def needs_no_sight(self) -> bool:
        """Whether the plain build's clone is no worse than that of a non-blind attack, by their intervals."""
        if self.seeing is None:
            return False
        return (self.plain.error.low or 0.0) <= (self.seeing.error.high or 0.0)


def _worth(attack: _Attack, cells: Sequence[tuple[str, Facts]], choose: _Choice) -> Worth:
    """Say at which epsilons an attack was, whether it could see there, and what a difference is worth then."""
    epsilons: dict[str, float] = {}
    found: list[_Compared] = []
    for place, cell in cells:
        epsilon = choose(cell)
        plain, defended = (_theft(cell, attack.name, victim, epsilon) for victim in (PLAIN, _DEFENDED))
        if epsilon is not None and plain is not None and defended is not None:
            epsilons[place] = epsilon
            control = _theft(cell, attack.name, PLAIN, published_epsilon(attack.name), "simulated")
            found.append(_Compared(plain, defended, control if control and control.blind is False else None))
    if not found:
        return Worth()
    blind = all(one.plain.blind for one in found) and not all(one.needs_no_sight for one in found)
    return Worth(f"{attack.title} at {_epsilons(epsilons)} {_sight(found)}", blind)


def _epsilons(by_place: dict[str, float]) -> str:
    if len(set(by_place.values())) == 1:
        return f"epsilon {next(iter(by_place.values())):g}"
    return f"epsilon {', '.join(f'{epsilon:g} ({place})' for place, epsilon in by_place.items())}"


def _sight(found: Sequence[_Compared]) -> str:
    """Say against how many builds the attack was blind."""
    known = [one for one in found if one.plain.blind is not None and one.defended.blind is not None]
    if not known:
        return "has no measurement of its differences' quality."
    plain_range, defended_range = _range([one.plain for one in known]), _range([one.defended for one in known])
    against = f"against QAT (correlation of its differences with the slopes {plain_range})"
    blind = [one for one in known if one.plain.blind]
    if len(blind) == len(known):
        return f"was blind {against}{_without_sight(blind)}"
    if blind:
        return f"was blind {against} in {len(blind)} of {len(known)} extractions{_without_sight(blind)}"
    clones = f"Its clones of QAT have an error of {_errors([one.plain for one in known])}."
    hidden = sum(bool(one.defended.blind) for one in known)
    if hidden:
        return (
            f"was not blind {against}, but against DivQAT ({defended_range}) in {hidden} of {len(known)} extractions: "
            f"there an attack without differences shows more. {clones}"
        )
    return f"was not blind {against}, nor against DivQAT ({defended_range}). {clones}"


def _without_sight(blind: Sequence[_Compared]) -> str:
    """Compare blind extractions with those without rounding, and say what follows."""
    clones = f": its clones have an error of {_errors([one.plain for one in blind])} there"
    seeing = [one.seeing for one in blind if one.seeing is not None]
    if len(seeing) < len(blind):
        return (
            f"{clones}; no non-blind extraction was measured, so no difference there is "
            "evidence about DivQAT's training."
        )
    clones = f"{clones}, and of {_errors(seeing)} without rounding"
    if all(one.needs_no_sight for one in blind):
        return f"{clones}. It extracts as much without its differences, so both builds' answers are tested."
    return (
        f"{clones}. What stops it there is the arithmetic, which QAT has as well, so no difference there, held or "
        "not, is evidence about DivQAT's training."
    )


def _errors(thefts: Sequence[_Theft]) -> str:
    """Give the range of the clones' errors."""
    errors = sorted(100 * one.error.value for one in thefts)
    return f"{' to '.join(dict.fromkeys(f'{end:.1f}' for end in (errors[0], errors[-1])))} %"


def _range(thefts: Sequence[_Theft]) -> str:
    """Give the range of the correlations."""
    slopes = sorted(one.correlation or 0.0 for one in thefts)
    return " to ".join(dict.fromkeys(f"{end:.2f}" for end in (slopes[0], slopes[-1])))
