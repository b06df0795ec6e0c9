"""Opens a `.pte` with the fewest imports; a child process that tries a file imports this alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def import_runtime() -> Any:
    """Import ExecuTorch's runtime alone; `executorch.runtime` imports the whole compiler to give a warning."""
    import torch  # noqa: F401 -- Its libraries have to be loaded before the extension's.
    from executorch.extension.pybindings import _portable_lib

    return _portable_lib


def load_method(content: bytes) -> tuple[Any, Any]:
    """Load the `forward` of a `.pte`: the method, and what has to live as long as it."""
    extension = import_runtime()
    program = extension._load_program_from_buffer(
        content,
        enable_etdump=False,
        debug_buffer_size=0,
        program_verification=extension.Verification.InternalConsistency,
    )
    return program.load_method("forward"), (program, content)


def ask_once(path: str, threads: int) -> None:
    """Open a `.pte` and answer one batch of black images."""
    import torch

    method, _program = load_method(Path(path).read_bytes())
    method.call([torch.zeros(method.method_meta().input_tensor_meta(0).sizes())])
