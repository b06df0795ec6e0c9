"""Independent copies of a user's models."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from edgerift.errors import ModelError


def frozen_copy(model: nn.Module, dtype: torch.dtype | None = torch.float32) -> nn.Module:
    """Copy a model to float32, in evaluation mode, without parameters that take gradients, on the device it is on.

    Weights of 16 bits keep their values, those of 64 are rounded; without a `dtype` all stay what they are. What a
    forward hook kept of earlier images is copied without its gradient. Raises `ModelError` for a model that cannot be
    copied.
    """
    try:
        with torch.no_grad():  # What was traced copies its weights by an operation.
            copied = copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in _kept(model)})
    except Exception as error:  # A user's model may raise anything when it is copied.
        first = (str(error).splitlines() or [""])[0]
        raise ModelError(
            f"model '{type(model).__name__}' cannot be copied ({type(error).__name__}: {first}); "
            "take out of it what is neither a layer nor a tensor"
        ) from error
    copied = copied.to(dtype).eval()
    for parameter in copied.parameters():  # A scripted module does not take it as a whole.
        parameter.requires_grad_(False)
    return copied


def _kept(model: nn.Module) -> Iterator[Tensor]:
    """Name the tensors that a model holds and that were computed with gradients, which torch refuses to copy."""
    left: list[Any] = [vars(module) for module in model.modules()]
    seen: set[int] = set()
    while left:
        found = left.pop()
        if isinstance(found, Tensor) and not found.is_leaf:
            yield found
        elif isinstance(found, dict | list | tuple) and id(found) not in seen:  # Some hold themselves.
            seen.add(id(found))
            left += found.values() if isinstance(found, dict) else found
