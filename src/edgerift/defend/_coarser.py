"""Defences that say less: rounded, cut to the top classes, the label alone, or a changed temperature."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, final

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from edgerift.defend._rows import checked, normalised, with_top
from edgerift.settings import Count, Settings


@final
class Rounding(Settings):
    """Answer probabilities rounded to `decimals` places (halves to even) and divided by their sum.

    The label is kept: where rounding leaves the most likely class equal to one before it, or every class at 0, that
    class gets one unit of the last place more. So a row of zeros becomes the label alone, and 0 decimals always is.

    >>> Rounding(decimals=1)(torch.tensor([[0.93, 0.04, 0.03], [0.33, 0.34, 0.33]]))
    tensor([[1.0000, 0.0000, 0.0000],
            [0.3000, 0.4000, 0.3000]])
    """

    name: Literal["rounding"] = "rounding"
    decimals: Annotated[int, Field(ge=0, le=12)] = 2
    keeps_argmax: ClassVar[bool] = True

    def __call__(self, answers: Tensor) -> Tensor:
        """Round answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        units = (rows * 10.0**self.decimals).round()
        top = rows.argmax(1, keepdim=True)
        lost = (units.argmax(1, keepdim=True) != top) | (units.amax(1, keepdim=True) == 0)
        return with_top(normalised(units.scatter_add(1, top, lost.double())), rows)


@final
class TopK(Settings):
    """Answer the `k` most likely classes, the first of equal ones, and 0 for the rest.

    With `renormalise` the kept ones are divided by their sum. Without it they stay as they are, and the row adds up to
    less than 1: it is no distribution, so this must be the last defence of a chain. A `k` of at least the number of
    classes is the identity. The label is kept.

    >>> TopK(k=2)(torch.tensor([[0.5, 0.25, 0.125, 0.125]]))
    tensor([[0.6667, 0.3333, 0.0000, 0.0000]])
    """

    name: Literal["top-k"] = "top-k"
    k: Count = 1
    renormalise: bool = True
    keeps_argmax: ClassVar[bool] = True

    def __call__(self, answers: Tensor) -> Tensor:
        """Cut answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        if self.k >= rows.shape[1]:
            return answers
        kept = rows.sort(dim=1, descending=True, stable=True).indices[:, : self.k]
        cut = torch.zeros_like(rows).scatter(1, kept, rows.gather(1, kept))
        return with_top(normalised(cut), rows) if self.renormalise else cut.float()


@final
class LabelOnly(Settings):
    """Answer 1 for the most likely class, the first of equal ones, and 0 for the others. The label is kept.

    >>> LabelOnly()(torch.tensor([[0.2, 0.5, 0.3]]))
    tensor([[0., 1., 0.]])
    """

    name: Literal["label-only"] = "label-only"
    keeps_argmax: ClassVar[bool] = True

    def __call__(self, answers: Tensor) -> Tensor:
        """Reduce answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        return torch.zeros_like(answers).scatter(1, rows.argmax(1, keepdim=True), 1.0)


@final
class Temperature(Settings):
    """Answer p^(1/value) / sum p^(1/value): the softmax of the logits divided by `value`.

    A control rather than a defence: it tells nothing false, and a thief who knows `value` undoes it. Over 1 it softens,
    below 1 it sharpens, 1 is the identity; a probability of 0 stays 0. The label is kept.

    >>> Temperature(value=2)(torch.tensor([[0.8, 0.2]]))
    tensor([[0.6667, 0.3333]])
    """

    name: Literal["temperature"] = "temperature"
    value: PositiveFloat = 2.0
    keeps_argmax: ClassVar[bool] = True

    def __call__(self, answers: Tensor) -> Tensor:
        """Soften answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        if self.value == 1:
            return answers
        # Relative to the largest, which is at 0 at any temperature, nothing overflows.
        logits = rows.log() - rows.amax(1, keepdim=True).log()
        return with_top(normalised((logits / self.value).exp()), rows)
