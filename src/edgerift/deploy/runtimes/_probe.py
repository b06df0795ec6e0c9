"""Opens an artefact and asks it once, in a process of its own: `python _probe.py RUNTIME FILE THREADS FOLDER...`.

A damaged file may end the process that opens it. This one stands alone, imports what opening takes and no more, and
opens as a build does: with the functions here, which builds use too. FOLDERs are where modules are looked for. Its exit
status tells how far it came.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any, Final

#: The exit statuses; an interpreter that cannot start ends with others, and so may a runtime that a file breaks.
OPENED: Final = 80
REFUSED: Final = 81
NOT_IMPORTED: Final = 82


def executorch_extension() -> Any:
    """Import ExecuTorch's runtime alone; `executorch.runtime` imports the whole compiler for the sake of a warning."""
    import torch  # noqa: F401 -- Its libraries have to be loaded before the extension's.
    from executorch.extension.pybindings import _portable_lib

    return _portable_lib


def load_method(content: bytes) -> tuple[Any, Any]:
    """Load the `forward` of a `.pte`: the method, and what has to live as long as it."""
    extension = executorch_extension()
    program = extension._load_program_from_buffer(
        content,
        enable_etdump=False,
        debug_buffer_size=0,
        program_verification=extension.Verification.InternalConsistency,
    )
    return program.load_method("forward"), (program, content)


def open_session(model: bytes | str, threads: int) -> Any:
    """Load an `.onnx`, from its bytes or its path, for the CPU provider with its default options."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _import_runtime(runtime: str) -> None:
    if runtime == "executorch":
        executorch_extension()
    else:
        importlib.import_module({"onnxruntime": "onnxruntime", "inductor": "torch._inductor"}[runtime])


def _ask_once(runtime: str, path: str, threads: int) -> None:
    """Open an artefact and, where it says which images it takes, answer one batch of black ones."""
    if runtime == "executorch":
        import torch

        method, _program = load_method(Path(path).read_bytes())
        method.call([torch.zeros(method.method_meta().input_tensor_meta(0).sizes())])
    elif runtime == "onnxruntime":
        import numpy as np

        session = open_session(path, threads)
        shape = [extent if isinstance(extent, int) else 1 for extent in session.get_inputs()[0].shape]
        session.run(None, {session.get_inputs()[0].name: np.zeros(shape, np.float32)})
    else:
        import torch._inductor

        torch._inductor.aoti_load_package(path)


def probe(runtime: str, path: str, threads: int) -> int:
    """Import a runtime and try an artefact; what the runtime raises about it is for who opens it to tell."""
    try:
        _import_runtime(runtime)
    except Exception as error:
        sys.stderr.write(f"\n{type(error).__name__}: {error}\n")
        return NOT_IMPORTED
    try:
        _ask_once(runtime, path, threads)
    except Exception:
        return REFUSED
    return OPENED


if __name__ == "__main__":
    sys.path[:] = sys.argv[4:]
    status = probe(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.stderr.flush()
    os._exit(status)  # What a library does when an interpreter ends says nothing about the file.
