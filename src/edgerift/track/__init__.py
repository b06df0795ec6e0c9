"""Tracking: finished cells of a study as runs of MLflow."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.track._tracking import track as track
else:
    __getattr__, __dir__, __all__ = exported(__name__)
