"""Imports and compilations of heavy libraries without their side effects: warnings, and source code in memory."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

from edgerift.train import forgotten_sources

#: They report accelerator kernels that are not there and PyTorch-internal deprecations, at every import.
_LOGGERS = ("torchao", "torch.utils._pytree")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide the warnings that torchao, ExecuTorch and torch.export give while they import and compile.

    They make hundreds of graph modules on the way, whose sources are freed at the end.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), forgotten_sources():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
