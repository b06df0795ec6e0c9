"""What the tests of the store run in processes of their own: `python processes.py COMMAND ROOT`.

`steps`   gets a recipe of several steps and prints its folder.
`stuck`   gets a recipe that stops in the middle when nobody did before, and goes on when somebody did.
`kills`   kills a run at every point where it touches the disk, runs it again, and checks what is left.
`mirrored-kills` does the same with a mirror, and checks the mirror and a second machine as well.
`half`    puts a result on the mirror `ROOT/mirror` and is killed when half of the object is written.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Literal

from edgerift.steps import Recipe, Store, write_whole

TOUCHES = {"open", "os.rename", "os.remove", "os.mkdir", "os.listdir", "os.scandir", "fcntl.flock"}


class Steps(Recipe):
    """Writes one file a step, and leaves out the steps whose file is there."""

    type: Literal["steps"] = "steps"
    version: Literal[1] = 1
    name: str
    count: int = 2
    pause: float = 0.0
    starts: tuple["Steps", ...] = ()

    def produce(self, folder, store, progress):
        total = sum(len((store.get(start) / "all").read_text()) for start in self.starts)
        for step in range(self.count):
            if not (folder / str(step)).exists():
                time.sleep(self.pause)
                write_whole(folder / str(step), f"{self.name} {step} {total}\n")
                with (store.root / "log").open("a") as log:
                    log.write(f"{self.name} {step}\n")
        parts = [(folder / str(step)).read_text() for step in range(self.count)]
        (folder / "all").write_text("".join(parts))


class Stuck(Recipe):
    """Waits for ever the first time, finishes the second time."""

    type: Literal["stuck"] = "stuck"
    version: Literal[1] = 1

    def produce(self, folder, store, progress):
        if not (folder / "begun").exists():
            write_whole(folder / "begun", "")
            sys.stdout.write("begun\n")
            sys.stdout.flush()
            time.sleep(60)
        write_whole(folder / "ended", "")


def watch(task, done, total, note=""):
    sys.stdout.write(f"{task}: {note}\n")
    sys.stdout.flush()


def content(root):
    """The finished folders: file name to bytes."""
    return {
        str(file.relative_to(root)): file.read_bytes()
        for folder in root.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
        for file in folder.iterdir()
    }


def done_steps(root):
    """The steps whose file is in a work folder or in a finished one."""
    files = [*root.glob(".work/steps-*/[0-9]"), *root.glob("steps-*/[0-9]")]
    return sorted(" ".join(file.read_text().split()[:2]) for file in files)


def run_killed(root, recipe, point, mirror=None):
    """Run in a child that is killed before its touch number `point`; tell whether it was."""
    child = os.fork()
    if child == 0:
        left = [point]

        def count(event, _):
            if event in TOUCHES:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        Store(root, mirror).get(recipe)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, status
    return status != 0


def kills(base):
    recipe = Steps(name="last", starts=(Steps(name="first"), Steps(name="second", count=1)))
    base.mkdir()
    (base / "whole").mkdir()
    Store(base / "whole").get(recipe)
    expected = content(base / "whole")
    every_step = done_steps(base / "whole")
    point = 0
    while True:
        root = base / str(point)
        root.mkdir()
        if not run_killed(root, recipe, point):
            break
        left = content(root)
        folders = {name.split("/")[0] for name in left}
        assert left == {name: data for name, data in expected.items() if name.split("/")[0] in folders}, point
        before = done_steps(root)
        (root / "log").write_text("")
        Store(root).get(recipe)
        assert content(root) == expected, point
        assert sorted(before + (root / "log").read_text().splitlines()) == every_step, point
        point += 1
    sys.stdout.write(f"{point}\n")


def objects(folder):
    """The objects of a mirror that others see: name to bytes."""
    return {file.name: file.read_bytes() for file in folder.glob("[!.]*")}


def mirrored_kills(base):
    recipe = Steps(name="last", count=1, starts=(Steps(name="first", count=1),))
    (base / "whole").mkdir(parents=True)
    Store(base / "whole", f"file://{base}/whole/mirror").get(recipe)
    put = objects(base / "whole" / "mirror")
    expected = {name: data for name, data in content(base / "whole").items() if not name.startswith("mirror")}
    assert len(put) == 2
    point = 0
    while True:
        root, mirror, other = (base / str(point) / name for name in ("root", "mirror", "other"))
        root.mkdir(parents=True)
        if not run_killed(root, recipe, point, f"file://{mirror}"):
            break
        left = objects(mirror)
        assert left == {name: put[name] for name in left}, point
        Store(root, f"file://{mirror}").get(recipe)
        assert content(root) == expected, point
        assert objects(mirror) == put, point
        folder = Store(other, f"file://{mirror}").get(recipe)
        assert content(other) == {name: data for name, data in expected.items() if name.startswith(folder.name)}, point
        assert not (other / "log").exists()
        point += 1
    sys.stdout.write(f"{point}\n")


def half(base):
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    class Half(LocalFileSystem):
        def put_file(self, path1, path2, **_):
            data = Path(path1).read_bytes()
            Path(path2).write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    fsspec.register_implementation("file", Half, clobber=True)
    Store(base / "root", f"file://{base}/mirror").get(Steps(name="only"))


if __name__ == "__main__":
    command, place = sys.argv[1], Path(sys.argv[2])
    if command in ("kills", "mirrored-kills", "half"):
        {"kills": kills, "mirrored-kills": mirrored_kills, "half": half}[command](place)
    else:
        wanted = Steps(name="only", pause=0.1) if command == "steps" else Stuck()
        sys.stdout.write(f"{Store(place).get(wanted, watch)}\n")
