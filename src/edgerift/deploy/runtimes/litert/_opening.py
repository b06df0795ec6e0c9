"""Opens a `.tflite` with the fewest imports; a child process that tries a file imports this alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

#: The runtime's names for its sets of kernels.
RESOLVERS: Final = {
    "default": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}


def import_runtime() -> Any:
    """Import LiteRT's interpreter."""
    from ai_edge_litert import interpreter

    return interpreter


def load_interpreter(content: bytes, kernels: str) -> Any:
    """Load a `.tflite` to be run by one thread, with a set of kernels; its memory is laid out for its own batch."""
    interpreter = import_runtime()
    resolver = interpreter.OpResolverType[RESOLVERS[kernels]]
    with _without_notes():
        loaded = interpreter.Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
        loaded.allocate_tensors()
    return loaded


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Drop what the runtime writes to standard error when it makes a delegate; its errors come as exceptions."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def ask_once(path: str, threads: int, kernels: str) -> None:
    """Open a `.tflite` and answer one batch of black images, of the size that it names."""
    import numpy as np

    loaded = load_interpreter(Path(path).read_bytes(), kernels)
    for image in loaded.get_input_details():
        loaded.set_tensor(image["index"], np.zeros(image["shape"], image["dtype"]))
    loaded.invoke()
