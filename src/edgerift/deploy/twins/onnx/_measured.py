"""Sizes of computed constants, known before memory is taken for them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from edgerift.deploy.twins.onnx._limits import MOST_ELEMENTS
from edgerift.errors import ModelError

_ATEN: Final = torch.ops.aten
#: Steps whose result has as many numbers as what they read, or fewer.
_NO_LARGER: Final = frozenset(
    {
        _ATEN._local_scalar_dense,
        _ATEN._to_copy,
        _ATEN.alias,
        _ATEN.all,
        _ATEN.any,
        _ATEN.clone,
        _ATEN.detach,
        _ATEN.lift_fresh,
        _ATEN.lift_fresh_copy,
        _ATEN.permute,
        _ATEN.select,
        _ATEN.slice,
        _ATEN.squeeze,
        _ATEN.t,
        _ATEN.transpose,
        _ATEN.unsqueeze,
        _ATEN.view,
    }
)


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
        if func.overloadpacket in _NO_LARGER or _is_moderate(func, args, kwargs):
            return func(*args, **kwargs)
        for made in tree_leaves(_shapes_of(func, args, kwargs)):
            if isinstance(made, Tensor) and made.numel() > MOST_ELEMENTS:
                raise UntranslatedError(f"the model computes a constant of {made.numel():,} numbers")
        return func(*args, **kwargs)


def _is_moderate(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Tell without computing a step that its result is not too large, where the shapes of its operands tell it."""
    if func is _ATEN.expand.default:
        shapes: list[Sequence[int]] = [args[0].shape, args[1]]
    elif torch.Tag.pointwise in func.tags and not kwargs and not any(isinstance(one, (list, tuple)) for one in args):
        shapes = [argument.shape for argument in args if isinstance(argument, Tensor)]
    else:
        return False
    extents = itertools.zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    return math.prod(map(max, extents)) <= MOST_ELEMENTS


def _shapes_of(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute a step on tensors that have no memory; nothing where it has to look at numbers."""
    placed = {**kwargs, "device": torch.device("meta")} if "device" in kwargs else kwargs
    try:
        return func(*tree_map(_without_memory, args), **tree_map(_without_memory, placed))
    except Exception:  # Of every kind; the step itself raises it again.
        return None


def _without_memory(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value
