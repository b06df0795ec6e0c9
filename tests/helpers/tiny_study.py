"""A study that takes seconds: one network on the embedded digits, one int8 build, one attack in two shards.

As a program, `python tiny_study.py SEED COUNT FOLDER` builds its first two steps, training and adaptation, in this
process, then kills COUNT runs of them at random moments and has each followed by a new one; all must end in what the
first left.
"""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from tiny_steps import results

from edgerift.run import Here, Place, Records, run_steps
from edgerift.steps import Store
from edgerift.study import make_cells, read_study

FILE = """
study: tiny
title: A study of seconds
seeds: [0]
size: 12
data: {digits: {}}
originals: {LeNet: {model: lenet}}
train: {epochs: 3, batch_size: 64}
adapt: {epochs: 1, batch_size: 64}
calibration_images: 64
evasion:
  adaptations: [ptq]
  target: server
  attacks: {default: {preset: default, steps: 4}}
  count: 200
  shard: 128
  shown: default
  pictured: []
profiles:
  tiny: {}
"""

#: What it makes: train, adapt, build, select, two shards, evade, pair.
STEPS = 8


def tiny_study(folder, *, shards=True):
    """Write the file."""
    path = folder / "tiny.yaml"
    path.write_text(FILE if shards else FILE.replace("  shard: 128\n", ""))
    return path


def tiny_goals(folder, *, shards=True):
    """The recipes of its cells."""
    return [cell.recipe for cell in make_cells(read_study(tiny_study(folder, shards=shards), "tiny"))]


def run_here(goals, root):
    """Run it in this process with one thread."""
    return run_steps(goals, Store(root), Here(Place(store=root, threads=1)))


def kill_workers(root, steps):
    """Kill the worker of one step of each type, once it runs, from a thread; returns the list of those killed."""
    killed = []

    def hunt():
        until = time.monotonic() + 600
        for step in steps:
            while time.monotonic() < until and len(killed) < steps.index(step) + 1:
                time.sleep(0.01)
                for record in Records(Store(root)).all():
                    if record.step == step and record.state == "running" and record.process != os.getpid():
                        os.kill(record.process, signal.SIGKILL)
                        killed.append(step)
                        break

    threading.Thread(target=hunt, daemon=True).start()
    return killed


def leftovers(root):
    """What a finished run leaves in the work folder besides locks, and halves of files in results."""
    work = [path for path in (root / ".work").iterdir() if path.suffix != ".lock"]
    # A killed worker may leave half a record, which is no part of any result and in nobody's way.
    return work + [path for path in root.rglob("*.edgerift-part") if path.parent.name != ".runs"]


def _in_child(goals, root, until=None):
    """Run in a child, which is killed after some seconds; tell whether it was."""
    child = os.fork()
    if child == 0:
        summary = run_here(goals, root)
        os._exit(0 if not summary.failed else 1)
    if until is not None:
        time.sleep(until)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def main(seed, count, folder):
    """Kill and run again until `count` were killed before their end, compare, and print how many were."""
    goals = [goal.pair.program for goal in tiny_goals(folder)]
    assert run_here(goals, folder / "whole").built == 2
    expected = results(folder / "whole")
    began = time.monotonic()
    assert not _in_child(goals, folder / "warm")
    seconds = time.monotonic() - began
    assert results(folder / "warm") == expected
    draw, killed = random.Random(seed), 0
    for number in range(10 * count):
        root = folder / str(number)
        if _in_child(goals, root, until=draw.uniform(0, seconds)):
            killed += 1
        else:
            # It was at its end already: the machine has less else to do than it had before.
            seconds *= 0.8
        assert not _in_child(goals, root)
        assert results(root) == expected, number
        assert leftovers(root) == [], number
        if killed == count:
            break
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
