"""The search engine: one batch whose samples enter, move, are judged, and leave as soon as they are done."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from edgerift.errors import ModelError
from edgerift.evade._aim import Aim
from edgerift.evade._attack import Attack
from edgerift.evade._belief import believes
from edgerift.evade._judge import Judge
from edgerift.evade._layout import for_networks, rows_of
from edgerift.evade._objective import Objective
from edgerift.evade._pair import Steering
from edgerift.evade._starts import box, project, starts
from edgerift.evade._steps import Slope, State, step_rule
from edgerift.images import to_float
from edgerift.measure import margin

#: New samples enter when the batch has shrunk to this share, so that most steps copy nothing.
_REFILL_BELOW: Final = 0.75


@final
@dataclass(frozen=True)
class Trace:
    """What a search did to each image: tensors of one row an image.

    `found` uint8 `[N,C,H,W]` is the first evasive candidate, or the last candidate where there was none; `last` the
    last one. `first` is the number of gradient calls before the first success, -1 without one. `fooled`: the build was
    wrong about a candidate it was queried with. The rest are counts.
    """

    found: Tensor
    last: Tensor
    first: Tensor
    fooled: Tensor
    gradient_calls: Tensor
    build_questions: Tensor
    original_questions: Tensor
    zero_gradients: Tensor


@final
class Engine:
    """One search over uint8 images `[N,C,H,W]` with labels int64 `[N]`: what it moves are these C channels.

    Of grey images that is the one channel that a camera records, whatever a model makes of it.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        attack: Attack,
        objective: Objective,
        steering: Steering,
        judge: Judge,
        *,
        evasive: Tensor | None = None,
        slack: float = 0.0,
        batch_size: int = 64,
        aim: Aim | None = None,
        rivals: Tensor | None = None,
        original: Tensor | None = None,
    ) -> None:
        """Prepare the search.

        `evasive` bool `[N]` says which images evade as they are, by default none: a clean start is a query only
        about these. Under `near` the build is asked where the twins' margins, in logits, are at most `slack`. `aim`
        says what has to be reached in a twin's logits, and `rivals` int64 `[N]` the wrong class to aim at.
        """
        self._images, self._labels = images, labels
        self._attack, self._objective, self._steering, self._judge = attack, objective, steering, judge
        self._evasive = torch.zeros(len(images), dtype=torch.bool) if evasive is None else evasive
        self._slack, self._batch_size = slack, batch_size
        self._aim, self._rivals, self._original = aim or Aim(), rivals, original
        self._rule = step_rule(attack)
        self._device = device_of(steering)
        self._pending = collections.deque((row, 0) for row in range(len(images)))
        rows = len(images)
        counts = torch.zeros(4, rows, dtype=torch.int64)
        self.trace = Trace(
            found=images.clone(),
            last=images.clone(),
            first=torch.full((rows,), -1),
            fooled=torch.zeros(rows, dtype=torch.bool),
            gradient_calls=counts[0],
            build_questions=counts[1],
            original_questions=counts[2],
            zero_gradients=counts[3],
        )

    def run(self) -> Iterator[int]:
        """Search to the end; yields after each step how many images' worth of work is done."""
        state: State = {}
        done = 0
        while True:
            state = self._refilled(state)
            if not state:
                return
            candidates = project(state["position"], state["low"], state["high"]).cpu()
            self._question(state, candidates, self._due(state))
            state, candidates, left = self._without_finished(state, candidates)
            done += left
            if state:
                self._advance(state, candidates)
            yield done + self._underway(state)

    def _underway(self, state: State) -> int:
        """Count the work that is done on images still in the batch, in whole images."""
        if not state:
            return 0
        taken = int(state["taken"].sum()) + self._attack.steps * int(state["start"].sum())
        return taken // max(1, self._attack.steps * self._attack.restarts)

    def _refilled(self, state: State) -> State:
        present = len(state["row"]) if state else 0
        if not self._pending or present > _REFILL_BELOW * self._batch_size:
            return state
        entering = [self._pending.popleft() for _ in range(min(len(self._pending), self._batch_size - present))]
        fresh = self._fresh(entering)
        return {name: torch.cat([state[name], fresh[name]]) for name in fresh} if state else fresh

    def _fresh(self, entering: list[tuple[int, int]]) -> State:
        rows = torch.tensor([row for row, _ in entering])
        images = self._images[rows]
        low, high = box(images, self._attack.epsilon)
        position = for_networks(starts(images, [number for _, number in entering], self._attack), self._device)
        return {
            "row": rows,
            "start": torch.tensor([number for _, number in entering]),
            "position": position,
            "low": for_networks(low, self._device),
            "high": for_networks(high, self._device),
            "labels": self._labels[rows].to(self._device),
            "taken": torch.zeros(len(rows), dtype=torch.int64, device=self._device),
            "resting": torch.zeros(len(rows), dtype=torch.bool),
            **self._known(rows, entering),
            **self._rule.remember(position),
        }

    def _known(self, rows: Tensor, entering: list[tuple[int, int]]) -> State:
        """Make the state of a correction: what is known of the candidate, `[B,K]` or NaN, and what the copy is off by.

        Known at once are the logits of the clean images.
        """
        if self._original is None:
            return {}
        known = self._original[rows].clone()
        known[torch.tensor([number > 0 or self._attack.start != "clean" for _, number in entering])] = torch.nan
        return {"known": known, "off": torch.zeros_like(known)}

    def _corrected(self, original: Tensor, state: State) -> Tensor:
        """Correct the logits `[B,K]` of a reduced copy of the original."""
        if self._original is None:
            return original
        known = state["known"]
        state["off"] = torch.where(known.isnan(), state["off"], known - original.detach())
        state["known"] = torch.full_like(known, torch.nan)
        return original + state["off"]

    def _due(self, state: State) -> Tensor:
        """Tell with which samples the build is queried before the next gradient: bool `[B]`."""
        taken = state["taken"].cpu()
        final_one = taken == self._attack.steps
        if self._attack.stop == "believed":
            return final_one & (state["start"] + 1 == self._attack.restarts) & ~state["resting"]
        untouched = (taken == 0) & (state["start"] == 0) & (self._attack.start == "clean")
        due = final_one | (untouched & self._evasive[state["row"]])
        return due | ~untouched if self._attack.ask == "always" else due

    def _question(self, state: State, candidates: Tensor, due: Tensor) -> None:
        """Ask the judges about the candidates `[B,C,H,W]` that are due, and note what they say."""
        due = due & (self.trace.first[state["row"]] < 0)
        if not bool(due.any()):
            return
        chosen = due.nonzero()[:, 0]
        rows, asked = state["row"][chosen], candidates.index_select(0, chosen)
        verdicts = self._judge.ask(asked, self._labels[rows])
        if self._original is not None:
            state["known"][chosen] = verdicts.original
        trace = self.trace
        trace.build_questions[rows] += 1
        trace.original_questions[rows] += verdicts.asked_original
        trace.fooled[rows] |= verdicts.fooled
        successes = rows[verdicts.evasive]
        trace.first[successes] = trace.gradient_calls[successes]
        trace.found[successes] = asked[verdicts.evasive]

    def _without_finished(self, state: State, candidates: Tensor) -> tuple[State, Tensor, int]:
        """Take those out that are done, or due for another start; returns how many images are done."""
        rows = state["row"]
        succeeded = self.trace.first[rows] >= 0
        spent = state["taken"].cpu() == self._attack.steps
        stopped = succeeded & (self._attack.stop != "never")
        if self._attack.stop == "fooled":
            stopped |= self.trace.fooled[rows]
        stopped |= state["resting"]
        again = spent & ~stopped & (state["start"] + 1 < self._attack.restarts)
        leaving = spent | stopped
        if not bool(leaving.any()):
            return state, candidates, 0
        gone = leaving.nonzero()[:, 0]
        self.trace.last[rows[gone]] = candidates[gone]
        without = gone[self.trace.first[rows[gone]] < 0]
        self.trace.found[rows[without]] = candidates[without]
        self._pending.extend((int(rows[slot]), int(state["start"][slot]) + 1) for slot in again.nonzero()[:, 0])
        stay = (~leaving).nonzero()[:, 0]
        kept = {name: rows_of(value, stay) for name, value in state.items()} if len(stay) else {}
        return kept, rows_of(candidates, stay), int((leaving & ~again).sum())

    def _advance(self, state: State, candidates: Tensor) -> None:
        """Take one gradient, at the candidates `[B,C,H,W]` that are judged, and move the positions behind them."""
        images = to_float(candidates.to(self._device))
        original, adapted, slope = self._slope(images, state)
        steepest = slope.gradient.abs().amax((1, 2, 3))
        if not bool(steepest.isfinite().all()):
            raise ModelError("the objective's gradient is NaN or infinite; check the model's weights and the objective")
        rows = state["row"]
        self.trace.gradient_calls[rows] += 1
        self.trace.zero_gradients[rows] += (steepest == 0).cpu()
        if self._attack.ask == "near" and self._attack.stop != "believed":
            near = torch.stack([margin(logits, state["labels"]) <= self._slack for logits in adapted]).all(0).cpu()
            self._question(state, candidates, near)
        self._rule.move(state, slope)
        if self._attack.stop == "believed":
            self._rest(state, candidates, believes(self._attack, original, adapted, state["labels"]).cpu())
        state["taken"] += 1

    def _rest(self, state: State, candidates: Tensor, believed: Tensor) -> None:
        """Ask about what is believed to evade, and let it stay where it is; the image itself is no attempt."""
        clean = (state["taken"].cpu() == 0) & (state["start"] == 0) & (self._attack.start == "clean")
        state["resting"] |= believed & ~clean
        # A forward pass tells; the gradient there is not used.
        self.trace.gradient_calls[state["row"][state["resting"]]] -= 1
        self._question(state, candidates, state["resting"])
        held = state["resting"].to(self._device)
        state["position"][held] = candidates[state["resting"]].to(state["position"])

    def _slope(self, images: Tensor, state: State) -> tuple[Tensor, tuple[Tensor, ...], Slope]:
        """Compute the logits and the objective's slope at images `[B,C,H,W]` in `[0,1]`: one backward pass.

        The original's are computed where the objective or a belief reads them.
        """
        labels = state["labels"]
        rivals = None if self._rivals is None else self._rivals[state["row"]].to(labels.device)
        balances = self._attack.rule == "balance"
        kept = images.requires_grad_(True)
        lost = images.detach().clone().requires_grad_(True) if balances else kept
        original = images.new_empty(0)
        if self._attack.reads_original or self._attack.stop == "believed":
            original = self._corrected(self._steering.original(kept), state)
        adapted = tuple(self._aim(module(lost), labels, rivals) for module in self._steering.adapted)
        if balances:
            slope = _both_sides(kept, lost, *self._attack.objective.sides(original, adapted, labels))
        else:
            values = _checked(self._objective(original, adapted, labels), labels)
            (gradient,) = torch.autograd.grad(values.sum(), (images,), materialize_grads=True)
            slope = Slope(values.detach(), gradient)
        return original.detach(), tuple(logits.detach() for logits in adapted), slope


def _both_sides(kept: Tensor, lost: Tensor, original: Tensor, build: Tensor) -> Slope:
    """Tell the gradients of both margins `[B]` apart, each with its own images."""
    total = _checked(original + build, original)
    first, second = torch.autograd.grad(total.sum(), (kept, lost), materialize_grads=True)
    return Slope((original - build).detach(), first - second, total.detach() / 2, (first + second).mul_(0.5))


def _checked(values: Tensor, like: Tensor) -> Tensor:
    if not isinstance(values, Tensor) or values.shape != like.shape:
        answer = f"shape {list(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise ModelError(f"the objective answered {answer}; needed: a tensor with one value per image, [N]")
    if not values.requires_grad:
        raise ModelError("the objective has no gradient; compute it from the logits, with neither detach() nor no_grad")
    if not bool(values.isfinite().all()):
        raise ModelError("the objective is NaN or infinite; check the model's weights and the objective")
    return values


def device_of(steering: Steering) -> torch.device:
    """Tell where the steering modules are; the CPU when they hold no tensors."""
    for module in (*steering.adapted, steering.original):
        for tensor in (*module.parameters(), *module.buffers()):
            return tensor.device
    return torch.device("cpu")
