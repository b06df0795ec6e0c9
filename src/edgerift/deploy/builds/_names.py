"""The names of the runtimes, and of their sets of kernels, as types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from edgerift.deploy.builds._runtime import RUNTIMES, kernel_names

if TYPE_CHECKING:
    RuntimeName: TypeAlias = str
    KernelsName: TypeAlias = str
else:
    RuntimeName = Literal[RUNTIMES.names()]
    KernelsName = Literal[kernel_names()]
