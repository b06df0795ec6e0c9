"""What a process does with the memory that it frees."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

#: Names of glibc's `malloc.h`, by which `mallopt` knows what is set.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 2**30

_CHOICES: Final = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of the memory that it frees, and say whether its allocator can.

    The C library of Linux hands the memory of a large tensor back to the system as soon as it is freed, and each
    iteration of a training loop on the processor then fetches it anew, page by page. The peak stays what it was. It is
    for the whole process, so it is for a program to call, as `edgerift` does, and not for a library. A process whose
    environment already chooses (`MALLOC_TRIM_THRESHOLD_` and the like) is left as it is.
    """
    if sys.platform != "linux" or any(choice in os.environ for choice in _CHOICES):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(option, _KEPT_BYTES) == 1 for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD))
