"""What tracking logs of a finished cell: its settings, figures, curves and files, for any tracker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, final

from edgerift.adapt import Divqat, HardenedRecipe
from edgerift.errors import StoreError
from edgerift.facts import ORIGINAL_VICTIM, Facts, facts, readings
from edgerift.harden import DataFreeHardenRecipe, HardenRecipe
from edgerift.run import Records, key_of
from edgerift.steps import RECIPE_FILE, SEAL, Recipe, silent
from edgerift.study import Cell, PairRecipe, Study, collect
from edgerift.track._points import Point, distinct_keys, fact_points
from edgerift.track._tracked_datafree import data_free_steps
from edgerift.train import read_history

if TYPE_CHECKING:
    from edgerift.steps import Store

#: The longest text that every tracking server takes as the value of a parameter.
_LONGEST_VALUE: Final = 500

_THIEVES: Final[tuple[Literal["soft", "hard"], ...]] = ("soft", "hard")


class File(NamedTuple):
    """A file of the store, and the folder under which it is logged; "" for none."""

    path: Path
    folder: str


@dataclass(frozen=True)
class CellLog:
    """All that is logged of a cell; times are in milliseconds since 1970.

    `settings` are those of its recipe and of the steps below it, each step once under its type.
    """

    name: str
    began: int
    ended: int
    tags: dict[str, str]
    settings: dict[str, str]
    points: tuple[Point, ...]
    files: tuple[File, ...]


def cell_log(cell: Cell, study: Study, profile: str, store: Store) -> CellLog:
    """Read what is logged of a finished cell; of the steps below it only what is on this machine."""
    recipe = cell.recipe
    result = collect(study, profile, (cell,), store)
    if result.missing:
        raise StoreError(result.missing[0].error or f"{cell.name} is not finished")
    found, steps = facts(result), dict(_steps(recipe, store))
    curves = [point for label, step in steps.items() for point in _history(label, step, store)]
    if isinstance(recipe, PairRecipe):
        known = {point.name.partition(".")[0] for point in curves}
        curves += [point for label in steps if label not in known for point in _told_epochs(label, found)]
    began, ended = _times(recipe, store)
    return CellLog(
        name=cell.name,
        began=began,
        ended=ended,
        tags=_tags(cell, study, profile),
        settings=_coordinates(cell) | flat_settings(recipe),
        points=(*fact_points(found), *curves),
        files=(*_own_files(recipe, store), *_pictures(steps, store)),
    )


def cell_tags(cell: Cell) -> dict[str, str]:
    """Name what identifies a cell's log."""
    return {"edgerift.recipe": cell.recipe.digest(), "edgerift.cell": cell.name}


def flat_settings(recipe: Recipe) -> dict[str, str]:
    """Write a recipe's settings, those of the steps below it too, as texts with dotted names.

    A step below stands under its type, once, however often others start from it; its images are left out where they
    are the recipe's own. What is not set is left out, and a text that is too long is cut.
    """
    return _Flat(recipe).values


@final
class _Flat:
    """The settings of a recipe while they are written out."""

    def __init__(self, recipe: Recipe) -> None:
        content = json.loads(recipe.canonical_json())
        self.values: dict[str, str] = {}
        self._images = content.get("images")
        self._steps: list[dict[str, Any]] = []
        self._add_step(content, "")

    def _add_step(self, content: dict[str, Any], prefix: str) -> None:
        for name, value in content.items():
            repeated = prefix and name == "images" and value == self._images
            if name not in ("type", "version") and not repeated:
                self._add(f"{prefix}{name}", value)

    def _add(self, name: str, value: Any) -> None:
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = {str(place): item for place, item in enumerate(value)}
        if isinstance(value, dict) and {"type", "version"} <= value.keys():
            self._add_below(value)
        elif isinstance(value, dict):
            for given, key in distinct_keys(value).items():
                self._add(f"{name}.{key}", value[given])
        elif value is not None:
            self.values[name] = _short(value if isinstance(value, str) else json.dumps(value))

    def _add_below(self, content: dict[str, Any]) -> None:
        if content in self._steps:
            return
        number = 1 + sum(step["type"] == content["type"] for step in self._steps)
        self._steps.append(content)
        self._add_step(content, f"{content['type']}." if number == 1 else f"{content['type']}-{number}.")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def _coordinates(cell: Cell) -> dict[str, str]:
    kind = "adaptation" if isinstance(cell.recipe, PairRecipe) else "target"
    stolen_from = cell.recipe.victims.target if isinstance(cell.recipe, DataFreeHardenRecipe) else cell.kind
    place = {"data": cell.data, "original": cell.original, kind: stolen_from, "seed": str(cell.seed)}
    return {name: _short(value) for name, value in place.items()}


