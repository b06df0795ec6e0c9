"""Modules that steer with fewer bits: copies whose gradients are cheaper, and almost those of what they copy."""

from __future__ import annotations

import copy
from typing import Any, Final, final

from torch import Tensor, fx, nn

from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._folding import Folded
from edgerift.deploy.twins._frozen_layers import Fork, FrozenConvolution
from edgerift.deploy.twins._reduced_steps import reduce_steps
from edgerift.deploy.twins._twin import Twin
from edgerift.train import forgotten_sources

#: In bfloat16 a grouped convolution is slower than in float32, on every processor measured.
_DENSE: Final = 1


def reduced(module: nn.Module, *, exact: bool = False) -> nn.Module | None:
    """Copy a module made by :func:`folded` or :func:`twin` so that its dense convolutions compute with fewer bits.

    Images are float32 `[N,C,H,W]` in `[0,1]` and logits float32 `[N,K]` as before; the copy steers and never judges.
    Gradients pass convolutions in bfloat16. Forward a twin's convolutions run in int8, as those of the runtime do: at
    most a few logits are off, by a level or so. A float model's run in bfloat16, or in float32 where the answers have
    to be `exact`. None for a module of another kind, or without a convolution that gains by it.
    """
    if isinstance(module, Folded):
        with forgotten_sources():
            copied: Any = copy.deepcopy(module)
        return Reduced(copied) if _reduce_layers(copied.body, exact) else None
    if isinstance(module, Twin) and isinstance(module.body, Body):
        body = reduce_steps(module.body)
        return None if body is None else Reduced(Twin(body, module.arithmetic, module.image_channels))
    return None


@final
class Reduced(nn.Module):
    """A module that computes with fewer bits inside and answers float32 logits; see :func:`reduced`."""

    def __init__(self, module: nn.Module) -> None:
        """Take the module with its layers already reduced."""
        super().__init__()
        self.module = module
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits `[N,K]` of images `[N,C,H,W]` in `[0,1]`."""
        logits: Tensor = self.module(images)
        return logits.float()


@final
class _InFloat32(nn.Module):
    """A layer whose weights are float32, given what comes out of a reduced one."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Any) -> Any:
        return self.layer(*(each.float() if isinstance(each, Tensor) else each for each in inputs))


def _reduce_layers(body: nn.Module, exact: bool) -> int:
    """Reduce the dense convolutions of a traced body, and shield the other layers; counts the former."""
    if not isinstance(body, fx.GraphModule):
        return 0
    dense = 0
    for name in {str(node.target) for node in body.graph.nodes if node.op == "call_module"}:
        layer = body.get_submodule(name)
        if isinstance(layer, FrozenConvolution):
            if layer.geometry.groups == _DENSE:
                layer.reduce(forward=not exact)
                dense += 1
        elif not exact and not isinstance(layer, Fork) and any(True for _ in layer.parameters()):
            owner, _, last = name.rpartition(".")
            setattr(body.get_submodule(owner), last, _InFloat32(layer))
    return dense
