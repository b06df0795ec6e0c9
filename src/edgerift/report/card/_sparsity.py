"""How sparse the layers of a pruned model are, in float and in its program."""

from __future__ import annotations

from torch import nn

from edgerift.adapt import sparsity
from edgerift.deploy import Program
from edgerift.settings import Settings


class LayerSparsity(Settings):
    """One layer of a pruned model: the shares in [0, 1] of its weights that are 0 in float, and of its codes in int8.

    The second may be larger, as small weights round to 0; None for a layer that the program does not name alike.
    """

    weights: int
    zeros: float
    zero_codes: float | None


def layer_sparsity(compressed: nn.Module, program: Program) -> dict[str, LayerSparsity]:
    """Measure every layer of a pruned model; nothing for one that was not pruned."""
    if "prune" not in program.provenance.settings:
        return {}
    found = {}
    parameters = dict(compressed.named_parameters())
    for layer, zeros in sparsity(compressed).items():
        codes = program.tensors.get(f"{layer}.weight")
        share = None if codes is None else float((codes == 0).double().mean())
        weights = parameters[f"{layer}.weight"].numel() if f"{layer}.weight" in parameters else 0
        found[layer] = LayerSparsity(weights=weights, zeros=zeros, zero_codes=share)
    return found
