"""How a process reuses freed memory, and what it need not keep."""

from __future__ import annotations

import contextlib
import ctypes
import linecache
import os
import sys
from collections.abc import Iterator
from typing import Final

#: Names of glibc's `malloc.h`, by which `mallopt` knows what is set.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
#: What is larger goes back at once; older C libraries allow no more than the second one.
_LARGEST_KEPT: Final = (2**28, 2**25)
_KEPT_AT_THE_END: Final = 2**30

_CHOICES: Final = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let this process keep freed memory, and return whether its allocator can.

    The C library of Linux hands the memory of a large tensor back to the system as soon as it is freed, and each
    iteration of a training loop on the CPU then page-faults it in again. Here blocks of up to 256 MiB are kept, and
    what is free at the end of the heap goes back from 1 GiB on: the peak is unchanged, and afterwards the process stays
    closer to it. It affects the whole process, so it is for a program to call, as `edgerift` does, and not for a
    library. A process whose environment already chooses (`MALLOC_TRIM_THRESHOLD_` and the like) is left as it is.
    """
    if sys.platform != "linux" or any(choice in os.environ for choice in _CHOICES):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # The first of them that is set fixes both, so the end of the heap comes last.
    has_kept = any(mallopt(_MMAP_THRESHOLD, size) == 1 for size in _LARGEST_KEPT)
    return has_kept and mallopt(_TRIM_THRESHOLD, _KEPT_AT_THE_END) == 1


@contextlib.contextmanager
def forgotten_sources() -> Iterator[None]:
    """Free the source code of the graph modules that are made inside, at the end.

    PyTorch keeps it for tracebacks as long as the process lives, and adapting, compiling and opening a model make
    hundreds of such modules. The modules themselves keep working.

    >>> from torch import fx, nn
    >>> with forgotten_sources():
    ...     module = fx.symbolic_trace(nn.ReLU())
    >>> module.forward.__code__.co_filename in fx.graph_module._loader.eval_cache
    False
    """
    from torch.fx import graph_module

    sources: dict[str, str] = graph_module._loader.eval_cache
    before = set(sources)
    try:
        yield
    finally:
        for name in sources.keys() - before:
            sources.pop(name, None)
            linecache.cache.pop(name, None)
