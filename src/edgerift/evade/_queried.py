"""A build without a twin: gradients estimated from its answers, by differences along random directions."""

from __future__ import annotations

from typing import Any, Final, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgerift.measure import Logits

Context = Any

#: How far an image is moved to see how its answer changes, in grey levels: further than rounding, within most boxes.
_STRIDE: Final = 4.0
#: The directions are smooth: a network reacts to such more than to noise, and there are fewer of them.
_COARSE: Final = 4


@final
class QueriedModule(nn.Module):
    """A build as a module: its answers forward, and backward a gradient that is estimated from further answers.

    Images are float32 `[N,C,H,W]` in `[0,1]`; the build sees them on whole grey levels. The gradient of `g . f(x)` is
    the mean over `directions` random directions `u` of `(g . f(x + s u) - g . f(x - s u)) / (2 s) u` (antithetic
    evolution strategies: Salimans et al. 2017, arXiv:1703.03864; as an attack: Ilyas et al. 2018, arXiv:1804.08598).
    The same images get the same directions. It costs `2 * directions` queries per image.
    """

    def __init__(self, answer: Logits, directions: int = 16) -> None:
        """Ask `answer`, the logits of a build."""
        super().__init__()
        self._answer, self.directions = answer, directions
        self.eval()

    def __deepcopy__(self, memo: dict[int, Any]) -> QueriedModule:
        """Ask the same build: a runtime's session cannot be copied."""
        return QueriedModule(self._answer, self.directions)

    def forward(self, images: Tensor) -> Tensor:
        """Answer images with logits `[N,K]`."""
        logits: Tensor = _Estimated.apply(images, self._answer, self.directions)  # type: ignore[no-untyped-call]
        return logits


class _Estimated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, images: Tensor, answer: Logits, directions: int) -> Tensor:
        ctx.save_for_backward(images)
        ctx.settings = answer, directions
        return answer(_whole(images)).to(images.device)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (images,) = ctx.saved_tensors
        answer, directions = ctx.settings
        total = torch.zeros_like(images)
        generator = torch.Generator().manual_seed(int(_whole(images).long().sum()))
        for _ in range(directions):
            direction = _smooth(images, generator)
            moved = direction * (_STRIDE / 255)
            ahead, behind = (answer(_whole(images + sign * moved)).to(grad.device) for sign in (1, -1))
            slope = ((ahead - behind) * grad).sum(1) / (2 * _STRIDE / 255)
            total += slope.reshape(-1, 1, 1, 1) * direction
        return total / directions, None, None


def _whole(images: Tensor) -> Tensor:
    return (images * 255).round().clamp(0, 255).to(torch.uint8).cpu()


def _smooth(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a direction `[N,C,H,W]` of plus and minus one, in patches."""
    count, channels, height, width = images.shape
    coarse = torch.randn(count, channels, -(-height // _COARSE), -(-width // _COARSE), generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bilinear").sign().to(images.device)
