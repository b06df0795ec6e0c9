"""What the checks look at, and the registry of the checks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from torch import nn

from edgerift.adapt import AdaptRecipe
from edgerift.deploy import Program, artefact_digest, open_build
from edgerift.evade import Pair
from edgerift.images import ImageSet
from edgerift.settings import Registry
from edgerift.steps import Progress, silent
from edgerift.verify._document import BuildPart, CheckPart
from edgerift.verify._matching import Matched, Matching
from edgerift.verify._quantizers import QUANTIZERS, Quantizer
from edgerift.verify._scaling import is_equalised
from edgerift.verify._statement import Statement
from edgerift.verify._triggers import TriggerSettings

#: Weights nearer to the original's than this part of their length were not scaled channel by channel.
_MOVED: Final = 0.1


@dataclass(frozen=True)
class BuildFile:
    """A build: its file, the runtime that runs it, and what the card states of its fingerprint, if anything."""

    path: Path
    runtime: str
    stated: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def content(self) -> bytes:
        """The bytes of the file, read once."""
        return self.path.read_bytes()

    @functools.cached_property
    def sha256(self) -> str:
        """The digest of the file, as fingerprints have it."""
        return artefact_digest(self.runtime, self.path)

    def part(self) -> BuildPart:
        """Describe the build."""
        return BuildPart(file=self.path.name, runtime=self.runtime, sha256=self.sha256)


@dataclass(frozen=True)
class Evidence:
    """Builds, their original, and whatever else is known of how one was made of the other.

    There are several builds only of one `program`, which is None where none is at hand. `quantizer` names the one that
    the build claims, "" for none. `training` is the learning rate times the steps of a trained one, None where that is
    not known. `images` are clean ones for what the build does, None for none, and `triggers` how to search with them.
    `given` is the pair if it is open already, and `statement` what its maker stated of it.
    """

    original: nn.Module
    matching: Matching
    quantizer: str
    builds: tuple[BuildFile, ...] = ()
    program: Program | None = None
    recipe: AdaptRecipe | None = None
    original_file: Path | None = None
    training: float | None = None
    images: ImageSet | None = None
    triggers: TriggerSettings | None = None
    given: Pair | None = None
    statement: Statement | None = None
    progress: Progress = field(default=silent)

    @functools.cached_property
    def equalised(self) -> tuple[Matched, ...]:
        """The layers of integers whose channels are the original's, each times a factor."""
        return tuple(layer for layer in self.matching.integers if layer.distance > _MOVED and is_equalised(layer))

    @functools.cached_property
    def layers(self) -> tuple[Matched, ...]:
        """The layers that can be compared number by number: all but those whose channels were scaled."""
        left_out = {id(layer) for layer in self.equalised}
        return tuple(layer for layer in self.matching.layers if id(layer) not in left_out)

    @property
    def integers(self) -> tuple[Matched, ...]:
        """Those of them that are stored in integers."""
        return tuple(layer for layer in self.layers if layer.stored.scale is not None)

    @functools.cached_property
    def pair(self) -> Pair | None:
        """The original and the first build, opened; None without a build."""
        if self.given is not None or not self.builds:
            return self.given
        build = self.builds[0]
        return Pair(self.original, self.program, open_build(build.path, build.runtime))

    @property
    def rules(self) -> Quantizer | None:
        """What the quantizer that the build claims does; None where none is claimed."""
        return QUANTIZERS[self.quantizer] if self.quantizer else None


@dataclass(frozen=True)
class Check:
    """One check: `run` gives its results, none where it lacks what it `needs`, which is named in words.

    One that `decides` settles by itself that a build conforms, where it does.
    """

    run: Callable[[Evidence], Iterable[CheckPart]]
    decides: bool = False
    needs: str = "weights"


CHECKS: Final[Registry[Check]] = Registry("check", "edgerift.verify.checks")
"""The checks of a verification, each registered by its module."""
