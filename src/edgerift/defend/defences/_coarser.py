"""Defences that reveal less: rounding, top-K, label only, or a changed temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, final

from pydantic import Field, PositiveFloat

from edgerift._lazy import later
from edgerift.defend._answer_defence import AnswerDefence, defence
from edgerift.defend._rows import checked, normalised, with_top
from edgerift.settings import Count

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = later("torch")


@final
@defence
class Rounding(AnswerDefence):
    """Answer probabilities rounded to `decimals` places (halves to even) and divided by their sum.

    The top-1 label is kept: where rounding leaves the most likely class equal to one before it, or every class at 0,
    that class gets one more unit in the last place. So a row of zeros becomes one-hot, and with 0 decimals every row.

    >>> Rounding(decimals=1)(torch.tensor([[0.93, 0.04, 0.03], [0.33, 0.34, 0.33]]))
    tensor([[1.0000, 0.0000, 0.0000],
            [0.3000, 0.4000, 0.3000]])
    """

    type: Literal["rounding"] = "rounding"
    title = "Rounding"
    strength_field = "decimals"
    grid = (6, 5, 4, 3, 2, 1, 0)
    decimals: Annotated[int, Field(ge=0, le=12)] = 2

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: always."""
        return True

    def __call__(self, answers: Tensor) -> Tensor:
        """Round answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        units = (rows * 10.0**self.decimals).round()
        top = rows.argmax(1, keepdim=True)
        lost = (units.argmax(1, keepdim=True) != top) | (units.amax(1, keepdim=True) == 0)
        return with_top(normalised(units.scatter_add(1, top, lost.double())), rows)


@final
@defence
class TopK(AnswerDefence):
    """Answer with the top-`k` classes (the first of equal ones), and 0 for the rest.

    With `renormalise` the kept ones are divided by their sum. Without it they stay as they are, and the row adds up to
    less than 1: it is not a distribution, so this must be the last defence of a chain. A `k` of at least the number of
    classes is the identity. The label is kept.

    >>> TopK(k=2)(torch.tensor([[0.5, 0.25, 0.125, 0.125]]))
    tensor([[0.6667, 0.3333, 0.0000, 0.0000]])
    """

    type: Literal["top-k"] = "top-k"
    title = "Top-k"
    strength_field = "k"
    grid = (1000, 100, 50, 20, 10, 5, 3, 2, 1)
    k: Count = 1
    renormalise: bool = True

    @property
    def sums_to_one(self) -> bool:
        """Whether a row is divided by its sum."""
        return self.renormalise

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: always."""
        return True

    def __call__(self, answers: Tensor) -> Tensor:
        """Truncate answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        if self.k >= rows.shape[1]:
            return answers
        kept = rows.sort(dim=1, descending=True, stable=True).indices[:, : self.k]
        cut = torch.zeros_like(rows).scatter(1, kept, rows.gather(1, kept))
        return with_top(normalised(cut), rows) if self.renormalise else cut.float()


@final
@defence
class LabelOnly(AnswerDefence):
    """Answer 1 for the most likely class, the first of equal ones, and 0 for the others. The label is kept.

    >>> LabelOnly()(torch.tensor([[0.2, 0.5, 0.3]]))
    tensor([[0., 1., 0.]])
    """

    type: Literal["label-only"] = "label-only"
    title = "Label only"

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: always."""
        return True

    def __call__(self, answers: Tensor) -> Tensor:
        """Reduce answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        return torch.zeros_like(answers).scatter(1, rows.argmax(1, keepdim=True), 1.0)


@final
@defence
class Temperature(AnswerDefence):
    """Answer p^(1/value) / sum p^(1/value): the softmax of the logits divided by `value`.

    A control rather than a defence: it is invertible, and an attacker who knows `value` can undo it. Over 1 it softens,
    below 1 it sharpens, 1 is the identity; a probability of 0 stays 0. The label is kept.

    >>> Temperature(value=2)(torch.tensor([[0.8, 0.2]]))
    tensor([[0.6667, 0.3333]])
    """

    type: Literal["temperature"] = "temperature"
    title = "Temperature"
    strength_field = "value"
    grid = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
    value: PositiveFloat = 2.0

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: always."""
        return True

    def __call__(self, answers: Tensor) -> Tensor:
        """Soften answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        if self.value == 1:
            return answers
        # Relative to the largest, which is 0 at any temperature, nothing overflows.
        logits = rows.log() - rows.amax(1, keepdim=True).log()
        return with_top(normalised((logits / self.value).exp()), rows)
