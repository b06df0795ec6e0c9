"""Opens a `.pt2` with the fewest imports; a child process that tries a file imports this alone."""

from __future__ import annotations

from typing import Any


def import_runtime() -> Any:
    """Import PyTorch's Inductor."""
    import torch._inductor

    return torch._inductor


def ask_once(path: str, threads: int) -> None:
    """Open a `.pt2`, which does not record its input size."""
    import_runtime().aoti_load_package(path)
