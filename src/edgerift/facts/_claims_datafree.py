"""What the second paper claims of thieves without images, and how much of a difference is the training's doing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from edgerift.facts._stated import Stated
from edgerift.harden import DataFreeComparison, DataFreeEntry, best_epsilon, published_epsilon

_PLAIN: Final = "qat"
_DEFENDED: Final = "divqat"


class Stolen(NamedTuple):
    """The thefts of one cell, and those of its data set and original for every seed, by which an epsilon is chosen."""

    comparison: DataFreeComparison
    peers: tuple[DataFreeComparison, ...]


_Choice: TypeAlias = Callable[[Stolen], float | None]


class Worth(NamedTuple):
    """What a difference found is worth: in words, and whether it tells nothing, for the attack should have seen more.

    `blind` says that the attack was blind against every plain build, and did not steal as much there as where it sees.
    """

    note: str = ""
    blind: bool = False


@dataclass(frozen=True)
class StatedTheft:
    """A claim of thefts, and what a difference found is worth, given the cells and the names of their places."""

    stated: Stated[Stolen]
    worth: Callable[[Sequence[tuple[str, Stolen]]], Worth]


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
_WITHOUT: Final = (
    _Attack("disguide", "DisGUIDE, which takes no differences", None),
    _Attack("disguide-hard", "DisGUIDE on labels alone", None),
)
_UNPRINTED: Final = "not in the paper"


def data_free_claims(comparisons: Sequence[DataFreeComparison]) -> tuple[StatedTheft, ...]:
    """State the claims about the attacks that were tried; each attack at an epsilon of its own choice if there are."""
    tried = {entry.attack for one in comparisons for entry in one.entries}
    varied = {
        entry.attack for one in comparisons for entry in one.entries if entry.epsilon != published_epsilon(entry.attack)
    }
    found: list[StatedTheft] = []
    for attack in _WITH_DIFFERENCES:
        found += [_at_published(attack)] if attack.name in tried else []
        found += [_at_best(attack)] if attack.name in varied else []
    return (*found, *(_without_differences(attack) for attack in _WITHOUT if attack.name in tried))


def _at_published(attack: _Attack) -> StatedTheft:
    epsilon = published_epsilon(attack.name)
    return _stated(
        f"{attack.name}-published",
        f"DivQAT raises the error of {attack.title} over plain QAT.",
        attack,
        f"clone's error, DivQAT minus QAT, {attack.name} at the published epsilon of {epsilon:g}",
        lambda _: epsilon,
    )


def _at_best(attack: _Attack) -> StatedTheft:
    return _stated(
        f"{attack.name}-best",
        f"Ours: DivQAT raises the error of {attack.title} also at the epsilon that is best against QAT.",
        attack._replace(published=None),
        f"clone's error, DivQAT minus QAT, {attack.name} at the epsilon at which its clones of QAT err least",
        lambda stolen: best_epsilon(stolen.peers, attack.name),
        " The epsilon was chosen against QAT, on the validation images.",
    )


def _without_differences(attack: _Attack) -> StatedTheft:
    return StatedTheft(
        Stated(
            attack.name,
            f"Ours: DivQAT raises the error of {attack.title}.",
            _UNPRINTED,
            f"clone's error, DivQAT minus QAT, {attack.name}",
            lambda stolen: _difference(stolen, attack.name, None),
        ),
        lambda _: Worth(),
    )


def _stated(
    name: str, statement: str, attack: _Attack, measured: str, choose: _Choice, remark: str = ""
) -> StatedTheft:
    def difference(stolen: Stolen) -> float | None:
        epsilon = choose(stolen)
        return None if epsilon is None else _difference(stolen, attack.name, epsilon)

    def worth(cells: Sequence[tuple[str, Stolen]]) -> Worth:
        found = _worth(attack, cells, choose)
        if not found.note:
            return found
        if remark and {choose(stolen) for _, stolen in cells} == {published_epsilon(attack.name)}:
            found = found._replace(note=f"{attack.title} is best against QAT at its published epsilon.")
        return found._replace(note=f"{found.note}{remark}")

    return StatedTheft(Stated(name, statement, attack.published or _UNPRINTED, measured, difference), worth)


def _difference(stolen: Stolen, attack: str, epsilon: float | None) -> float | None:
    """How much more a clone of the defended build errs than one of the plain one, in points."""
    plain, defended = (stolen.comparison.find(victim, attack, epsilon) for victim in (_PLAIN, _DEFENDED))
    if plain is None or defended is None:
        return None
    return 100 * (defended.theft.adversary_error.value - plain.theft.adversary_error.value)


class _Compared(NamedTuple):
    """The thefts of both builds at one epsilon, and of the plain one without rounding by an attack that saw there."""

    plain: DataFreeEntry
    defended: DataFreeEntry
    seeing: DataFreeEntry | None

    @property
    def needs_no_sight(self) -> bool:
        """Whether the clone of the plain build errs no more than one of an attack that sees, by their intervals."""
        if self.seeing is None:
            return False
        return self.plain.theft.adversary_error.low <= self.seeing.theft.adversary_error.high


def _worth(attack: _Attack, cells: Sequence[tuple[str, Stolen]], choose: _Choice) -> Worth:
    """Say at which epsilons an attack was, whether it could see there, and what a difference is worth then."""
    epsilons: dict[str, float] = {}
    found: list[_Compared] = []
    for place, stolen in cells:
        epsilon = choose(stolen)
        plain, defended = (stolen.comparison.find(victim, attack.name, epsilon) for victim in (_PLAIN, _DEFENDED))
        if epsilon is not None and plain is not None and defended is not None:
            epsilons[place] = epsilon
            control = stolen.comparison.find(_PLAIN, attack.name, published_epsilon(attack.name), "simulated")
            sees = control is not None and control.is_blind is False
            found.append(_Compared(plain, defended, control if sees else None))
    if not found:
        return Worth()
    blind = all(one.plain.is_blind for one in found) and not all(one.needs_no_sight for one in found)
    return Worth(f"{attack.title} at {_epsilons(epsilons)} {_sight(found)}", blind)


def _epsilons(by_place: dict[str, float]) -> str:
    if len(set(by_place.values())) == 1:
        return f"epsilon {next(iter(by_place.values())):g}"
    return f"epsilon {', '.join(f'{epsilon:g} ({place})' for place, epsilon in by_place.items())}"


def _sight(found: Sequence[_Compared]) -> str:
    """Say against how many builds the differences told nothing."""
    known = [one for one in found if one.plain.is_blind is not None and one.defended.is_blind is not None]
    if not known:
        return "was not measured for what its differences are worth."
    plain_range, defended_range = _range([one.plain for one in known]), _range([one.defended for one in known])
    against = f"against QAT (correlation of its differences with the slopes {plain_range})"
    blind = [one for one in known if one.plain.is_blind]
    if len(blind) == len(known):
        return f"was blind {against}{_without_sight(blind)}"
    if blind:
        return f"was blind {against} in {len(blind)} of {len(known)} thefts{_without_sight(blind)}"
    clones = f"Its clones of QAT err on {_errors([one.plain for one in known])}."
    hidden = sum(bool(one.defended.is_blind) for one in known)
    if hidden:
        return (
            f"was not blind {against}, but against DivQAT ({defended_range}) in {hidden} of {len(known)} thefts: there "
            f"an attack without differences tells more. {clones}"
        )
    return f"was not blind {against}, nor against DivQAT ({defended_range}). {clones}"


def _without_sight(blind: Sequence[_Compared]) -> str:
    """Say what blind thefts took beside those that nothing was rounded for, and so what they tell."""
    clones = f": its clones err on {_errors([one.plain for one in blind])} there"
    seeing = [one.seeing for one in blind if one.seeing is not None]
    if len(seeing) < len(blind):
        return f"{clones}; no theft with sight was measured, so that no difference there tells of DivQAT's training."
    clones = f"{clones}, and on {_errors(seeing)} where nothing is rounded"
    if all(one.needs_no_sight for one in blind):
        return f"{clones}. It steals as much without its differences, so that both builds' answers are put to the test."
    return (
        f"{clones}. What stops it there is the arithmetic, which QAT has as well, so that no difference there, held or "
        "not, tells of DivQAT's training."
    )


def _errors(entries: Sequence[DataFreeEntry]) -> str:
    """Say from where to where the clones' errors go."""
    errors = sorted(100 * entry.theft.adversary_error.value for entry in entries)
    return f"{' to '.join(dict.fromkeys(f'{end:.1f}' for end in (errors[0], errors[-1])))} %"


def _range(entries: Sequence[DataFreeEntry]) -> str:
    """Say from where to where the correlations go."""
    slopes = sorted(entry.masking.correlation or 0.0 for entry in entries if entry.masking is not None)
    return " to ".join(dict.fromkeys(f"{end:.2f}" for end in (slopes[0], slopes[-1])))
