"""Which specification would explain that a model knows its images far worse than it should."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from edgerift.errors import EdgeriftError, RecipeError
from edgerift.measure import Rate, mcnemar
from edgerift.specification._specification import Specification
from edgerift.specification._spelling import spelled

#: How improbable chance has to be as the reason, all that was tried taken together (Bonferroni).
_SURE: Final = 0.001
#: Above this probability two specifications are taken to be equally good.
_ALIKE: Final = 0.05

_NONE: Final[dict[str, Any]] = {"mean": None, "std": None, "scale": None, "offset": None}
#: What models are usually trained with, in the order of preference among equals.
_RANGES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"mean": "imagenet", "std": "imagenet"},
    {"mean": "inception", "std": "inception"},
    {"scale": 1},
    {"mean": "cifar10", "std": "cifar10"},
    {"mean": "mnist", "std": "mnist"},
    {"offset": -128},
)
_ORDERS: Final = {"rgb": "bgr", "bgr": "rgb"}
_LAYOUTS: Final = {"nchw": "nhwc", "nhwc": "nchw"}


@dataclass(frozen=True)
class Explanation:
    """A specification with which a model's accuracy on the same images is clearly better than with the one given.

    `given` is None where the model refused the images as they were given.
    """

    specification: Specification
    accuracy: Rate
    given: Rate | None

    def __str__(self) -> str:
        """Say so in half a sentence."""
        # The name of a file's input is found in the file.
        said = self.specification.replace(input=self.specification.input.replace(name=""))
        known = f"with {spelled(said) or 'the default'} the accuracy is {_percent(self.accuracy)}"
        return known if self.given is None else f"{known}, not {_percent(self.given)}"


def explain(
    ask: Callable[[Specification], Tensor], labels: Tensor, given: Specification | None = None
) -> Explanation | None:
    """Look for the specification that a model should have had, among the usual ones.

    `ask` returns the model's logits `[N,K]` for a sample of images read by a specification, `labels` are theirs, int64
    `[N]`, and `given` is the specification that was used. Ranges of grey levels and known normalisations are tried,
    each with the channels in either order and in both layouts, and, where the model answers more classes than the
    labels have, with the first or the last class as background. What an :class:`~edgerift.errors.EdgeriftError` refuses
    is passed over, and so are answers that are not finite.

    Returns the best, or a more usual one that is not significantly worse, if it is right on significantly more of the
    images than `given`: McNemar's exact test, at 0.001 for all that were tried together; None else. The result is for a
    message: nothing is to be chosen by it, since a choice by labels would count in the model's favour.
    """
    used = given or Specification()
    found = [tried for by in _usual(used) for tried in _tried(ask, by, labels)]
    if not found or found[0].by != used:
        before, others = None, found
    else:
        before, others = found[0].right, found[1:]
    if not others:
        return None
    top = max((tried.right for tried in others), key=lambda right: int(right.sum()))
    # Some normalisations are nearly the same: the first that is as good as the best, as far as the images tell.
    best = next(tried for tried in others if _chance(top, tried.right) > _ALIKE)
    start = torch.zeros_like(top) if before is None else before
    if int(best.right.sum()) <= int(start.sum()) or _chance(best.right, start) * len(others) > _SURE:
        return None
    return Explanation(best.by, _rate(best.right), None if before is None else _rate(before))


def _chance(first: Tensor, second: Tensor) -> float:
    """Return how probable it is that two are right on as different images by chance."""
    return mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))


def _usual(used: Specification) -> tuple[Specification, ...]:
    """List the specification used, and those that differ in what is usually wrong, the smallest changes first."""
    found: dict[str, tuple[int, Specification]] = {}
    for normalising, order, layout in itertools.product(
        (None, *_RANGES),
        dict.fromkeys((used.input.channels, _ORDERS.get(used.input.channels, "grey"))),
        (used.input.layout, _LAYOUTS[used.input.layout]),
    ):
        changes = {"channels": order, "layout": layout, **({} if normalising is None else _NONE | normalising)}
        try:
            candidate = used.replace(input=used.input.replace(**changes))
        except RecipeError:
            continue
        changed = (normalising is not None) + (order != used.input.channels) + (layout != used.input.layout)
        found.setdefault(spelled(candidate), (changed, candidate))
    return tuple(candidate for _, candidate in sorted(found.values(), key=lambda entry: entry[0]))


class _Tried(NamedTuple):
    """A specification, and for each image whether it is classified correctly by it, bool `[N]`."""

    by: Specification
    right: Tensor


def _tried(ask: Callable[[Specification], Tensor], by: Specification, labels: Tensor) -> Iterator[_Tried]:
    """Try a specification, with each class that may be a background; nothing where the model refuses."""
    try:
        scores = ask(by).detach().cpu()
    except EdgeriftError:
        return
    if scores.ndim != 2 or len(scores) != len(labels) or not bool(scores.isfinite().all()):
        return
    yield _Tried(by, scores.argmax(1) == labels)
    if by.output.background is None and scores.shape[1] > int(labels.max()) + 1:
        for background, kept in (("first", scores[:, 1:]), ("last", scores[:, :-1])):
            yield _Tried(by.replace(output=by.output.replace(background=background)), kept.argmax(1) == labels)


def _rate(right: Tensor) -> Rate:
    return Rate(int(right.sum()), len(right))


def _percent(rate: Rate) -> str:
    return f"{100 * rate.value:.0f} %"
