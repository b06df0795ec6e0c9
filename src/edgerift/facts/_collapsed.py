"""Models that do no better than guessing: nothing that is measured of them supports a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from edgerift.facts import readings as of
from edgerift.facts._facts import Facts
from edgerift.facts._metric import Fact
from edgerift.facts._stated import Difference
from edgerift.measure import Rate

#: Data set, original, target, victim, seed, and the alpha of DivQAT models that were trained over a range of it.
Model: TypeAlias = tuple[str, str, str, str, int | None, float | None]

_ERRORS: Final = (of.DEFENDER_ERROR, of.ALPHA_DEFENDER, of.DATA_FREE_DEFENDER)
_ACCURACIES: Final = (of.ORIGINAL_ACCURACY, of.ADAPTED_ACCURACY)
_CHANCES: Final = (of.CHANCE, of.ORIGINAL_CHANCE)
_OVER_ALPHA: Final = frozenset(
    reading for part in (of.ALPHA, of.ALPHA_THEFT, of.ALPHA_ANSWERS) for reading in part.readings
)


@final
@dataclass(frozen=True)
class Collapse:
    """A model whose error reaches that of guessing: the error measured and that of guessing, in [0, 1]."""

    error: float
    guessing: float


def collapsed(found: Facts) -> dict[Model, Collapse]:
    """List the models whose error is not below that of guessing one class: its 95 % interval reaches it.

    Guessing always answers the most common class of the test images; where its share is not known the error of guessing
    is 1 - 1/K with K classes, and of data whose classes are not known no model is listed.
    """
    # Of documents that know the most common class and earlier ones the first know better.
    guessing = {data: min(fact.value for fact in own) for data, own in found.of(*_CHANCES).by("data").items()}
    dead: dict[Model, Collapse] = {}
    for fact in found.of(*_ERRORS, *_ACCURACIES):
        is_error = fact.reading in _ERRORS
        error = fact.value if is_error else 1 - fact.value
        end = fact.high if is_error else None if fact.low is None else 1 - fact.low
        if fact.data in guessing and (error if end is None else end) >= guessing[fact.data]:
            dead[model_of(fact)] = Collapse(error, guessing[fact.data])
    return dead


def model_of(fact: Fact) -> Model:
    """Name the model of which something was measured."""
    alpha = fact.over if fact.reading in _OVER_ALPHA else None
    return fact.data, fact.original, fact.target, fact.victim, fact.seed, alpha


def has_collapsed(accuracy: float, images: int, guessing: float) -> bool:
    """Say whether an accuracy on a number of images is not clearly above that of guessing, whose error is given.

    >>> [has_collapsed(accuracy, 1000, 0.9) for accuracy in (0.05, 0.11, 0.13)]
    [True, True, False]
    """
    return Rate(round(accuracy * images), images).low <= 1 - guessing


def alive(found: Facts, dead: Mapping[Model, Collapse]) -> Facts:
    """Leave out what was measured of collapsed models; the same facts where there is none."""
    own = [fact for fact in found if fact.reading in _CHANCES or model_of(fact) not in dead] if dead else found
    return found if len(own) == len(found) else Facts(found.result, own)


def decisive(found: Facts, dead: Mapping[Model, Collapse], difference: Difference) -> dict[Model, Collapse]:
    """List the collapsed models without which a difference is another one, or none.

    A model counts where the difference changes with it alone left out, or with it alone left in.
    """
    own = {model: one for model, one in dead.items() if any(model_of(fact) == model for fact in found)}
    whole, rest = difference(found), difference(alive(found, own))
    return {
        model: one
        for model, one in own.items()
        if difference(alive(found, {model: one})) != whole or difference(alive(found, _but(own, model))) != rest
    }


def collapsed_words(dead: Mapping[Model, Collapse]) -> str:
    """Say which models were left out, and of how many seeds; empty without any.

    >>> print(collapsed_words({("svhn", "ResNet", "mobile", "divqat", 0, 1.0): Collapse(0.979, 0.9)}))
    Left out, at or under guessing: divqat of ResNet at alpha 1 on svhn (one seed; error 97.9 %; guessing 90.0 %).
    """
    by_name: dict[str, dict[Model, Collapse]] = {}
    for model, one in dead.items():
        data, original, _, victim, _, alpha = model
        at = "" if alpha is None else f" at alpha {alpha:g}"
        by_name.setdefault(f"{victim} of {original}{at} on {data}", {})[model] = one
    told = "; ".join(f"{name} ({_seeds(own)}; {_errors([*own.values()])})" for name, own in by_name.items())
    return f"Left out, at or under guessing: {told}." if told else ""


def _seeds(dead: Mapping[Model, Collapse]) -> str:
    number = len({seed for *_, seed, _ in dead})
    return "one seed" if number == 1 else f"{number} seeds"


def _errors(dead: Sequence[Collapse]) -> str:
    ends = dict.fromkeys(f"{100 * end(one.error for one in dead):.1f}" for end in (min, max))
    return f"error {' to '.join(ends)} %; guessing {100 * dead[0].guessing:.1f} %"


def _but(dead: Mapping[Model, Collapse], model: Model) -> dict[Model, Collapse]:
    return {other: one for other, one in dead.items() if other != model}
