"""Sizes of computed constants, known before memory is taken for them."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from edgerift.deploy.twins.onnx._limits import MOST_ELEMENTS
from edgerift.errors import ModelError


class UntranslatedError(ModelError):
    """An ONNX graph holds something that has no translation."""


@final
class Measured(TorchDispatchMode):
    """Compute each step without numbers first, and refuse one whose result would be too large."""

    def __init__(self) -> None:
        """Start outside of any step."""
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Refuse or compute one step."""
        kwargs = kwargs or {}
        for made in tree_leaves(_shapes_of(func, args, kwargs)):
            if isinstance(made, Tensor) and made.numel() > MOST_ELEMENTS:
                raise UntranslatedError(f"the model computes a constant of {made.numel():,} numbers")
        return func(*args, **kwargs)


def _shapes_of(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute a step on tensors that have no memory; nothing where it has to look at numbers."""
    placed = {**kwargs, "device": torch.device("meta")} if "device" in kwargs else kwargs
    try:
        return func(*tree_map(_without_memory, args), **tree_map(_without_memory, placed))
    except Exception:  # Of every kind; the step itself raises it again.
        return None


def _without_memory(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value
