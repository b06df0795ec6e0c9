"""Lowering without the patterns that a program cannot hold.

XNNPACK's passes look for resizing and for attention by graphs that each process exports anew, which takes seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from edgerift.deploy.program._program import Program

_GRAPHS: Final = "executorch.backends.xnnpack.partition.graphs"

#: A module that makes patterns, the function, what it answers without any, and parts of the names of their operators.
_PATTERNS: Final[tuple[tuple[str, str, Any, tuple[str, ...]], ...]] = (
    ("bilinear_2d", "get_graphs_dict", dict, ("upsample", "interpolate", "grid_sample")),
    ("sdpa", "get_graphs", list, ("attention", "softmax")),
)

#: The functions are ExecuTorch's own, for the whole process.
_lock = threading.RLock()


@contextmanager
def possible_patterns(program: Program) -> Iterator[None]:
    """Look only for patterns whose operators a program has, as long as the context lasts."""
    operators = {operation.operator for operation in program.operations}
    with _lock:
        replaced: list[tuple[Any, str, Any]] = []
        for name, function, none, parts in _PATTERNS:
            if any(part in operator for operator in operators for part in parts):
                continue
            module: Any = import_module(f"{_GRAPHS}.{name}")
            if hasattr(module, function):
                replaced.append((module, function, getattr(module, function)))
                setattr(module, function, none)
        try:
            yield
        finally:
            for module, function, before in replaced:
                setattr(module, function, before)
