"""Steps that differ in seeds or in work, and what other processes do with them; found by name in those."""

import os
import socket
import time
from pathlib import Path
from typing import Literal

from edgerift.run import Record, Records, Watch, key_of, likeness
from edgerift.settings import Settings
from edgerift.steps import Recipe, Store


class Images(Settings):
    source: str = "digits"
    fingerprint: str = "a"
    seed: int = 0


class Work(Recipe):
    """Work as long as there is a file `wait` in the store."""

    type: Literal["work"] = "work"
    version: Literal[1] = 1
    size: int = 1
    seed: int = 0
    init_seed: int = 0
    draw: int = 0
    images: Images = Images()
    many: tuple[Images, ...] = (Images(),)
    below: Recipe | None = None

    def produce(self, folder: Path, store: Store, progress):
        (folder / "began").write_text("x")
        while (store.root / "wait").exists():
            progress("work", 1, 2)
            time.sleep(0.01)


def record(**fields) -> Record:
    """A record of the plain work, finished here just now, with other fields."""
    made = {
        "key": key_of(Work()),
        "step": "work",
        "likeness": likeness(Work()),
        "state": "finished",
        "seconds": 3.0,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "beat": time.time(),
    }
    return Record.model_validate({**made, **fields})


def produce(root):
    """Work, with a record, as a worker does."""
    store = Store(root)
    watch = Watch(Work(), Records(store))
    store.get(Work(), watch)
    watch.finish()


def write_many(root, number):
    """Write and read one record over and over."""
    records = Records(Store(root))
    for count in range(30):
        records.write(record(seconds=float(number), done=count))
        assert records.read(key_of(Work())) is not None
