"""Whether two answers are the same up to the rounding of float32, and whether a model answers twice alike."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from edgerift.errors import ModelError, users_code
from edgerift.measure import MODULE_CALL
from edgerift.zoo import frozen_copy

#: How far scores may move by the order of summation alone, as a share of the largest one.
_ROUNDING: Final = 1e-4


def logits_of(answer: Any) -> Tensor:
    """Unpack the one tensor that a model answers, be it in a tuple or not."""
    while isinstance(answer, (list, tuple)):
        answer = answer[0]
    tensor: Tensor = answer
    return tensor


def largest(values: Tensor) -> float:
    """The largest finite magnitude of some values, 0 when there is none."""
    return float(values.abs().nan_to_num(0.0, 0.0).amax()) if values.numel() else 0.0


def is_same(expected: Tensor, found: Tensor, slack: Tensor | float = 0.0) -> bool:
    """Tell whether two results differ by no more than the rounding of float32, and `slack` where some is allowed."""
    if expected.shape != found.shape:
        return False
    allowed = _ROUNDING * largest(expected) + slack
    apart = (expected - found).abs() > allowed
    alike = torch.isfinite(expected) == torch.isfinite(found)
    return not bool(apart.any()) and bool(alike.all())


def require_repeatable(original: nn.Module, images: Tensor) -> None:
    """Check that an original, in evaluation mode, answers the same twice.

    `images` is float32 `[N,3,H,W]` in `[0,1]`. A model in training mode is copied, so that it stays as it is. Raises
    :class:`~edgerift.errors.ModelError` when the scores differ: a comparison with it would compare with a coin.

    >>> require_repeatable(nn.Flatten(), torch.rand(2, 3, 8, 8))
    """
    model = frozen_copy(original, None) if original.training else original
    with torch.no_grad(), users_code("the original", MODULE_CALL):
        first, second = (logits_of(model(images)) for _ in range(2))
    if not is_same(first, second):
        raise ModelError(
            "the original does not answer twice alike: on the same images its scores differ by up to "
            f"{largest(first - second):.3g}; something in it draws at random in evaluation mode, as F.dropout(x, p) "
            "does without training=self.training"
        )
