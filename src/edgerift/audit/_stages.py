"""The stages of an audit on the disk: finished stages are not repeated, and each one is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, final

from edgerift.settings import Settings
from edgerift.steps import Progress, write_whole

Stage = TypeVar("Stage", bound=Settings)
Result = TypeVar("Result")


class _Timed(Settings):
    seconds: float


@final
class Stages:
    """One run's stages, each kept in `folder` as soon as it is finished."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder, self._progress = folder, progress

    def kept(self, name: str, kind: type[Stage], compute: Callable[[], Stage]) -> Stage:
        """Read a finished stage, or compute it, note its time and keep it."""
        path = self._folder / f"stage-{name}.json"
        if path.is_file():
            return kind.model_validate_json(path.read_bytes())
        self._progress(f"audit: {name}", 0, 1)
        result = self.timed(name, compute)
        write_whole(path, result.model_dump_json())
        self._progress(f"audit: {name}", 1, 1)
        return result

    def timed(self, name: str, compute: Callable[[], Result], before: float = 0.0) -> Result:
        """Record how long a stage took when it first completed, plus `before`, seconds spent earlier."""
        path = self._folder / f"stage-time-{name}.json"
        began = time.perf_counter()
        result = compute()
        if not path.is_file():
            write_whole(path, _Timed(seconds=before + time.perf_counter() - began).model_dump_json())
        return result

    def times(self) -> dict[str, float]:
        """Return the seconds of each completed stage."""
        times = {}
        for path in sorted(self._folder.glob("stage-time-*.json")):
            name = path.stem.removeprefix("stage-time-")
            times[name] = round(_Timed.model_validate_json(path.read_bytes()).seconds, 3)
        return times

    def remove(self) -> None:
        """Remove the stages once their result is written."""
        for path in self._folder.glob("stage-*.json"):
            path.unlink()
