"""Tracking: finished cells of a study as runs of MLflow."""

from edgerift.track._tracking import track as track
