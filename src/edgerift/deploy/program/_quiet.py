"""Imports and compilations of heavy libraries without their side effects: warnings, and source code in memory."""

from __future__ import annotations

import contextlib
import linecache
import logging
import warnings
from collections.abc import Iterator

from torch.fx import graph_module

#: They report accelerator kernels that are not there and PyTorch-internal deprecations, at every import.
_LOGGERS = ("torchao", "torch.utils._pytree")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide the warnings that torchao, ExecuTorch and torch.export give while they import and compile.

    They make hundreds of graph modules on the way, and PyTorch keeps the source of each for tracebacks as long as the
    process lives; what is made inside is freed at the end. The modules themselves keep working.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    sources: dict[str, str] = graph_module._loader.eval_cache
    before = set(sources)
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in sources.keys() - before:
            sources.pop(name, None)
            linecache.cache.pop(name, None)
