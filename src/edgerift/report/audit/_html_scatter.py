"""Where the points of an embedding go: one SVG path for each class, model and condition."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from edgerift.audit import EmbeddingPart
from edgerift.report.audit._html_charts import COLOURS

WIDTH = 400
_MARGIN = 10
_LEAST_HEIGHT, _MOST_HEIGHT = 240, 400
_RADIUS = 2.8
_LONGEST_NAME = 12
#: The marks from the back to the front: attacked points are drawn over clean ones.
KINDS = (("original", "clean"), ("build", "clean"), ("original", "attacked"), ("build", "attacked"))

Place = tuple[float, float]


@dataclass(frozen=True)
class Marks:
    """All the points of one class, model and condition; `colour` is None for classes without one of their own."""

    colour: int | None
    model: str
    condition: str
    path: str


@dataclass(frozen=True)
class ClassColour:
    """A class that has a colour of its own; `x` and `y` are where its clean points gather for the original."""

    name: str
    colour: int
    x: float
    y: float
    written: bool


@dataclass(frozen=True)
class Scatter:
    """An embedding drawn `WIDTH` wide and `height` high; `others` counts the classes that share the grey."""

    part: EmbeddingPart
    height: float
    marks: tuple[Marks, ...]
    classes: tuple[ClassColour, ...]
    others: int


def scatter(part: EmbeddingPart, names: Sequence[str]) -> Scatter:
    """Place an embedding's points, both axes to the same scale.

    The ten classes with the most points have colours of their own.
    """
    height, places = _fit(part.points)
    counts = Counter(part.label)
    coloured = sorted(sorted(counts, key=lambda label: (-counts[label], label))[:COLOURS])
    colours = {label: number for number, label in enumerate(coloured)}
    groups: dict[tuple[str, str], dict[int | None, list[Place]]] = {kind: defaultdict(list) for kind in KINDS}
    for place, label, model, condition in zip(places, part.label, part.model, part.condition, strict=True):
        groups[model, condition][colours.get(label)].append(place)
    marks = tuple(
        Marks(colour, model, condition, _path(model, found))
        for (model, condition), by_colour in groups.items()
        for colour, found in sorted(by_colour.items(), key=lambda item: -1 if item[0] is None else item[0])
    )
    classes = tuple(
        _class_colour(names[label], colours[label], groups["original", "clean"].get(colours[label], []))
        for label in coloured
    )
    return Scatter(part, height, marks, classes, len(counts) - len(coloured))


def mark(model: str, x: float, y: float, radius: float = _RADIUS) -> str:
    """Draw one mark: a circle for the original, a diamond for the build."""
    if model == "original":
        return (
            f"M{x - radius:.1f} {y:.1f}a{radius} {radius} 0 1 0 {2 * radius} 0a{radius} {radius} 0 1 0 {-2 * radius} 0z"
        )
    reach = 1.35 * radius
    return f"M{x:.1f} {y - reach:.1f}l{reach:.2f} {reach:.2f}l{-reach:.2f} {reach:.2f}l{-reach:.2f} {-reach:.2f}z"


def _fit(points: Sequence[Place]) -> tuple[float, list[Place]]:
    if not points:
        return _LEAST_HEIGHT, []
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    wide, tall = right - left, high - low
    room = WIDTH - 2 * _MARGIN
    height = min(max(tall / wide * room + 2 * _MARGIN, _LEAST_HEIGHT), _MOST_HEIGHT) if wide else _MOST_HEIGHT
    scale = min(room / wide if wide else float("inf"), (height - 2 * _MARGIN) / tall if tall else float("inf"))
    scale = scale if scale != float("inf") else 1.0
    middle_x, middle_y = (left + right) / 2, (low + high) / 2
    return height, [(WIDTH / 2 + (x - middle_x) * scale, height / 2 - (y - middle_y) * scale) for x, y in points]


def _path(model: str, places: Sequence[Place]) -> str:
    return "".join(mark(model, x, y) for x, y in places)


def _class_colour(name: str, colour: int, places: Sequence[Place]) -> ClassColour:
    if not places:
        return ClassColour(name, colour, 0, 0, written=False)
    x, y = (sum(values) / len(places) for values in zip(*places, strict=True))
    return ClassColour(name, colour, x, y, written=len(name) <= _LONGEST_NAME)
