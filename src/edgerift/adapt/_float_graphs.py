"""An original as the graphs that its program was made from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import fx, nn

from edgerift.adapt._export import export, traced
from edgerift.adapt._final_softmax import leave_out_final_softmax
from edgerift.deploy import Program, Target
from edgerift.images import ImageShape
from edgerift.zoo import frozen_copy


class FloatGraphs(NamedTuple):
    """An original as graphs of PyTorch's core operators, float32 images `[N,C,H,W]` in `[0,1]` to logits `[N,K]`.

    `written` has the operators that the original computes with. `adapted` has those that quantization starts from, with
    batch normalisations folded: its nodes have the names of the program's operations.
    """

    written: fx.GraphModule
    adapted: fx.GraphModule


def float_graphs(original: nn.Module, program: Program) -> FloatGraphs:
    """Export an original as the adaptation to a program's target does.

    Raises :class:`~edgerift.errors.ModelError` when it cannot be exported.
    """
    adapted = export(_copy(original), torch.zeros(2, *program.shape), program.target)
    leave_out_final_softmax(adapted)
    adapted.recompile()
    return FloatGraphs(written_graph(original, program.shape, program.target), adapted)


def written_graph(original: nn.Module, shape: ImageShape, target: Target = "mobile") -> fx.GraphModule:
    """Export an original with the operators that it computes with; see :class:`FloatGraphs`."""
    return traced(_copy(original), torch.zeros(2, *shape), target)


def _copy(original: nn.Module) -> nn.Module:
    return frozen_copy(original).cpu()
