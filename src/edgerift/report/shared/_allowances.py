"""What a search for a strength allows, in words."""

from __future__ import annotations

from edgerift.adapt import Allowance


def loss_words(allowed: Allowance) -> str:
    """Write the loss of accuracy that a search allows.

    >>> loss_words(Allowance(accuracy_drop=0.05)), loss_words(Allowance(accuracy_drop=None))
    ('a loss of 5 points of accuracy', 'any loss of accuracy')
    """
    if allowed.accuracy_drop is None:
        return "any loss of accuracy"
    return f"a loss of {100 * allowed.accuracy_drop:g} points of accuracy"
