"""Records of steps: duration, failure and its reason, current progress."""

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
#: A record of another machine older than this belongs to a dead run: a step writes more often.
_STALE_SECONDS: Final = 60.0
_BEAT_SECONDS: Final = 2.0
#: The heartbeat interval of a step that reports no progress.
_QUIET_SECONDS: Final = 15.0

#: The fields that do not affect the duration: another seed takes equally long.
_UNLIKE: Final = frozenset({"seed", "init_seed", "draw", "fingerprint"})


class Record(Settings):
    """One step's last run: its state, the seconds it took so far over all runs, and where it runs or ran.

    `likeness` is the digest of the recipe without its seeds: such steps take equally long. `beat` is the time of the
    last heartbeat, in seconds since 1970. `error` is the one-line failure.
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
    """The record of a running step, as the progress callback of the step."""

    def __init__(self, recipe: Recipe, records: Records) -> None:
        self._records, self._began = records, time.perf_counter()
        self._written = self._began
        self._lock = threading.Lock()
        key = key_of(recipe)
        earlier = records.read(key)
        # A finished step that runs again starts from zero, or was just finished by another run, which takes no time.
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
        """Record the progress of a task; written every few seconds."""
        # Monotonic, because the wall clock may jump.
        if time.perf_counter() - self._written >= _BEAT_SECONDS:
            self._write(task=task, done=done, total=total)

    @property
    def seconds(self) -> float:
        """The seconds of the step so far, including killed runs."""
        return self._spent + time.perf_counter() - self._began

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Write heartbeats, also while the step reports no progress, which may be minutes."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(_QUIET_SECONDS):
                if time.perf_counter() - self._written >= _QUIET_SECONDS:
                    # The step itself reports disk errors.
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
        """Record the end."""
        self._write(state="finished", task="", done=0, total=0, seconds=max(self.seconds, self._least))

    def fail(self, error: str) -> None:
        """Record a failure, with a one-line reason."""
        self._write(state="failed", error=error)

    def _write(self, **changes: Any) -> None:
        with self._lock:
            self._record = self._record.replace(**{"seconds": self.seconds, "beat": time.time()} | changes)
            self._records.write(self._record)
            self._written = time.perf_counter()


def is_running(record: Record | None, recipe: Recipe, store: Store) -> bool:
    """Return whether a step runs now: on this machine by its lock, elsewhere by its last heartbeat."""
    if record is None or record.state != "running":
        return False
    if record.host == socket.gethostname():
        return store.running(recipe)
    return abs(time.time() - record.beat) <= _STALE_SECONDS


def likeness(recipe: Recipe) -> str:
    """Return the common name of steps that differ only in their seeds."""
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
