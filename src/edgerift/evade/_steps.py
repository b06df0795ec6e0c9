"""The step rules of a search, on a batch whose samples may be at different steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol, final

import torch
from torch import Tensor

from edgerift.evade._attack import Attack

State = dict[str, Tensor]
"""One row for each sample of the batch: `position`, `low` and `high` float32 `[B,C,H,W]` in grey levels, `taken` int64
`[B]` (gradient calls since the start), and the state of the rule itself."""

#: APGD's momentum, and the share of steps that have to raise the objective for its step size to stay.
_MOMENTUM: Final = 0.75
_RISING: Final = 0.75

#: Beyond this multiplier the weight of one of the two gradients would change sign.
_LARGEST: Final = 2.0
_BISECTIONS: Final = 12


@dataclass(frozen=True)
class Slope:
    """The objective where a batch is judged: `values` `[B]`, its `gradient` `[B,C,H,W]` for images in `[0,1]`.

    Where both sides are separate, `level` `[B]` is the mean of the two margins, `level_gradient` its gradient.
    """

    values: Tensor
    gradient: Tensor
    level: Tensor | None = None
    level_gradient: Tensor | None = None


class StepRule(Protocol):
    """A rule that moves the positions of a batch up the objective."""

    def remember(self, position: Tensor) -> State:
        """Make the initial state of the rule for starts at `position`."""

    def move(self, state: State, slope: Slope) -> None:
        """Replace `state["position"]`, given the slope of the objective there."""


def step_rule(attack: Attack) -> StepRule:
    """Choose the rule that an attack names."""
    if attack.rule == "apgd":
        return _AutoStep(attack)
    if attack.rule == "balance":
        return _BalanceStep(attack)
    return _SignStep(attack)


def step_size(attack: Attack, state: State) -> Tensor:
    """Return each sample's current step size, grey levels `[B,1,1,1]`: linear is step (1 - taken / steps)."""
    shrinking = attack.schedule == "linear"
    share = 1 - state["taken"] / attack.steps if shrinking else torch.ones_like(state["taken"])
    return _to_rows(attack.step * share)


@final
class _SignStep:
    """A step of fixed or shrinking size along the gradient's sign, or along the sign of its running sum."""

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._accumulates = attack.rule == "momentum"

    def remember(self, position: Tensor) -> State:
        return {"running": torch.zeros_like(position)} if self._accumulates else {}

    def move(self, state: State, slope: Slope) -> None:
        gradient = slope.gradient
        if self._accumulates:
            length = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min_(torch.finfo(torch.float32).tiny)
            gradient = state["running"].mul_(self._attack.decay).add_(gradient / length)
        move = gradient.sign()
        if self._attack.schedule == "linear" or self._attack.step != 1:
            move.mul_(step_size(self._attack, state))
        state["position"] = _into_box(state["position"].add_(move), state)


@final
class _AutoStep:
    """APGD: momentum, and a step that halves, back at the best point, when the objective stops rising.

    Croce and Hein, "Reliable evaluation of adversarial robustness", ICML 2020, algorithm 1, for ascent.
    """

    def __init__(self, attack: Attack) -> None:
        self._step = attack.step
        self._checkpoints = torch.tensor(_checkpoints(attack.steps))

    def remember(self, position: Tensor) -> State:
        rows = len(position)
        return {
            "before": position.clone(),
            "best_position": position.clone(),
            "best_gradient": torch.zeros_like(position),
            "best": position.new_full((rows,), -torch.inf),
            "best_at_checkpoint": position.new_full((rows,), -torch.inf),
            "value": position.new_full((rows,), torch.inf),
            "rises": position.new_zeros(rows),
            "since": position.new_zeros(rows),
            "size": position.new_full((rows,), self._step),
            "halved": torch.zeros(rows, dtype=torch.bool, device=position.device),
        }

    def move(self, state: State, slope: Slope) -> None:
        self._note(state, slope.gradient, slope.values)
        back = self._shrink(state)
        position = torch.where(_to_rows(back), state["best_position"], state["position"])
        gradient = torch.where(_to_rows(back), state["best_gradient"], slope.gradient)
        ahead = _into_box(position + _to_rows(state["size"]) * gradient.sign(), state)
        weight = _to_rows(torch.where(state["taken"] == 0, 1.0, _MOMENTUM))
        moved = position + weight * (ahead - position) + (1 - weight) * (position - state["before"])
        state["before"] = position
        state["position"] = _into_box(moved, state)

    def _note(self, state: State, gradient: Tensor, values: Tensor) -> None:
        better = values > state["best"]
        first = state["taken"] == 0
        state["best_at_checkpoint"] = torch.where(first, values, state["best_at_checkpoint"])
        state["best"] = torch.where(better, values, state["best"])
        state["best_position"] = torch.where(_to_rows(better), state["position"], state["best_position"])
        state["best_gradient"] = torch.where(_to_rows(better), gradient, state["best_gradient"])
        state["rises"] += values > state["value"]
        state["since"] += ~first
        state["value"] = values

    def _shrink(self, state: State) -> Tensor:
        """Halve the step sizes of the samples that are due, and return which: bool `[B]`."""
        due = torch.isin(state["taken"], self._checkpoints.to(state["taken"].device))
        stuck = ~state["halved"] & (state["best_at_checkpoint"] == state["best"])
        halve = due & ((state["rises"] < _RISING * state["since"]) | stuck)
        state["size"] = torch.where(halve, state["size"] / 2, state["size"])
        state["halved"] = torch.where(due, halve, state["halved"])
        state["best_at_checkpoint"] = torch.where(due, state["best"], state["best_at_checkpoint"])
        state["rises"] = torch.where(due, 0.0, state["rises"])
        state["since"] = torch.where(due, 0.0, state["since"])
        return halve


