"""The names of the runtimes as a type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from edgerift.deploy.builds._runtime import RUNTIMES

if TYPE_CHECKING:
    RuntimeName: TypeAlias = str
else:
    RuntimeName = Literal[RUNTIMES.names()]
