"""`edgerift verify --repair`: another build of the same original, verified in its turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgerift import deploy, images, measure, steps, verify, zoo
from edgerift.cli._adapted_files import ORIGINAL, PROGRAM
from edgerift.errors import InputError

#: Repairs in words.
REPAIRS: Final[dict[verify.Repair, str]] = {
    "requantize": "quantized again",
    "reround": "quantized again, with other roundings",
}


class RepairedFolder(NamedTuple):
    """A new program and its builds."""

    program: deploy.Program
    builds: list[Path]


def repaired_folder(
    original: zoo.Classifier,
    train: images.ImageSet,
    *,
    by: verify.Repair,
    target: deploy.Target,
    runtimes: Sequence[str],
    folder: Path,
    progress: steps.Progress,
) -> RepairedFolder:
    """Make another program of an original, and its builds; write both and the original into a folder."""
    program = verify.repaired(original, train, target=target, by=by, progress=progress)
    program.save(folder / PROGRAM)
    program = deploy.Program.load(folder / PROGRAM)  # A file lists its tensors in the order of the program's.
    builds = []
    for runtime in runtimes:
        path = folder / f"model{deploy.find_runtime(runtime).suffix}"
        deploy.build(program, runtime, path)
        builds.append(path)
    zoo.save(original, folder / ORIGINAL)
    return RepairedFolder(program, builds)


def repair_target(program: deploy.Program | None, runtimes: Sequence[str]) -> deploy.Target:
    """The target of a build: that of its program, or the first that its runtime takes."""
    if program is not None:
        return program.target
    if not runtimes:
        raise InputError("nothing to repair; give the build or its folder")
    return deploy.find_runtime(runtimes[0]).targets[0]


def accuracy_words(original: zoo.Classifier, program: deploy.Program, test: images.ImageSet) -> str:
    """Say what a repair costs: the accuracy of the original and of the new program."""
    shares = [
        measure.accuracy(scores, test.labels)
        for scores in (
            deploy.twin_scores(original, test.images),
            deploy.twin_scores(deploy.twin(program), test.images),
        )
    ]
    return f"accuracy on {len(test):,} test images: original {shares[0].value:.1%}, repaired {shares[1].value:.1%}"