def _tags(cell: Cell, study: Study, profile: str) -> dict[str, str]:
    tags = cell_tags(cell) | {
        "edgerift.version": version("edgerift"),
        "edgerift.study": study.study,
        "edgerift.profile": profile,
        "edgerift.step": cell.recipe.type,
        "edgerift.fingerprint": cell.images.fingerprint,
    }
    return tags if study.paper is None else tags | {"edgerift.paper": study.paper}


def _times(recipe: Recipe, store: Store) -> tuple[int, int]:
    """When the cell's own step began and ended: as its record says, else when its recipe was written."""
    record = Records(store).read(key_of(recipe))
    if record is not None and record.state == "finished":
        return round(1000 * (record.beat - record.seconds)), round(1000 * record.beat)
    made = round(1000 * (_folder(recipe, store) / RECIPE_FILE).stat().st_mtime)
    return made, made


def _folder(recipe: Recipe, store: Store) -> Path:
    """Name the folder of a step's result, which is as it was written where it is here."""
    return store.find(recipe) or store.root / key_of(recipe)


def _own_files(recipe: Recipe, store: Store) -> Iterator[File]:
    """The recipe, the report, and what else the step left."""
    for path in sorted(_folder(recipe, store).iterdir()):
        if path.is_file() and path.name != SEAL:
            yield File(path, "")


def _pictures(steps: dict[str, Recipe], store: Store) -> Iterator[File]:
    for label, step in steps.items():
        for path in sorted(_folder(step, store).glob("*.png")):
            yield File(path, f"pictures/{label}")


def _history(label: str, step: Recipe, store: Store) -> Iterator[Point]:
    """The epochs of a training, from 1, where its history is on this machine."""
    path = _folder(step, store) / "history.json"
    epochs = read_history(path.read_bytes()).epochs if path.is_file() else ()
    for number, epoch in enumerate(epochs, 1):
        for name, value in asdict(epoch).items():
            if value is not None:
                yield Point(f"{label}.{name}", value, number)


def _told_epochs(label: str, found: Facts) -> Iterator[Point]:
    """The epochs of a training that the report holds, in the form of its history."""
    names = {
        readings.LOSS: "train_loss",
        readings.TRAINING: "train_accuracy",
        readings.VALIDATION: "validation_accuracy",
    }
    for reading, name in names.items():
        for fact in found.of(reading):
            if (fact.victim == ORIGINAL_VICTIM) == (label == ORIGINAL_VICTIM):
                yield Point(f"{label}.{name}", fact.value, round(fact.over))


def _steps(recipe: PairRecipe | HardenRecipe | DataFreeHardenRecipe, store: Store) -> Iterator[tuple[str, Recipe]]:
    """Name the steps below a cell whose histories and pictures are logged."""
    if isinstance(recipe, PairRecipe):
        yield ORIGINAL_VICTIM, recipe.pair.original
        yield "adapted", recipe.pair.adapted
    elif isinstance(recipe, DataFreeHardenRecipe):
        yield from data_free_steps(recipe, store)
    else:
        yield from _theft_steps(recipe, store)


def _theft_steps(recipe: HardenRecipe, store: Store) -> Iterator[tuple[str, Recipe]]:
    """The trainings of a comparison: of the original, of each victim, and of every clone."""
    victims = recipe.victims
    yield "original", recipe.original
    yield "qat", victims.adapted("qat")
    keys, students = distinct_keys(recipe.compared), distinct_keys(recipe.students)
    for name in recipe.compared:
        if not all(_folder(step, store).is_dir() for step in victims.choosing(name)):
            continue
        row, search = victims.made(name, store, silent), victims.tuned(name)
        if search is not None and row.strength is not None:
            chosen = search.at(row.strength)
            if isinstance(chosen, HardenedRecipe):
                yield keys[name], chosen
        for labels in _THIEVES:
            yield f"{keys[name]}.clone.{labels}", recipe.stealing(row, labels)
            for student, key in students.items():
                yield f"students.{name}.{key}.{labels}", recipe.stealing(row, labels, student)
    for alpha in recipe.alphas:
        yield f"alpha-{alpha}", victims.hardened(Divqat(alpha=alpha))
        yield f"alpha-{alpha}.clone.soft", recipe.stealing(recipe.alpha_variant(alpha), "soft")
