"""The optimum of DivQAT's loss per image, for an unconstrained model."""

from __future__ import annotations

import math

from edgerift.errors import InputError

#: A bracket of float64 cannot be halved more often than this.
_HALVINGS = 1100


def poisoned_share(margin: float, alpha: float) -> float:
    """Find the probability, in [0, 1], that the optimum of DivQAT's loss takes from the label.

    For one image let `margin` = M = log(l_y / l_j) >= 0, in nats, be the margin of the label y over the least likely
    class j in the original L, and let the answer Q be unconstrained. The best Q for CE(Q, y) - alpha KL(Q || L) gives
    1 - s to y and s to j, and s minimises -log(1 - s) - alpha (s M + s log s + (1 - s) log(1 - s)), which is 0 at
    s = 0. A second minimum, where logit(s) + M = 1 / (alpha (1 - s)), exists only when M > 1 + 1/alpha - log(alpha).
    The lower of the two is returned: 0 if it is the first. A barrier lies between them, so training that starts at L
    need not reach it. This holds only for the paper's loss (arXiv:2512.23948, equation 4; forward, temperature 1, no
    bounds).

    Raises `InputError` for a margin or an alpha that is negative or not finite.

    >>> [round(poisoned_share(15, alpha), 2) for alpha in (0.08, 0.1, 0.12, 0.15)]
    [0.0, 0.29, 0.43, 0.56]
    """
    for name, value in (("margin", margin), ("alpha", alpha)):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name} is {value}; it must be finite and at least 0")
    if alpha == 0 or margin <= 1 + 1 / alpha - math.log(alpha):
        return 0.0
    odds = _second_minimum(margin, alpha)
    share = odds / (1 + odds)
    # The objective above, in terms of the odds.
    objective = (1 + alpha) * math.log1p(odds) - alpha * share * (margin + math.log(odds))
    return share if objective < 0 else 0.0


def flip_alpha(margin: float) -> float:
    """Compute the alpha, 2 / `margin`, above which the poisoned minimum gives the label less than half.

    No smaller alpha makes :func:`poisoned_share` exceed 1/2. From a margin of 2 log 2 / (1 - log 2), about 4.52 nats,
    every larger one does; below it the minimum becomes the lower one at a larger alpha, already past 1/2. Raises
    `InputError` for a margin that is not positive or not finite.

    >>> flip_alpha(10.0)
    0.2
    """
    if not (math.isfinite(margin) and margin > 0):
        raise InputError(f"margin is {margin}; it must be finite and above 0")
    return 2 / margin


def _second_minimum(margin: float, alpha: float) -> float:
    """Solve 1 + r = alpha (M + log r) for the larger odds r = s / (1 - s), where the slope turns from - to +."""

    def slope(odds: float) -> float:
        return 1 + odds - alpha * (margin + math.log(odds))

    low, high = alpha, 2 * alpha
    while slope(high) < 0:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return low
