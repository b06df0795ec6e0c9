"""Opens an artefact and queries it once, in a process of its own.

`python _probe.py OPENING FILE THREADS KERNELS FOLDER...`

A damaged file may crash the process that opens it. This module stands alone, imports only what opening needs, and opens
as a build does: with the functions in the file OPENING, which builds use too. KERNELS names the set of kernels where a
runtime has several, and is empty otherwise. FOLDERs are where modules are looked for.
Its exit status says how far it got.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any, Final

#: The exit statuses; an interpreter that cannot start ends with others, and so may a runtime that a file breaks.
OPENED: Final = 80
REFUSED: Final = 81
NOT_IMPORTED: Final = 82


def _module(path: str) -> Any:
    described = importlib.util.spec_from_file_location("opening", path)
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def probe(opening: str, path: str, threads: int, kernels: str = "") -> int:
    """Import a runtime and try an artefact; errors of the runtime are reported by the process that opens it."""
    try:
        module = _module(opening)
        module.import_runtime()
    except Exception as error:
        sys.stderr.write(f"\n{type(error).__name__}: {error}\n")
        return NOT_IMPORTED
    try:
        module.ask_once(path, threads, *([kernels] if kernels else []))
    except Exception:
        return REFUSED
    return OPENED


if __name__ == "__main__":
    sys.path[:] = sys.argv[5:]
    status = probe(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
    sys.stderr.flush()
    os._exit(status)  # What a library does when an interpreter ends says nothing about the file.
