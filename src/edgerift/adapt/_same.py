"""Whether two answers are equal up to the rounding of float32, and whether a model is deterministic."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from edgerift.errors import ModelError, users_code
from edgerift.measure import MODULE_CALL
from edgerift.zoo import frozen_copy

#: The change of scores from the order of summation alone, relative to the largest one.
_ROUNDING: Final = 1e-4


def logits_of(answer: Any) -> Tensor:
    """Unpack the one tensor that a model returns, in a tuple or not."""
    while isinstance(answer, (list, tuple)):
        answer = answer[0]
    tensor: Tensor = answer
    return tensor


def largest(values: Tensor) -> float:
    """The largest finite magnitude of some values, 0 when there is none."""
    return float(values.abs().nan_to_num(0.0, 0.0).amax()) if values.numel() else 0.0


def is_same(expected: Tensor, found: Tensor, slack: Tensor | float = 0.0) -> bool:
    """Return whether two results differ by at most the rounding of float32, plus `slack`."""
    if expected.shape != found.shape:
        return False
    allowed = _ROUNDING * largest(expected) + slack
    apart = (expected - found).abs() > allowed
    alike = torch.isfinite(expected) == torch.isfinite(found)
    return not bool(apart.any()) and bool(alike.all())


def require_repeatable(original: nn.Module, images: Tensor) -> None:
    """Check that an original is deterministic in evaluation mode.

    `images` is float32 `[N,C,H,W]` in `[0,1]`. A model in training mode is copied, not changed. Raises
    :class:`~edgerift.errors.ModelError` if two passes give different scores: a comparison with it would be random.

    >>> require_repeatable(nn.Flatten(), torch.rand(2, 3, 8, 8))
    """
    model = frozen_copy(original, None) if original.training else original
    with torch.no_grad(), users_code("the original", MODULE_CALL):
        first, second = (logits_of(model(images)) for _ in range(2))
    if not is_same(first, second):
        raise ModelError(
            "the original is not deterministic: on the same images its scores differ by up to "
            f"{largest(first - second):.3g}; something in it samples at random in evaluation mode, as F.dropout(x, p) "
            "does without training=self.training"
        )
