"""`edgerift verify`: whether an int8 build is what it claims to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

import tyro
from pydantic import Field
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgerift import adapt, deploy, images, verify, zoo
from edgerift.cli._adapted_files import ORIGINAL, PROGRAM, RECIPE, STATEMENT, read_recipe, seed_of
from edgerift.cli._build_options import BUILD_FILES, RUNTIME_NAMES, KernelsOption, runtime_of
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import DataOptions, Json, Words, output_folder, word_list
from edgerift.cli._pipeline import fitting
from edgerift.cli._repair import REPAIRS, accuracy_words, repair_target, repaired_folder
from edgerift.cli._specification import INPUT, chosen_specification
from edgerift.cli._terminal import progress_bars, show
from edgerift.deploy import RuntimeName
from edgerift.errors import InputError, ModelError
from edgerift.settings import Seed, Times, is_file, is_folder
from edgerift.steps import Progress
from edgerift.verify import QUANTIZERS, Verdict

#: Exit codes by verdict.
_CODES: Final[dict[Verdict, int]] = {"conforms": 0, "deviates": 1, "unknown": 2}
_TITLES: Final[dict[Verdict, str]] = {
    "conforms": "conforms to its original",
    "deviates": "does not conform to its original",
    "unknown": "may or may not conform: the checks cannot tell",
}
_PLACES: Final = 5
_QUANTIZERS: Final = ", ".join(QUANTIZERS.names())


class VerifyCommand(Command):
    """Check that an int8 build is an honest quantization of its original.

    Compares every stored weight, scale and bias with the float model, and quantizes again where the recipe is known.
    The exit code is 0 if the build conforms, 1 if it does not, and 2 if that cannot be told.
    """

    example: ClassVar[str] = "edgerift verify --original float.onnx --build int8.onnx"

    adapted: Annotated[Path | None, Shown(group="model", metavar="FOLDER")] = None
    """a folder that `edgerift adapt --out` wrote: original, program, builds, card and recipe"""
    original: Annotated[Path | None, Shown(group="model", metavar="FILE", default="that of FOLDER")] = None
    """float model, or weights of --model"""
    build: Annotated[
        Path | None, Shown(group="model", metavar="FILE", default="all of FOLDER", text=f"a {BUILD_FILES} file")
    ] = None
    program: Annotated[Path | None, Shown(group="model", metavar="FILE", default="that of FOLDER")] = None
    """program.safetensors that the build was compiled from"""
    recipe: Annotated[Path | None, Shown(group="model", metavar="FILE", default="that of FOLDER")] = None
    """recipe.json of the quantization, which is then done again; its images are looked for in --data-root"""
    statement: Annotated[Path | None, Shown(group="model", advanced=True, metavar="FILE", default="that of FOLDER")] = (
        None
    )
    """the maker's statement of where the build comes from: in-toto with SLSA provenance, in a DSSE envelope"""
    public_key: Annotated[
        Path | None, Shown(group="model", advanced=True, metavar="FILE", default="signatures are not checked")
    ] = None
    """the maker's Ed25519 key (PEM) that has to have signed the statement"""
    quantizer: Annotated[
        str | None,
        Shown(
            group="model", metavar="NAME", default="what the files say", text=f"tool that made the build: {_QUANTIZERS}"
        ),
    ] = None
    runtime: Annotated[
        RuntimeName | None,
        Shown(group="model", metavar="NAME", default="by the suffix", text=f"runtime of the build: {RUNTIME_NAMES}"),
    ] = None
    kernels: KernelsOption = None
    model: Annotated[str | None, Shown(group="model")] = None
    """architecture of the weights in --original"""
    input: Annotated[str | None, INPUT] = None
    """what --original takes and answers"""
    behaviour: Annotated[bool, Shown(group="behaviour")] = False
    """also compare labels on the clean test images of --data, and search for triggers"""
    trigger: Annotated[Literal["patch", "linf"], Shown(group="behaviour", default="patch")] = "patch"
    """form of a trigger: a small patch, or a change of every pixel by at most --epsilon"""
    epsilon: Annotated[int, Field(ge=1, le=255), Shown(group="behaviour", metavar="LEVELS", advanced=True)] = 8
    """largest change of a pixel by a trigger of the form linf, in whole grey levels"""
    trigger_steps: Annotated[Times, Shown(group="behaviour", advanced=True)] = 40
    """steps of the search for each class"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    seed: Annotated[Seed | None, Shown(group="data", default="that of FOLDER/card.json")] = None
    """seed of the train-test split, for image sets without test images of their own"""
    repair: Annotated[Path | None, Shown(group="repair", metavar="DIR")] = None
    """make another build of --original, calibrated on the training images of --data, in this folder, and verify it"""
    repair_by: Annotated[
        Literal["auto", "requantize", "reround"],
        Shown(group="repair", advanced=True, metavar="NAME", default="auto"),
    ] = "auto"
    """requantize: round to the nearest again; reround: choose the roundings by a loss that flips those with large
    errors; auto takes the second where the original's weights were moved inside of their codes"""
    check: Annotated[Words, tyro.conf.arg(metavar="NAME ..."), Shown(metavar="NAME ...", default="all")] = ()
    """checks to make"""
    trust: Annotated[bool, Shown(group="model")] = False
    """allow models that run code when they are opened: Inductor packages, architectures from your own module:factory"""
    as_json: Json = False

    def run(self) -> int:
        """Verify, and show what each check found."""
        if self.repair is not None and self.repair == self.adapted:
            raise InputError(f"--repair {self.repair} is the folder that is verified; choose another")
        with progress_bars() as progress:
            found = self._verified(progress)
        if self.repair is None or not self.as_json:
            show(found, verification_text(found, all_checks=not self.check), self.as_json)
        if self.repair is None:
            return _CODES[found.verdict]
        with output_folder(self.repair) as folder, progress_bars() as progress:
            again, words = self._repaired(found, folder, progress)
        show(again, Group(Text(words), verification_text(again, all_checks=not self.check)), self.as_json)
        return _CODES[again.verdict]

    def _repaired(
        self, found: verify.Verification, folder: Path, progress: Progress
    ) -> tuple[verify.Verification, str]:
        """Make another build in a folder, and verify that one."""
        program_file, runtimes = self._file(self.program, PROGRAM), [build.runtime for build in found.builds]
        program = None if program_file is None else deploy.Program.load(program_file)
        model = self._original(self._original_file())
        described = self.data.replace(size=model.architecture.size).images(self._seed())
        splits = images.open_splits(fitting(model, described, file=self._original_file()))
        by = verify.chosen_repair(found) if self.repair_by == "auto" else self.repair_by
        made = repaired_folder(
            model,
            splits.train,
            by=by,
            target=repair_target(program, runtimes),
            runtimes=runtimes,
            folder=folder,
            progress=progress,
        )
        again = verify.verify(
            model,
            made.builds,
            program=deploy.Program.load(folder / PROGRAM),
            images=splits.test if self.behaviour else None,
            triggers=self._triggers(),
            checks=word_list(self.check),
            progress=progress,
        )
        return again, f"{REPAIRS[by]}: {folder}; {accuracy_words(model, made.program, splits.test)}; verified again:"

    def _statement(self) -> verify.Statement | None:
        path = self._file(self.statement, STATEMENT)
        if path is None and self.public_key is not None:
            raise InputError("--public-key checks a statement; give that with --statement FILE")
        return None if path is None else verify.read_statement(path, self.public_key)

    def _triggers(self) -> verify.TriggerSettings:
        return verify.TriggerSettings(form=self.trigger, epsilon=self.epsilon, steps=self.trigger_steps)

    def _original_file(self) -> Path:
        path = self._file(self.original, ORIGINAL)
        if path is None:
            raise InputError("nothing to compare with; give --original FILE or --adapted FOLDER")
        return path

    def _verified(self, progress: Progress) -> verify.Verification:
        original = self._original_file()
        program, recipe = self._file(self.program, PROGRAM), self._file(self.recipe, RECIPE)
        builds = self._builds()
        if not builds and program is None:
            raise InputError("nothing to verify; give --build FILE, --program FILE or --adapted FOLDER")
        self.data.use_root()
        model, test = self._original(original), None
        if self.behaviour:
            described = self.data.replace(size=model.architecture.size).images(self._seed())
            test = images.open_splits(fitting(model, described, file=original)).test
        return verify.verify(
            model,
            builds,
            runtime=runtime_of(self.runtime, self.kernels, self.build),
            program=None if program is None else deploy.Program.load(program),
            recipe=None if recipe is None else read_recipe(recipe),
            quantizer=self.quantizer,
            original_file=original,
            card=self._file(None, "card.json"),
            statement=self._statement(),
            images=test,
            triggers=self._triggers(),
            checks=word_list(self.check),
            progress=progress,
        )

    def _file(self, given: Path | None, name: str) -> Path | None:
        """The file of an option, else the one of that name in the folder, if there is one."""
        if given is not None:
            return given
        if self.adapted is None:
            return None
        if not is_folder(self.adapted):
            raise InputError(f"no folder {self.adapted}; give one that `edgerift adapt --out` wrote")
        path = self.adapted / name
        return path if is_file(path) else None

    def _seed(self) -> int:
        if self.seed is not None:
            return self.seed
        card = self._file(None, "card.json")
        return 0 if card is None else seed_of(card)

    def _builds(self) -> list[Path]:
        if self.build is not None:
            return [self.build]
        if self.adapted is None:
            return []
        named = (self.adapted / f"model{suffix}" for suffix in deploy.suffixes().values())
        return [path for path in named if is_file(path)]

    def _original(self, path: Path) -> zoo.Classifier:
        """Open the original at the size that its file says."""
        kind = zoo.file_kind(path) or (str(path) if zoo.library_of(str(path)) else None)
        if kind is None and zoo.is_original(path):
            return zoo.load(path, trust=self.trust)
        model = kind or self.model
        if model is None:
            raise ModelError(f"{path} holds weights without their architecture; name it with --model")
        size = self.data.size
        if kind in zoo.FILE_KINDS:
            size = zoo.file_size(path, trust=self.trust) or size
        given = adapt.given_original(
            path, trust=self.trust, model=model, size=size, specification=chosen_specification(self.input, path)
        )
        return adapt.load_original(given)


