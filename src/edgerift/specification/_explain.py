"""Which specification would explain that a model knows its images far worse than it should."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from edgerift.errors import EdgeriftError, RecipeError
from edgerift.measure import Rate, mcnemar
from edgerift.specification._specification import Specification
from edgerift.specification._spelling import spelled

#: How improbable chance has to be as the reason, all that was tried taken together (Bonferroni).
_SURE: Final = 0.001

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
        known = f"with {spelled(self.specification) or 'the default'} the accuracy is {_percent(self.accuracy)}"
        return known if self.given is None else f"{known}, not {_percent(self.given)}"


def explain(
    ask: Callable[[Specification], Tensor], labels: Tensor, given: Specification | None = None
) -> Explanation | None:
    """Look for the specification that a model should have had, among the usual ones.

    `ask` returns the model's logits `[N,K]` for a sample of images read by a specification, `labels` are theirs, int64
    `[N]`, and `given` is the specification that was used. Ranges of grey levels and known normalisations are tried,
    each with the channels in either order, in both layouts, and with the first or the last class as background. What an
    :class:`~edgerift.errors.EdgeriftError` refuses is passed over, and so are answers that are not finite.

    Returns the best, if it is right on significantly more of the images than `given`: McNemar's exact test, at 0.001
    for all that were tried together; None else. The result is for a message: nothing is to be chosen by it, since a
    choice by labels would count in the model's favour.
    """
    used = given or Specification()
    before = _right(ask, used, labels)
    tried = [(candidate, _right(ask, candidate, labels)) for candidate in _usual(used)]
    found = [(candidate, right) for candidate, right in tried if right is not None]
    if not found:
        return None
    best, right = max(found, key=lambda entry: int(entry[1].sum()))
    start = torch.zeros_like(right) if before is None else before
    gained, lost = int((right & ~start).sum()), int((start & ~right).sum())
    if gained <= lost or mcnemar(gained, lost) * len(tried) > _SURE:
        return None
    return Explanation(best, _rate(right), None if before is None else _rate(before))


def _usual(used: Specification) -> tuple[Specification, ...]:
    """List the specifications that differ from the one used in what is usually wrong, the smallest changes first."""
    found: dict[str, tuple[int, Specification]] = {}
    for normalising, order, layout, background in itertools.product(
        (None, *_RANGES),
        dict.fromkeys((used.input.channels, _ORDERS.get(used.input.channels, "grey"))),
        (used.input.layout, _LAYOUTS[used.input.layout]),
        dict.fromkeys((used.output.background, None, "first", "last")),
    ):
        changes = {"channels": order, "layout": layout, **({} if normalising is None else _NONE | normalising)}
        try:
            candidate = used.replace(
                input=used.input.replace(**changes), output=used.output.replace(background=background)
            )
        except RecipeError:
            continue
        changed = (
            (normalising is not None)
            + (order != used.input.channels)
            + (layout != used.input.layout)
            + (background != used.output.background)
        )
        found.setdefault(spelled(candidate), (changed, candidate))
    found.pop(spelled(used), None)
    return tuple(candidate for _, candidate in sorted(found.values(), key=lambda entry: entry[0]))


def _right(ask: Callable[[Specification], Tensor], by: Specification, labels: Tensor) -> Tensor | None:
    """Return for each image whether it is classified correctly, bool `[N]`; None where the model refuses."""
    try:
        scores = ask(by).detach().cpu()
    except EdgeriftError:
        return None
    if scores.ndim != 2 or len(scores) != len(labels) or not bool(scores.isfinite().all()):
        return None
    return scores.argmax(1) == labels


def _rate(right: Tensor) -> Rate:
    return Rate(int(right.sum()), len(right))


def _percent(rate: Rate) -> str:
    return f"{100 * rate.value:.0f} %"
