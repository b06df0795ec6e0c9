"""The range of a histogram observer, searched for with numbers instead of tensors."""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

#: The share of all values that torchao's search cuts off at a time.
_STEP: Final = 1e-5


def search_in_numbers(prepared: nn.Module) -> None:
    """Give the histogram observers of a calibrated graph a faster search for the range with the least error."""
    from torchao.quantization.pt2e import HistogramObserver

    for observer in prepared.modules():
        if isinstance(observer, HistogramObserver):
            observer._non_linear_param_search = functools.partial(_range_of, observer)


def _range_of(observer: Any) -> tuple[Tensor, Tensor]:
    """Cut bins off both ends of a histogram as long as the squared error of quantization falls.

    Each move takes the end that has to give up more bins for the same share of the values. torchao compares float32
    tensors with numbers, which are rounded to float32 for that.
    """
    total = torch.sum(observer.histogram).item()
    below = torch.cumsum(observer.histogram, dim=0).tolist()
    first, last, least = 0, len(below) - 1, float("inf")
    low, high = 0.0, 1.0
    while low < high:
        lower, upper = low + _STEP, high - _STEP
        start, end = _from_below(below, first, last, lower * total), _from_above(below, first, last, upper * total)
        moved = first, last
        if start - first > last - end:
            moved, low = (start, last), lower
        else:
            moved, high = (first, end), upper
        if moved == (first, last):
            continue
        error = observer._compute_quantization_error(*moved)
        if error > least:
            break
        least, (first, last) = error, moved
    width = (observer.max_val - observer.min_val) / observer.bins
    return observer.min_val + width * first, observer.min_val + width * (last + 1)


def _from_below(below: list[float], first: int, last: int, bound: float) -> int:
    rounded = float(np.float32(bound))
    while first < last and below[first] < rounded:
        first += 1
    return first


def _from_above(below: list[float], first: int, last: int, bound: float) -> int:
    rounded = float(np.float32(bound))
    while last > first and below[last] > rounded:
        last -= 1
    return last