@final
class _BalanceStep:
    """A step along the disagreement region: raises the smaller of an evasive image's two margins as far as possible.

    An image evades where m_original > 0 and m_build < 0, which is a thin region along the decision boundary; a sign
    step along any fixed sum of the two gradients jumps over it. With both margins linear around the iterate, the move
    is the solution of the linear program

        maximise min(m_original, -m_build)   subject to   |move| <= step,   position + move in the box

    With the gap d = m_original - m_build and the level l = (m_original + m_build) / 2 that minimum is d / 2 - |l|, so
    that the best move widens the gap and brings the level to zero. Pixel by pixel it is one end of the pixel's range or
    the other, as the sign of grad d - multiplier * grad l says, with the multiplier in [-2, 2] at which the level
    becomes zero; where it cannot, the multiplier is an end of that range, and the move follows the one model whose
    margin stays the smaller one.
    """

    def __init__(self, attack: Attack) -> None:
        self._attack = attack

    def remember(self, position: Tensor) -> State:
        return {}

    def move(self, state: State, slope: Slope) -> None:
        assert slope.level is not None
        assert slope.level_gradient is not None
        size = step_size(self._attack, state)
        down = torch.maximum(state["low"] - state["position"], -size)
        up = torch.minimum(state["high"] - state["position"], size)
        # The gradients are for images in [0, 1], the moves in grey levels.
        multiplier = _multiplier(slope.gradient, slope.level_gradient, down, up, -255 * slope.level)
        pull = torch.addcmul(slope.gradient, _to_rows(multiplier), slope.level_gradient, value=-1)
        state["position"] = _into_box(state["position"].add_(pull.sign_().mul_(size)), state)


def _multiplier(gap: Tensor, level: Tensor, down: Tensor, up: Tensor, wanted: Tensor) -> Tensor:
    """Find the multiplier `[B]` in [-2, 2] at which the best move changes the level by `wanted` `[B]`, or nearly so.

    A pixel goes from raising the level most to lowering it most once the multiplier passes gap / level, and the level's
    change falls by |level| (up - down) there: `wanted` is reached at a weighted quantile of these ratios.
    """
    weight = _pixels((up - down).mul_(level.abs()))
    passing = _pixels(gap / level).nan_to_num_()  # Infinite or NaN only where the weight is 0.
    most = torch.maximum(level * up, level * down).sum((1, 2, 3))
    drop = (most - wanted).clamp_min(0)
    # The weight that is not passed less the weight that is: one pass over the pixels less than either alone.
    left = weight.sum(1) - 2 * drop
    low, high = torch.full_like(drop, -_LARGEST), torch.full_like(drop, _LARGEST)
    side = torch.empty_like(passing)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        torch.sub(passing, middle[:, None], out=side)
        short = side.sign_().mul_(weight).sum(1) > left
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return high


def _pixels(values: Tensor) -> Tensor:
    """Lay images `[B,C,H,W]` out as rows `[B,HWC]`, without a copy where they are channels-last."""
    return values.permute(0, 2, 3, 1).flatten(1)


def _checkpoints(steps: int) -> list[int]:
    """Return the steps at which APGD checks its progress: at p_j of all, p_1 = 0.22, periods shrinking by 0.03 to 0.06.

    >>> _checkpoints(100)
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    # Rounded first, for the sums are decimal fractions that binary ones only come near.
    return [math.ceil(round(share * steps, 6)) for share in shares[1:] if share < 1]


def _to_rows(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _into_box(position: Tensor, state: State) -> Tensor:
    return position.clamp_(state["low"], state["high"])
