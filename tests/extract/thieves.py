"""Thieves in processes of their own that are killed: `python thieves.py COMMAND FOLDER`.

`steal`   asks an oracle in `FOLDER` about 200 images, in questions that overlap, and notes what it was given.
`points`  kills a thief at each of its calls to the system for a file, lets another go on, and checks what was paid.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from counted_victim import CountedVictim, distinct_images

from edgerift.extract import Oracle
from edgerift.extract import _oracle as oracle_module

TOUCHES = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "fcntl.flock"}
#: Calls that Python's audit does not hear of.
WRITES = ("pwrite", "fsync")
IMAGES = distinct_images(200)
QUESTIONS = [slice(0, 50), slice(30, 90), slice(90, 91), slice(0, 200)]
BUDGET = 200


class NotingVictim(CountedVictim):
    """Notes each image that it answers, before it does."""

    def __init__(self, notes: Path) -> None:
        super().__init__()
        self.notes = notes

    def __call__(self, images):
        note(self.notes / "answered", images)
        return super().__call__(images)


def note(path, images):
    # One call each, so that no kill leaves half a line.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, "".join(f"{number}\n" for number in numbers(images)).encode())
    os.close(descriptor)


def numbers(images):
    return (images[:, 0, 0, 0].int() + 256 * images[:, 0, 0, 1].int()).tolist()


def noted(path):
    return list(map(int, path.read_text().split())) if path.exists() else []


def steal(folder, questions=QUESTIONS):
    oracle_module.PART = 16
    victim = NotingVictim(folder)
    with Oracle(victim, budget=BUDGET, ledger=folder / "ledger") as oracle:
        for question in questions:
            answers = oracle.ask(IMAGES[question])
            note(folder / "given", IMAGES[question])
            assert torch.equal(answers, victim.posteriors(IMAGES[question]))


def check(folder, kills):
    """What was given is in the ledger, what is in the ledger was answered, and a kill costs one batch at most."""
    answered, given = noted(folder / "answered"), noted(folder / "given")

    def refuse(images):
        raise AssertionError("asked again")

    with Oracle(refuse, budget=BUDGET, ledger=folder / "ledger") as oracle:
        paid = oracle.spent
        assert len(set(given)) <= paid <= len(set(answered))
        assert len(answered) - paid <= 16 * kills, (len(answered), paid, kills)
        if given:
            oracle.ask(IMAGES[torch.tensor(given)])
    return paid


def killed(folder, point):
    """Steal in a child that is killed before its touch number `point`; tell whether it was."""
    child = os.fork()
    if child == 0:
        left = [point]

        def touch():
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def counted(call):
            def counting(*given):
                touch()
                return call(*given)

            return counting

        for name in WRITES:
            setattr(os, name, counted(getattr(os, name)))
        sys.addaudithook(lambda event, _: touch() if event in TOUCHES else None)
        steal(folder)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, status
    return status != 0


def points(base):
    point = 0
    while True:
        folder = base / str(point)
        folder.mkdir(parents=True)
        if not killed(folder, point):
            break
        check(folder, 1)
        steal(folder)
        assert check(folder, 1) == BUDGET
        point += 1
    sys.stdout.write(f"{point}\n")


if __name__ == "__main__":
    {"steal": steal, "points": points}[sys.argv[1]](Path(sys.argv[2]))
