"""What tracking tells of a finished cell: its settings, figures, curves and files, whoever is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, final

from edgerift.adapt import Divqat, HardenedRecipe
from edgerift.harden import DataFreeHardenRecipe, Hardening, HardenRecipe
from edgerift.measure import Interval, MeanInterval
from edgerift.run import Records, key_of
from edgerift.settings import Settings
from edgerift.steps import RECIPE_FILE, SEAL, Recipe, silent
from edgerift.study import Cell, EpochPart, PairRecipe, PairReport, Study
from edgerift.track._tracked_datafree import data_free_points, data_free_steps
from edgerift.train import read_history

if TYPE_CHECKING:
    from edgerift.steps import Store

#: The longest text that every tracking server takes as the value of a parameter.
_LONGEST_VALUE: Final = 500
_LONGEST_NAME: Final = 60

#: Parts of a report that repeat settings.
_NO_FIGURES: Final = frozenset({"attack", "allowance"})
_THIEVES: Final[tuple[Literal["soft", "hard"], ...]] = ("soft", "hard")


class Point(NamedTuple):
    """One figure: a single one at step 0, or one of a curve."""

    name: str
    value: float
    step: int = 0


class File(NamedTuple):
    """A file of the store, and the folder that it is told of in; "" for none."""

    path: Path
    folder: str


@dataclass(frozen=True)
class CellLog:
    """All that is told of a cell; times are in milliseconds since 1970.

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
    """Read what is told of a finished cell; of the steps below it only what is on this machine, nothing is fetched."""
    recipe = cell.recipe
    if isinstance(recipe, PairRecipe):
        pair = recipe.open(store, silent)
        steps = _pair_steps(recipe)
        points = [*_pair_figures(pair), *_pair_curves(steps, pair, store)]
    elif isinstance(recipe, DataFreeHardenRecipe):
        steps = dict(data_free_steps(recipe, store))
        points = [Point(*point) for point in data_free_points(recipe.open(store, silent))]
    else:
        steps = dict(_theft_steps(recipe, store))
        curves = (point for label, step in steps.items() for point in _history(label, step, store))
        points = [*_theft_figures(recipe.open(store, silent)), *curves]
    began, ended = _times(recipe, store)
    return CellLog(
        name=cell.name,
        began=began,
        ended=ended,
        tags=_tags(cell, study, profile),
        settings=_coordinates(cell) | flat_settings(recipe),
        points=tuple(points),
        files=(*_own_files(recipe, store), *_pictures(steps, store)),
    )


def cell_tags(cell: Cell) -> dict[str, str]:
    """Name what tells a cell's log from all others."""
    return {"edgerift.recipe": cell.recipe.digest(), "edgerift.cell": cell.name}


def flat_settings(recipe: Recipe) -> dict[str, str]:
    """Write a recipe's settings, those of the steps below it too, as texts with dotted names.

    A step below stands under its type, once, however often others start from it; its images are left out where they
    are the recipe's own. What is not set is left out, and a text that is too long is cut.
    """
    return _Flat(recipe).values


def distinct_keys(names: Iterable[str]) -> dict[str, str]:
    """Find for each name one that may be part of a metric's: letters, digits, spaces, `-` and `_`, no two equal.

    >>> distinct_keys(["divqat+rs", "divqat.rs", "qat"])
    {'divqat+rs': 'divqat_rs', 'divqat.rs': 'divqat_rs_', 'qat': 'qat'}
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        key = re.sub(r"[^0-9A-Za-z_ -]", "_", name)[:_LONGEST_NAME] or "_"
        while key in found.values():
            key += "_"
        found[name] = key
    return found


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
    """When the cell's own step began and ended: as its record tells, else when its recipe was written."""
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


def _figures(value: object, name: str) -> Iterator[Point]:
    """The numbers in a part of a report, named by where they stand; an interval's are value, low and high."""
    if isinstance(value, bool | int | float):
        yield Point(name, float(value))
    elif isinstance(value, Interval | MeanInterval):
        yield from (Point(name, value.value), Point(f"{name}.low", value.low), Point(f"{name}.high", value.high))
    elif isinstance(value, Settings):
        for field in type(value).model_fields:
            if field not in _NO_FIGURES:
                yield from _figures(getattr(value, field), f"{name}.{field}")


def _curve(rows: Iterable[Settings], name: str) -> Iterator[Point]:
    for step, row in enumerate(rows, 1):
        yield from (point._replace(step=step) for point in _figures(row, name))


def _history(label: str, step: Recipe, store: Store) -> Iterator[Point]:
    """The epochs of a training, from 1, where its history is on this machine."""
    path = _folder(step, store) / "history.json"
    epochs = read_history(path.read_bytes()).epochs if path.is_file() else ()
    for number, epoch in enumerate(epochs, 1):
        for name, value in asdict(epoch).items():
            if value is not None:
                yield Point(f"{label}.{name}", value, number)


def _pair_steps(recipe: PairRecipe) -> dict[str, Recipe]:
    adapted = recipe.pair.program if recipe.pair.control is None else recipe.pair.control
    return {"original": recipe.pair.original, "adapted": adapted}


def _pair_figures(report: PairReport) -> Iterator[Point]:
    for name in ("original_accuracy", "build_accuracy", "instability", "attacked"):
        yield from _figures(getattr(report, name), name)
    keys = distinct_keys(report.attacks)
    for attack, part in report.attacks.items():
        for field in type(part).model_fields:
            if field not in _NO_FIGURES:
                yield from _figures(getattr(part, field), f"{field}.{keys[attack]}")
        calls = enumerate(part.cumulative)
        yield from (Point(f"cumulative.{keys[attack]}", float(evasive), call) for call, evasive in calls)
    for compared in report.comparisons:
        yield from _figures(compared, f"comparisons.{keys[compared.first]}.{keys[compared.second]}")


def _pair_curves(steps: dict[str, Recipe], report: PairReport, store: Store) -> Iterator[Point]:
    told = {"original": report.original_epochs, "adapted": report.adapted_epochs}
    for label, step in steps.items():
        yield from list(_history(label, step, store)) or _told_epochs(label, told[label])


def _told_epochs(label: str, epochs: Iterable[EpochPart]) -> Iterator[Point]:
    for point in _curve(epochs, label):
        yield point._replace(name=f"{label}.train_loss") if point.name == f"{label}.loss" else point


def _theft_figures(report: Hardening) -> Iterator[Point]:
    yield from _figures(report.alpha, "alpha")
    yield from _figures(report.thief.spent, "spent")
    yield from _figures(report.noise, "seed_noise")
    yield from _figures(report.closed_form, "closed_form")
    for name, key in distinct_keys(report.victim).items():
        yield from _figures(report.victim[name], key)
        if name in report.times:
            yield from _figures(report.times[name], key)
        for defence in report.victim[name].defences:
            yield from _figures(defence, f"{key}.{defence.type}")
    for name, key in distinct_keys(report.searches).items():
        yield from _figures(report.searches[name], f"searches.{key}")
        yield from _curve(report.searches[name].trials, f"searches.{key}")
    yield from _curve(report.alphas, "alphas")
    for name, points in report.sweeps.items():
        yield from _curve(points, f"sweeps.{name}")
    students = distinct_keys(point.student for point in report.students)
    for point in report.students:
        yield from _figures(point, f"students.{point.victim}.{students[point.student]}.{point.labels}")


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
