"""Prediction poisoning: answers that turn the gradient of whoever learns from them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, Literal, final

from edgerift._lazy import later
from edgerift.defend._answer_defence import defence
from edgerift.defend._rows import normalised, with_top
from edgerift.defend._surrogate_defence import SurrogateDefence

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from edgerift.defend import _surrogates as surrogates
else:
    torch, surrogates = later("torch", "edgerift.defend._surrogates")

#: Up to as many classes all sets that hold the top one are tried, above it grows class by class.
_ALL_SETS: Final = 10
_EVALUATIONS: Final = 1024
_ROWS: Final = 64
_NOTHING: Final = 1e-9


@final
@defence
class Mad(SurrogateDefence):
    """Answer y + a (y* - y), at most `epsilon` from y in l1, that turns a surrogate's gradient furthest.

    Orekondy, Schiele and Fritz 2020, "Prediction Poisoning" (MAD), https://arxiv.org/abs/1906.10908. The gradient of
    the surrogate's cross-entropy to y in its last layer is (s - y) h' with its own answer s and features h, so the
    angle between those of two answers is that between s - y and s - y~: no backward pass is needed. y* is the corner of
    the simplex whose answer has the largest angle; with `keeps="argmax"` it is the even answer over a set of classes
    that holds the top one, and the label is kept: all such sets up to 10 classes, above that a set that grows greedily,
    with 1,024 evaluations.

    The `surrogate` is a network of the zoo with random weights of `seed`, as in the paper, or a file of a trained one,
    such as a clone (`.safetensors`, with its `sha256`).
    """

    type: Literal["mad"] = "mad"
    title = "MAD"
    keeps: Literal["nothing", "argmax"] = "nothing"

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label."""
        return self.keeps == "argmax" or self.epsilon == 0

    def changed(self, rows: Tensor, answers: Tensor, images: Tensor) -> Tensor:
        """Perturb N answers."""
        if self.epsilon == 0:
            return answers
        network = surrogates.surrogate_network(self.surrogate, self.seed, self.sha256, rows.shape[1], images)
        asked = surrogates.fitting(network, images)
        seen = surrogates.in_equal_parts(lambda part: surrogates.answers_of(network, part), asked).to(rows.device)
        turned = torch.cat([self._turned(*parts) for parts in zip(rows.split(_ROWS), seen.split(_ROWS), strict=True)])
        return with_top(normalised(turned), rows) if self.keeps == "argmax" else normalised(turned)

    def _turned(self, rows: Tensor, seen: Tensor) -> Tensor:
        rows = rows / rows.sum(1, keepdim=True)
        if self.keeps == "nothing":
            corners = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device).expand(len(rows), -1, -1)
            return _best(rows, seen, corners, self.epsilon)[0]
        if rows.shape[1] <= _ALL_SETS:
            return _best(rows, seen, _sets_with_top(rows), self.epsilon)[0]
        return _grown(rows, seen, self.epsilon)


def _best(rows: Tensor, seen: Tensor, corners: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Go towards each corner `[N,M,K]` as far as allowed: the best answers, which corner, and 1 - cos of the angle."""
    way = corners - rows.unsqueeze(1)
    step = (epsilon / way.abs().sum(2).clamp_min(_NOTHING)).clamp_max(1)
    reached = rows.unsqueeze(1) + step.unsqueeze(2) * way
    before, after = (seen - rows).unsqueeze(1), seen.unsqueeze(1) - reached
    lengths = before.norm(dim=2) * after.norm(dim=2)
    turned = torch.where(lengths > _NOTHING, 1 - (before * after).sum(2) / lengths.clamp_min(_NOTHING), 0.0)
    value, place = turned.max(1)
    chosen = reached.gather(1, place.view(-1, 1, 1).expand(-1, 1, rows.shape[1])).squeeze(1)
    return torch.where((value > 0).unsqueeze(1), chosen, rows), place, value


def _sets_with_top(rows: Tensor) -> Tensor:
    """List the even answers over all sets of classes that hold the top one, float64 `[N,2^(K-1),K]`."""
    classes = rows.shape[1]
    others = torch.tensor(list(product((0.0, 1.0), repeat=classes - 1)), dtype=rows.dtype, device=rows.device)
    sets = torch.cat([torch.ones_like(others[:, :1]), others], 1)
    # The first place of a set is the top class of each row, the second its second.
    ranks = rows.argsort(stable=True, dim=1, descending=True).argsort(1)
    even = (sets / sets.sum(1, keepdim=True)).expand(len(rows), -1, -1)
    return even.gather(2, ranks.unsqueeze(1).expand(-1, len(sets), -1))


def _grown(rows: Tensor, seen: Tensor, epsilon: float) -> Tensor:
    """Grow a set from the top class, in each round by the class that turns furthest, and answer the best one met."""
    classes = rows.shape[1]
    eye = torch.eye(classes, dtype=rows.dtype, device=rows.device)
    held = eye[rows.argmax(1)]
    answers, _, best = _best(rows, seen, held.unsqueeze(1), epsilon)
    for _ in range(max(1, _EVALUATIONS // classes)):
        wider = (held.unsqueeze(1) + eye).clamp_max(1)
        found, place, value = _best(rows, seen, wider / wider.sum(2, keepdim=True), epsilon)
        answers = torch.where((value > best).unsqueeze(1), found, answers)
        best, held = torch.maximum(best, value), (held + eye[place]).clamp_max(1)
    return answers
