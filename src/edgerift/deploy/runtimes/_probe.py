"""Opens an artefact and asks it once, in a process of its own: `python _probe.py RUNTIME FILE`.

A damaged file may end the process that opens it. This one stands alone, so that it starts as fast as the runtime does;
what it raises counts for nothing, only whether it lives.
"""

from __future__ import annotations

import sys


def probe(runtime: str, path: str) -> None:
    """Open an artefact and, where it says which images it takes, answer one batch of black ones."""
    if runtime == "executorch":
        import torch
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(path).load_method("forward")
        method.execute([torch.zeros(method.metadata.input_tensor_meta(0).sizes())])
    elif runtime == "onnxruntime":
        import numpy as np
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        shape = [extent if isinstance(extent, int) else 1 for extent in session.get_inputs()[0].shape]
        session.run(None, {session.get_inputs()[0].name: np.zeros(shape, np.float32)})
    else:
        import torch._inductor

        torch._inductor.aoti_load_package(path)


if __name__ == "__main__":
    try:
        probe(*sys.argv[1:])
    except Exception:
        sys.exit(1)
