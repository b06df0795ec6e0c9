"""What is known of the steps that ran: how long each took, whether it failed and why, what it is doing now."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, final

from pydantic import NonNegativeFloat

from edgerift.errors import RecipeError, StoreError
from edgerift.run._graph import Key, key_of
from edgerift.settings import Settings
from edgerift.steps import Recipe, write_whole

if TYPE_CHECKING:
    from edgerift.steps import Store

_FOLDER: Final = ".runs"
#: A record of another machine that is older than this is of a run that is no more: a step writes more often.
_STALE_SECONDS: Final = 60.0
_BEAT_SECONDS: Final = 2.0
#: A step that tells nothing of its progress says so often that it lives.
_QUIET_SECONDS: Final = 15.0

#: What differs between two runs of the same work: another seed takes as long.
_UNLIKE: Final = frozenset({"seed", "init_seed", "draw", "fingerprint"})


class Record(Settings):
    """One step's last run: its state, the seconds it took so far over all runs, and where it runs or ran.

    `likeness` is the digest of the recipe without its seeds: steps alike take equally long. `beat` is the time, in
    seconds since 1970, when the run last said that it lives. `error` is the line about a failure.
    """

    key: Key
    step: str
    likeness: str
    state: Literal["running", "finished", "failed"]
    seconds: NonNegativeFloat
    host: str
    process: int
    beat: float
    task: str = ""
    done: int = 0
    total: int = 0
    error: str | None = None


@final
class Records:
    """The records beside a store's results. They are no part of any result."""

    def __init__(self, store: Store) -> None:
        self.folder = store.root / _FOLDER

    def log(self, key: Key) -> Path:
        """Name a step's log file."""
        return self.folder / f"{key}.log"

    def read(self, key: Key) -> Record | None:
        """Read a step's record; None for one that never ran, or whose record is damaged."""
        return _record(self.folder / f"{key}.json")

    def write(self, record: Record) -> None:
        """Write a record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / f"{record.key}.json", record.model_dump_json())

    def all(self) -> list[Record]:
        """Read all records."""
        found = (_record(path) for path in sorted(self.folder.glob("*.json")))
        return [record for record in found if record is not None]


@final
class Watch:
    """The record of a step while it runs, as the progress that the step reports to."""

    def __init__(self, recipe: Recipe, records: Records) -> None:
        self._records, self._began = records, time.perf_counter()
        self._written = self._began
        self._lock = threading.Lock()
        key = key_of(recipe)
        earlier = records.read(key)
        # A finished step that runs again starts anew, or was finished by another run just now, which takes no time.
        again = earlier is not None and earlier.state == "finished"
        self._spent = 0.0 if earlier is None or again else earlier.seconds
        self._least = earlier.seconds if earlier is not None and again else 0.0
        self._record = Record(
            key=key,
            step=recipe.type,
            likeness=likeness(recipe),
            state="running",
            seconds=self._spent,
            host=socket.gethostname(),
            process=os.getpid(),
            beat=time.time(),
        )
        records.write(self._record)

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Note how far a task is; written every few seconds."""
        # Not by the time of day, which may jump.
        if time.perf_counter() - self._written >= _BEAT_SECONDS:
            self._write(task=task, done=done, total=total)

    @property
    def seconds(self) -> float:
        """What the step took so far, earlier runs that were killed included."""
        return self._spent + time.perf_counter() - self._began

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Say now and then that the step lives, also while it tells nothing: what it does may take minutes."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(_QUIET_SECONDS):
                if time.perf_counter() - self._written >= _QUIET_SECONDS:
                    # A disk that refuses is the step's own to find.
                    with contextlib.suppress(OSError, StoreError):
                        self._write()

        thread = threading.Thread(target=beat, name="edgerift-beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def finish(self) -> None:
        """Note the end."""
        self._write(state="finished", task="", done=0, total=0, seconds=max(self.seconds, self._least))

    def fail(self, error: str) -> None:
        """Note a failure, with a line about it."""
        self._write(state="failed", error=error)

    def _write(self, **changes: Any) -> None:
        with self._lock:
            self._record = self._record.replace(**{"seconds": self.seconds, "beat": time.time()} | changes)
            self._records.write(self._record)
            self._written = time.perf_counter()


def is_running(record: Record | None, recipe: Recipe, store: Store) -> bool:
    """Tell whether a step runs now: on this machine by its lock, elsewhere by its last sign of life."""
    if record is None or record.state != "running":
        return False
    if record.host == socket.gethostname():
        return store.running(recipe)
    return abs(time.time() - record.beat) <= _STALE_SECONDS


def likeness(recipe: Recipe) -> str:
    """Name what steps have in common that differ in their seeds alone."""
    import hashlib

    text = json.dumps(_without_seeds(json.loads(recipe.canonical_json())), sort_keys=True)
    return f"{recipe.type}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _without_seeds(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_seeds(value) for name, value in content.items() if name not in _UNLIKE}
    if isinstance(content, list):
        return [_without_seeds(value) for value in content]
    return content


def _record(path: Path) -> Record | None:
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, RecipeError):
        return None
