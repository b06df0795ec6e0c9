"""Where what a search attacks comes from: the recipes of a pair, of a fleet, and of two builds that may disagree."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field, model_validator

from edgerift import zoo
from edgerift.adapt import AdaptRecipe, CompressRecipe, FinetuneRecipe, GivenOriginal, open_original
from edgerift.defend import GuardRecipe
from edgerift.deploy import BuildRecipe, GivenBuild, GivenProgram, Program, opened_build
from edgerift.errors import InputError
from edgerift.evade._control import float_pair
from edgerift.evade._disagreement import Disagreement
from edgerift.evade._pair import Fleet, Pair, Steering, Victim
from edgerift.settings import Settings, is_none
from edgerift.specification import Guard
from edgerift.steps import Progress, Recipe, silent
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

_Build: TypeAlias = Annotated[BuildRecipe | GivenBuild, Field(discriminator="type")]


class PairSettings(Settings):
    """Where a pair comes from; `control` puts another float model in the build's place.

    That is the original's fine-tuned copy, or what a compression made of it, which may be given as a file.

    Without a `program` the build is a file of another tool: gradients come from its own twin, or else from its answers.
    A `guard` takes the place of the one that ships with the build; the control has it too.

    Two fields change what a search has to reach: with `others` all these builds have to be fooled besides `build`, and
    `right` is a build that has to stay right in the original's place.
    """

    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]
    program: Annotated[AdaptRecipe | GivenProgram, Field(discriminator="type")] | None = Field(
        default=None, exclude_if=is_none
    )
    build: _Build
    control: Annotated[FinetuneRecipe | CompressRecipe | GivenOriginal, Field(discriminator="type")] | None = None
    guard: Annotated[Guard | GuardRecipe, Field(discriminator="type")] | None = Field(default=None, exclude_if=is_none)
    others: tuple[_Build, ...] = Field(default=(), exclude_if=operator.not_)
    right: _Build | None = Field(default=None, exclude_if=is_none)

    @model_validator(mode="after")
    def _check(self) -> PairSettings:
        if sum(map(bool, (self.control, self.others, self.right))) > 1:
            raise ValueError("a control, other builds and a build that stays right exclude each other; give one")
        return self

    @property
    def opened(self) -> tuple[Recipe, ...]:
        """The steps that `open` opens: with a control neither program nor build is one of them."""
        guards = (self.guard,) if isinstance(self.guard, Recipe) else ()
        if self.control is not None:
            return (self.original, self.control, *guards)
        programs = () if self.program is None else (self.program,)
        return (self.original, *programs, self.build, *self._further, *guards)

    @property
    def _further(self) -> tuple[BuildRecipe | GivenBuild, ...]:
        return self.others if self.right is None else (self.right,)

    @property
    def shipped_guard(self) -> Guard | None:
        """The guard that comes with a build's file; None for a build that is compiled here."""
        return self.build.guard if isinstance(self.build, GivenBuild) else None

    def known_guard(self, store: Store) -> Guard | None:
        """Return the guard that the pair will have; None without one, and for one that is not calibrated yet."""
        chosen = self.guard or self.shipped_guard
        if isinstance(chosen, GuardRecipe):
            chosen = chosen.open(store, silent) if store.has(chosen) else None
        return chosen if chosen is not None and chosen.threshold > 0 else None

    @property
    def adapted(self) -> Recipe:
        """The step that made of the original what is attacked: the program, the control, or a build of another tool."""
        return self.control or self.program or self.build

    def open(self, store: Store, progress: Progress) -> tuple[Pair, Steering]:
        """Open the pair and what steers an attack on it, made when missing.

        Gradients come from the twin, or from the build's answers where neither a program nor its file gives one.
        """
        original = open_original(self.original, store, progress)
        guard = self.guard.open(store, progress) if isinstance(self.guard, GuardRecipe) else self.guard
        if self.control is not None:
            tuned = store.get(self.control, progress) / "original.safetensors"
            trust = isinstance(self.original, TrainRecipe) or self.original.trust
            return float_pair(original, zoo.load(tuned, trust=trust), guard or self.shipped_guard)
        build = opened_build(self.build, store, progress)
        if self.program is None:
            pair = Pair(original, None, build, guard)
            try:
                return pair, pair.white_box()
            except InputError:
                return pair, pair.black_box()
        program = Program.load(store.get(self.program, progress) / "program.safetensors")
        pair = Pair(original, program, build, guard)
        return pair, pair.white_box()

    def victim(self, store: Store, progress: Progress) -> tuple[Victim, Steering]:
        """Open what a search attacks and what steers it: the pair, or a fleet, or two builds that may disagree."""
        pair, steering = self.open(store, progress)
        if not self._further:
            return pair, steering
        builds = [opened_build(build, store, progress) for build in self._further]
        further = tuple(Pair(pair.original, pair.program, build, pair.guard) for build in builds)
        victim = Fleet((pair, *further)) if self.right is None else Disagreement(further[0], pair)
        try:
            return victim, victim.white_box()
        except InputError:
            return victim, victim.black_box()
