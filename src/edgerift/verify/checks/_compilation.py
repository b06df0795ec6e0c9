"""Whether a build is what its runtime's compiler makes of the program."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from edgerift.deploy import Program, StoredLayer, fidelity, find_runtime, leaves_program, open_build, stored_layers
from edgerift.images import ImageShape
from edgerift.verify._compiled import compiled
from edgerift.verify._differences import first_places, layer_differences, words
from edgerift.verify._document import CheckPart, Verdict
from edgerift.verify._evidence import CHECKS, BuildFile, Check, Evidence

_NAME = "compilation"
#: Random images on which a file that is not equal is compared with its program.
_IMAGES = 64


def _run(evidence: Evidence) -> Iterator[CheckPart]:
    if evidence.program is None:
        return
    for build in evidence.builds:
        yield _compared(evidence.program, build)


def _compared(program: Program, build: BuildFile) -> CheckPart:
    """Compile again, and compare byte for byte."""
    runtime = find_runtime(build.runtime)
    if program.target not in runtime.targets:
        return _part(build, "deviates", f"{build.runtime} does not take programs for target {program.target}")
    again = compiled(program, build.runtime, build.content)
    if again.equal:
        return _part(build, "conforms", f"compiled again for {build.runtime}: equal byte for byte")
    return _differing(program, build, again.layers)


def _differing(program: Program, build: BuildFile, expected: tuple[StoredLayer, ...] | None) -> CheckPart:
    """Say what a file that is not equal differs in: another version of the compiler writes other bytes too."""
    if expected is not None:
        differences = layer_differences(stored_layers(build.path, build.runtime), expected)
        if differences:
            text = f"compiled again for {build.runtime}: {words(differences)} differ"
            return _part(build, "deviates", text).replace(places=first_places(differences))
    opened = open_build(build.path, build.runtime)
    found = fidelity(program, opened, _random_images(program.shape))
    if leaves_program(found):
        share = found.label_disagreement
        text = f"the answers of {build.runtime} leave the program's: other labels for {share:.1%} of random images"
        return _part(build, "deviates", text).replace(figures={"disagreement": share})
    version = opened.fingerprint().version
    if build.stated.get("version") == version:
        text = f"the file is not what {build.runtime} {version} compiles from the program"
        return _part(build, "deviates", text)
    text = "its bytes are not those that are compiled here, its answers are; another version may have written it"
    return _part(build, "unknown", text)


def _part(build: BuildFile, verdict: Verdict, text: str) -> CheckPart:
    return CheckPart(name=_NAME, file=build.path.name, verdict=verdict, text=text)


def _random_images(shape: ImageShape) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (_IMAGES, *shape), generator=generator, dtype=torch.uint8)


CHECKS.register(_NAME, Check(_run, needs="a program"), rank=6)
