"""Opens a `.tflite` with the fewest imports; a child process that tries a file imports this alone."""

from __future__ import annotations

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
    loaded = interpreter.Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
    loaded.allocate_tensors()
    return loaded


def ask_once(path: str, threads: int, kernels: str) -> None:
    """Open a `.tflite` and answer one batch of black images, of the size that it names."""
    import numpy as np

    loaded = load_interpreter(Path(path).read_bytes(), kernels)
    for image in loaded.get_input_details():
        loaded.set_tensor(image["index"], np.zeros(image["shape"], image["dtype"]))
    loaded.invoke()
