"""Rows of probabilities: the input and the output of a defence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgerift._lazy import later
from edgerift.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = later("torch")

#: The tolerance of an input row's sum around 1.
TOLERANCE = 1e-4


def checked(answers: Tensor) -> Tensor:
    """Return float32 answers `[N,K]`, K at least 2, in float64; raises `InputError` for other shapes and rows."""
    if answers.dtype != torch.float32 or answers.ndim != 2 or answers.shape[1] < 2:
        kind = str(answers.dtype).removeprefix("torch.")
        raise InputError(
            f"answers of type {kind} and shape {list(answers.shape)}; needed: float32 [N, classes], at least 2 classes"
        )
    rows = answers.double().contiguous()
    # A comparison with NaN is false, so this refuses NaN too.
    good = ((rows.sum(1) - 1).abs() <= TOLERANCE) & (rows.amin(1) >= 0)
    if not bool(good.all()):
        raise InputError(
            f"{int((~good).sum())} of {len(rows)} answers are not probabilities: each must be >= 0 and a row must add "
            "up to 1; take softmax(1) of logits"
        )
    return rows


def normalised(values: Tensor) -> Tensor:
    """Divide float64 values `[N,K]`, at least 0, by the sum of their row; the result is float32.

    A row of zeros stays zero.
    """
    total = values.sum(1, keepdim=True)
    return (values / torch.where(total > 0, total, 1.0)).float()


def with_top(defended: Tensor, clean: Tensor) -> Tensor:
    """Restore the top-1 class of `clean` in each row of `defended` where rounding made another class its equal.

    Two values that differ may have the same float32 after a defence, and the first of equal ones counts. The class
    is then raised to the next float32, by less than 1e-7.
    """
    top = clean.argmax(1, keepdim=True)
    lost = defended.argmax(1, keepdim=True) != top
    if not bool(lost.any()):
        return defended
    largest = defended.amax(1, keepdim=True)
    lifted = torch.nextafter(largest, torch.full_like(largest, 2.0))
    return defended.scatter(1, top, torch.where(lost, lifted, defended.gather(1, top)))
