"""Gradient redirection: answers that push whoever learns from them in a chosen direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, final

from edgerift._lazy import later
from edgerift.defend._answer_defence import defence
from edgerift.defend._rows import normalised
from edgerift.defend._surrogate_defence import SurrogateDefence

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgerift.defend import _surrogates as surrogates
else:
    torch, surrogates = later("torch", "edgerift.defend._surrogates")


@final
@defence
class GradientRedirection(SurrogateDefence):
    """Answer y~, at most `epsilon` from y in l1, whose gradient in a surrogate points furthest along the ones.

    Mazeika, Li and Forsyth 2022, "How to Steer Your Adversary" (GRAD2), https://proceedings.mlr.press/v162/mazeika22a,
    in its variant with the all-ones direction z. The gradient of sum_k y~_k log p_k in the surrogate's parameters is
    linear in y~, so its product with z is sum_k y~_k c_k with c_k the derivative of log p_k along z: one forward-mode
    pass gives all of them, and the best y~ takes epsilon / 2 from the classes of least c and gives it to that of most.

    The `surrogate` is a file of a trained network (`.safetensors`, with its `sha256`), in the paper a clone of the
    victim, or a network of the zoo with random weights of `seed`. The label may change.
    """

    type: Literal["gradient-redirection"] = "gradient-redirection"
    title = "GRAD2"

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: only for epsilon = 0."""
        return self.epsilon == 0

    def changed(self, rows: Tensor, answers: Tensor, images: Tensor) -> Tensor:
        """Perturb N answers."""
        if self.epsilon == 0:
            return answers
        network = surrogates.surrogate_network(self.surrogate, self.seed, self.sha256, rows.shape[1], images)
        slopes = surrogates.in_equal_parts(
            lambda part: slopes_along_ones(network, part), surrogates.fitting(network, images)
        )
        return normalised(moved_mass(rows / rows.sum(1, keepdim=True), slopes.to(rows.device), self.epsilon))


def slopes_along_ones(network: nn.Module, images: Tensor) -> Tensor:
    """Compute the derivative of each log-probability when all parameters grow alike: float64 `[N,K]`."""
    surrogates.load_forward_mode()
    parameters = {name: value.detach() for name, value in network.named_parameters()}
    ones = {name: torch.ones_like(value) for name, value in parameters.items()}

    def answered(values: dict[str, Tensor]) -> Tensor:
        scores: Tensor = torch.func.functional_call(network, values, (images,))
        return scores.log_softmax(1)

    with torch.no_grad():
        slopes: Tensor = torch.func.jvp(answered, (parameters,), (ones,))[1]
    return slopes.double()


def moved_mass(rows: Tensor, slopes: Tensor, epsilon: float) -> Tensor:
    """Maximise sum_k y~_k slopes_k over the simplex with |y~ - y|_1 <= epsilon: exact, by moving mass."""
    order = slopes.argsort(stable=True, dim=1)
    ranked = rows.gather(1, order)
    given = (1 - ranked[:, -1:]).clamp(0, epsilon / 2)
    before = ranked[:, :-1].cumsum(1) - ranked[:, :-1]
    taken = (given - before).clamp_min(0).minimum(ranked[:, :-1])
    moved = torch.cat([ranked[:, :-1] - taken, ranked[:, -1:] + taken.sum(1, keepdim=True)], 1)
    return torch.zeros_like(rows).scatter(1, order, moved)
