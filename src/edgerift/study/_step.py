"""One step of a study as a worker runs it."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, final

from edgerift.errors import EdgeriftError
from edgerift.recipes import Recipe, Settings
from edgerift.store import Store
from edgerift.study._graph import key_of
from edgerift.study._records import Records, Watch


@final
class Place(Settings):
    """Where steps run and keep things: the store, its mirror, the images, the threads of a step.

    `threads` 0 leaves the number to PyTorch.
    """

    store: Path
    mirror: str | None = None
    data_root: Path | None = None
    threads: int = 0

    def open_store(self) -> Store:
        """Open the store."""
        return Store(self.store, self.mirror)

    def prepare(self) -> None:
        """Set what is one for a whole process: the threads, and where images lie."""
        if self.data_root is not None:
            os.environ["EDGERIFT_DATA"] = str(self.data_root)
        if self.threads:
            import torch

            torch.set_num_threads(self.threads)


class Outcome(Settings):
    """What became of a step: the seconds it took, and a line about the error when it failed."""

    seconds: float
    error: str | None = None


def run_step(recipe: Recipe, place: Place) -> Outcome:
    """Run one step to its end, with its record and its log; an error of the step is told, not raised."""
    place.prepare()
    store = place.open_store()
    records = Records(store)
    watch = Watch(recipe, records)
    with _logged(records.log(key_of(recipe))) as log:
        try:
            store.get(recipe, watch)
        except Exception as error:  # Whatever it is: the other steps of the study go on.
            first = str(error).strip().splitlines() or [""]
            told = first[0] if isinstance(error, EdgeriftError) else f"{type(error).__name__}: {first[0]}"
            log.write(traceback.format_exc())
            watch.fail(told)
            return Outcome(seconds=watch.seconds, error=told)
    watch.finish()
    return Outcome(seconds=watch.seconds)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[TextIO]:
    with path.open("w", encoding="utf-8") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield log
