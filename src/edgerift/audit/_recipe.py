"""The audit as a step that the store keeps: every attack, every check and every reason, stage by stage."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar, final

from pydantic import Field, NonNegativeInt, PositiveInt, StringConstraints, model_validator
from torch import Tensor

from edgerift.adapt import FinetuneRecipe
from edgerift.audit._checks import check_all
from edgerift.audit._document import (
    AttackPart,
    ComparisonPart,
    ControlPart,
    DataPart,
    EmbeddingPart,
    FidelityPart,
    FindingPart,
    FlagPart,
    LayerPart,
    PairPart,
)
from edgerift.audit._evidence import findings
from edgerift.audit._measures import attack_part, comparison, data_part
from edgerift.audit._reasons import embedding_parts, layer_parts
from edgerift.deploy import Program, fidelity
from edgerift.errors import InputError
from edgerift.evade import Attack, EvadeRecipe, Evasion, Pair, PairSettings, SelectRecipe, Steering
from edgerift.images import ImageSet, ImagesSettings, open_splits
from edgerift.measure import Rate, accuracy, fisher, interval, quadrants
from edgerift.recipes import Progress, Recipe, Settings
from edgerift.store import write_whole

if TYPE_CHECKING:
    from edgerift.store import Store

MEASURED: Final = "measured.json"
ORIGINAL: Final = "original.safetensors"
PROGRAM: Final = "program.safetensors"

#: Findings are files that are named after their attack.
AttackName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]

Stage = TypeVar("Stage", bound=Settings)
Result = TypeVar("Result")


class Measured(Settings):
    """Everything of an audit but the gate; `times` are the seconds of each stage."""

    data: DataPart
    pair: PairPart
    main_attack: str
    attacks: dict[str, AttackPart]
    comparisons: tuple[ComparisonPart, ...]
    control: ControlPart | None
    fidelity_clean: FidelityPart
    fidelity_attacked: FidelityPart
    flags: tuple[FlagPart, ...]
    layers: tuple[LayerPart, ...]
    embeddings: tuple[EmbeddingPart, ...]
    findings: tuple[FindingPart, ...]
    times: dict[str, float]


class AuditRecipe(Recipe):
    """Attack a pair and examine the result: `measured.json`.

    `attacks` are the attacks by name, `main` the one that the gate judges. `count` images are attacked, drawn with the
    seed `draw`; all unless given. With a `control` the main attack also runs against the original's
    float-fine-tuned copy. `classes` are those of the embedding; all unless given. A run that was killed goes on after
    its last finished stage, and within a search after its last finished part.
    """

    type: Literal["audit"] = "audit"
    version: Literal[1] = 1
    pair: PairSettings
    images: ImagesSettings
    attacks: dict[AttackName, Attack]
    main: str
    count: PositiveInt | None = None
    draw: NonNegativeInt = 0
    control: FinetuneRecipe | None = None
    classes: tuple[NonNegativeInt, ...] = ()
    batch_size: PositiveInt = Field(default=64, exclude=True)

    @model_validator(mode="after")
    def _check(self) -> AuditRecipe:
        if self.main not in self.attacks:
            raise ValueError(f"the main attack '{self.main}' is not among the attacks {', '.join(self.attacks)}")
        return self

    def searching(self, name: str, *, control: bool = False) -> EvadeRecipe:
        """Describe the search of one attack, on the build or on the control in its place."""
        pair = self.pair.replace(control=self.control) if control else self.pair
        return EvadeRecipe(
            pair=pair,
            images=self.images,
            attack=self.attacks[name],
            count=self.count,
            draw=self.draw,
            name=f"{name} on the control" if control else name,
            batch_size=self.batch_size,
        )

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Run every stage that is not finished, and write the result into `folder`."""
        if not (folder / MEASURED).is_file():
            measured = _Run(self, folder, store, progress).measured()
            write_whole(folder / MEASURED, measured.model_dump_json(indent=2) + "\n")
        for path in folder.glob("stage-*.json"):
            path.unlink()


class _Flags(Settings):
    flags: tuple[FlagPart, ...]


class _Reasons(Settings):
    layers: tuple[LayerPart, ...]
    embeddings: tuple[EmbeddingPart, ...]


class _Fidelity(Settings):
    clean: FidelityPart
    attacked: FidelityPart


class _Control(Settings):
    control: ControlPart | None


class _Timed(Settings):
    seconds: float