def verification_text(found: verify.Verification, *, all_checks: bool = True) -> Group:
    """Lay a verification out for rich."""
    by = f", by the rules of {QUANTIZERS[found.quantizer].title}" if found.quantizer else ""
    names = ", ".join(build.file for build in found.builds) or "the program"
    head = f"{names}: {_TITLES[found.verdict]} ({found.weights:,} weights of {found.layers} layers{by})"
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for column in ("name", "verdict"):
        table.add_column(column, no_wrap=True)
    table.add_column("text", overflow="fold")
    for check in found.checks:
        table.add_row(check.name, check.verdict, Text(check.text))
    lines = [Text(line) for check in found.checks for line in _places(check)]
    missing = [f"{name} (needs {check.needs})" for name, check in verify.CHECKS.items() if found.check(name) is None]
    if missing and all_checks:
        lines.append(Text(f"not made: {', '.join(missing)}"))
    return Group(Text(head), table, *lines)


def _places(check: verify.CheckPart) -> Iterator[str]:
    for place in check.places[:_PLACES]:
        index = ", ".join(map(str, place.index))
        yield f"  {check.name}: {place.layer}[{index}] is {place.found:g}, expected {place.expected:g}"
    if len(check.places) > _PLACES:
        yield f"  {check.name}: more in --json"
