"""Steps of toy studies: they say when they ran, and sleep, fail, die or grow as they are told.

They are found by name in worker processes. What they do besides their result is in the folder `.said` of the store,
which is no part of a result.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import torch

import edgerift
from edgerift.errors import InputError, StoreError
from edgerift.steps import Recipe, write_whole


def say(store, name, text):
    """Leave a line that tests read; `O_APPEND` keeps lines of several processes whole."""
    folder = store.root / ".said"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("a") as file:
        file.write(f"{text}\n")


def said(root, name):
    """Read the lines."""
    path = root / ".said" / name
    return path.read_text().splitlines() if path.exists() else []


def meet(folder, name):
    """Come to a folder, and wait until two have come: two steps with the same folder run at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    wait_for(lambda: len(list(folder.iterdir())) > 1)


class Tiny(Recipe):
    """Write a name, and those of what it starts from, after a sleep and a meeting with another step."""

    type: Literal["tiny"] = "tiny"
    version: Literal[1] = 1
    name: str
    starts: tuple[Recipe, ...] = ()
    seconds: float = 0.0
    megabytes: int = 0
    meeting: Path | None = None

    def produce(self, folder: Path, store, progress):
        say(store, "began", self.name)
        if self.meeting is not None:
            meet(self.meeting, self.name)
        hog = bytearray(self.megabytes * 2**20)
        time.sleep(self.seconds)
        below = [(store.get(start) / "text").read_text() for start in self.starts]
        write_whole(folder / "text", "".join([*below, self.name, f"{len(hog) // 2**20:.0f}"]))
        say(store, "ended", self.name)


class Other(Tiny):
    """Another type of step."""

    type: Literal["other"] = "other"


class Failing(Recipe):
    """Say something, and fail."""

    type: Literal["failing"] = "failing"
    version: Literal[1] = 1
    name: str = "failing"
    how: Literal["error", "store", "exit", "interrupt"] = "error"
    starts: tuple[Recipe, ...] = ()

    def produce(self, folder: Path, store, progress):
        say(store, "began", self.name)
        sys.stdout.write("said in Python\n")
        os.write(1, b"said in C\n")
        if self.how == "store":
            raise StoreError("the step's own store error")
        if self.how == "exit":
            raise SystemExit(3)
        if self.how == "interrupt":
            raise KeyboardInterrupt
        raise ValueError("this step fails\nwith a second line")


class Deadly(Recipe):
    """Kill its own process so often, then succeed; with `heavy` whenever another step runs beside it."""

    type: Literal["deadly"] = "deadly"
    version: Literal[1] = 1
    name: str = "deadly"
    times: int = 1
    signal: int = signal.SIGKILL
    heavy: bool = False
    starts: tuple[Recipe, ...] = ()

    def produce(self, folder: Path, store, progress):
        deaths = said(store.root, f"deaths-{self.name}")
        if self._is_beside_another(store) if self.heavy else len(deaths) < self.times:
            say(store, f"deaths-{self.name}", os.getpid())
            os.kill(os.getpid(), self.signal)
            time.sleep(60)
        write_whole(folder / "text", self.name)
        say(store, "ended", self.name)

    def _is_beside_another(self, store):
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if set(said(store.root, "began")) - set(said(store.root, "ended")):
                return True
            time.sleep(0.02)
        return False


class Growing(Recipe):
    """Needs as many more steps as the first one's text is long, once that is there."""

    type: Literal["growing"] = "growing"
    version: Literal[1] = 1
    name: str = "growing"
    first: Tiny
    meeting: Path | None = None

    def more(self, store):
        """The steps that it grew."""
        count = len((store.get(self.first) / "text").read_text())
        return tuple(Tiny(name=f"{self.name}-{number}", meeting=self.meeting) for number in range(count))

    def needs(self, store):
        return (self.first, *(self.more(store) if store.has(self.first) else ()))

    def produce(self, folder: Path, store, progress):
        say(store, "began", self.name)
        write_whole(folder / "text", "".join((store.get(step) / "text").read_text() for step in self.more(store)))
        say(store, "ended", self.name)


class Unsure(Recipe):
    """Cannot tell what it needs."""

    type: Literal["unsure"] = "unsure"
    version: Literal[1] = 1
    starts: tuple[Recipe, ...] = ()

    def needs(self, store):
        raise InputError("this step does not know what it needs")

    def produce(self, folder: Path, store, progress):
        self.needs(store)


class Surroundings(Recipe):
    """Write down what the process of a worker looks like."""

    type: Literal["surroundings"] = "surroundings"
    version: Literal[1] = 1
    name: str = "surroundings"

    def produce(self, folder: Path, store, progress):
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "EDGERIFT_DATA")
        found = {
            "variables": {name: os.environ.get(name) for name in names},
            "threads": torch.get_num_threads(),
            "process": os.getpid(),
            "leads its group": os.getpgrp() == os.getpid(),
            "ignores Ctrl-C": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
            "input": os.read(0, 10).decode(),
        }
        write_whole(folder / "found.json", json.dumps(found))


class Parent(Recipe):
    """Start a process, and wait for it."""

    type: Literal["parent"] = "parent"
    version: Literal[1] = 1

    def produce(self, folder: Path, store, progress):
        child = subprocess.Popen(["sleep", "100"])
        say(store, "processes", f"{os.getpid()} {child.pid}")
        child.wait()


def results(root):
    """Every file of every finished result but its seal: bytes, or content where bytes may differ."""
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    return {str(path.relative_to(root)): _content(path) for path in files}


def _content(path):
    data = path.read_bytes()
    if path.suffix == ".json":
        return _timeless(json.loads(data))
    if path.suffix == ".safetensors":
        # The library writes the header's entries in any order.
        end = 8 + int.from_bytes(data[:8], "little")
        return json.loads(data[8:end]), data[end:]
    return data


def _timeless(content):
    if isinstance(content, dict):
        return {name: _timeless(value) for name, value in content.items() if name != "times"}
    return [_timeless(value) for value in content] if isinstance(content, list) else content


def is_alive(process):
    """Whether a process runs; one that is dead and not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def surroundings():
    """The variables of a process that has the same edgerift as this one, and the helpers."""
    places = [str(Path(edgerift.__file__).parents[1]), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}