@final
class _Run:
    """One run of an audit: opens things when they are needed, and keeps each finished stage on the disk."""

    def __init__(self, recipe: AuditRecipe, folder: Path, store: Store, progress: Progress) -> None:
        self._recipe, self._folder, self._store, self._progress = recipe, folder, store, progress

    def measured(self) -> Measured:
        recipe = self._recipe
        self._require_classes()
        self._timed("pair", lambda: self._opened)
        names = (recipe.main, *sorted(recipe.attacks.keys() - {recipe.main}))
        found = {name: self._timed(f"attack {name}", functools.partial(self._found, name)) for name in names}
        main = found[recipe.main]
        fidelities = self._stage("fidelity", _Fidelity, lambda: self._fidelity(main))
        flags = self._stage("checks", _Flags, lambda: self._flags(found, fidelities))
        reasons = self._stage("reasons", _Reasons, lambda: self._reasons(main))
        control = (
            self._stage("control", _Control, lambda: self._control(main)) if recipe.control else _Control(control=None)
        )
        return Measured(
            data=data_part(recipe.images, self._test, main),
            pair=self._pair_part(),
            main_attack=recipe.main,
            attacks={name: attack_part(result) for name, result in found.items()},
            comparisons=tuple(
                comparison(recipe.main, main, name, other) for name, other in found.items() if name != recipe.main
            ),
            control=control.control,
            fidelity_clean=fidelities.clean,
            fidelity_attacked=fidelities.attacked,
            flags=flags.flags,
            layers=reasons.layers,
            embeddings=reasons.embeddings,
            findings=findings(main, recipe.main),
            times=self._times(),
        )

    @functools.cached_property
    def _opened(self) -> tuple[Pair, Steering]:
        return self._recipe.pair.open(self._store, self._progress)

    @functools.cached_property
    def _test(self) -> ImageSet:
        return open_splits(self._recipe.images).test

    @functools.cached_property
    def _clean(self) -> tuple[Tensor, Tensor]:
        return SelectRecipe(pair=self._recipe.pair, images=self._recipe.images).open(self._store, self._progress)

    def _found(self, name: str, *, control: bool = False) -> Evasion:
        return self._recipe.searching(name, control=control).open(self._store, self._progress)

    def _require_classes(self) -> None:
        wrong = [number for number in self._recipe.classes if number >= len(self._test.classes)]
        if wrong:
            raise InputError(
                f"class {wrong[0]} cannot be embedded; the {len(self._test.classes)} classes of {self._test.name} "
                f"are 0 to {len(self._test.classes) - 1}"
            )

    def _program(self) -> Program:
        program = self._opened[0].program
        assert program is not None
        return program

    def _fidelity(self, main: Evasion) -> _Fidelity:
        pair, _ = self._opened
        parts = {}
        # Of the attacked images both models knew the label, which makes twin and build agree; so all of them are asked.
        for which, images in (("clean", self._test.images), ("attacked", main.images)):
            near = fidelity(self._program(), pair.build, images)
            parts[which] = FidelityPart(
                images=near.images,
                equal_logits=near.equal_logits,
                max_lsb=near.max_lsb,
                label_disagreement=near.label_disagreement,
            )
        return _Fidelity(clean=parts["clean"], attacked=parts["attacked"])

    def _flags(self, found: dict[str, Evasion], near: _Fidelity) -> _Flags:
        pair, steering = self._opened
        both = {"clean": near.clean, "attacked": near.attacked}
        return _Flags(flags=check_all(pair, steering, self._test, self._clean, found, self._recipe.main, both))

    def _reasons(self, main: Evasion) -> _Reasons:
        pair, _ = self._opened
        return _Reasons(
            layers=layer_parts(pair, main, self._progress),
            embeddings=embedding_parts(pair, main, self._recipe.classes),
        )

    def _control(self, main: Evasion) -> _Control:
        result = self._found(self._recipe.main, control=True)
        pair = self._recipe.pair.replace(control=self._recipe.control)
        answers = SelectRecipe(pair=pair, images=self._recipe.images).open(self._store, self._progress)
        return _Control(
            control=ControlPart(
                evasive=interval(result.rate),
                attacked=len(result),
                clean_disagreement=interval(quadrants(*answers, self._test.labels).instability),
                p=fisher(main.rate, result.rate),
            )
        )

    def _pair_part(self) -> PairPart:
        pair, _ = self._opened
        program = self._program()
        original, build = self._clean
        labels = self._test.labels
        parts = quadrants(original, build, labels)
        return PairPart(
            target=program.target,
            runtime=pair.build.runtime,
            provenance=program.provenance,
            fingerprint=pair.build.fingerprint(),
            original_sha256=self._digest(self._recipe.pair.original, ORIGINAL),
            program_sha256=self._digest(self._recipe.pair.program, PROGRAM),
            integer_macs=pair.build.integer_macs(),
            original_accuracy=interval(accuracy(original, labels)),
            build_accuracy=interval(accuracy(build, labels)),
            instability=interval(parts.instability),
            only_original_right=interval(Rate(parts.only_original_right, parts.total)),
            only_build_right=interval(Rate(parts.only_build_right, parts.total)),
        )

    def _digest(self, recipe: Recipe, name: str) -> str:
        return hashlib.sha256((self._store.get(recipe) / name).read_bytes()).hexdigest()

    def _stage(self, name: str, kind: type[Stage], compute: Callable[[], Stage]) -> Stage:
        """Read a finished stage, or compute it, note its time and keep it."""
        path = self._folder / f"stage-{name}.json"
        if path.is_file():
            return kind.model_validate_json(path.read_bytes())
        self._progress(f"audit: {name}", 0, 1)
        result = self._timed(name, compute)
        write_whole(path, result.model_dump_json())
        self._progress(f"audit: {name}", 1, 1)
        return result

    def _timed(self, name: str, compute: Callable[[], Result]) -> Result:
        """Note how long a stage took, the first time that it ran to its end."""
        path = self._folder / f"stage-time-{name}.json"
        began = time.perf_counter()
        result = compute()
        if not path.is_file():
            write_whole(path, _Timed(seconds=time.perf_counter() - began).model_dump_json())
        return result

    def _times(self) -> dict[str, float]:
        times = {}
        for path in sorted(self._folder.glob("stage-time-*.json")):
            name = path.stem.removeprefix("stage-time-")
            times[name] = round(_Timed.model_validate_json(path.read_bytes()).seconds, 3)
        return times
