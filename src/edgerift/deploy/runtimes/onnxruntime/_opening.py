"""Opens an `.onnx` with the fewest imports; a child process that tries a file imports this alone."""

from __future__ import annotations

from typing import Any, Final

#: A session's option: bytes are an ONNX model, whatever else they may look like, as a file of that suffix is.
AS_ONNX: Final = ("session.load_model_format", "ONNX")


def import_runtime() -> Any:
    """Import ONNX Runtime."""
    import onnxruntime

    return onnxruntime


def open_session(model: bytes | str, threads: int) -> Any:
    """Load an `.onnx`, from its bytes or its path, for the CPU provider with its default options."""
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry(*AS_ONNX)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def ask_once(path: str, threads: int) -> None:
    """Open an `.onnx` and answer one batch of black images, of the size that it names."""
    import numpy as np

    session = open_session(path, threads)
    shape = [extent if isinstance(extent, int) else 1 for extent in session.get_inputs()[0].shape]
    session.run(None, {session.get_inputs()[0].name: np.zeros(shape, np.float32)})
