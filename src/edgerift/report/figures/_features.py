"""Features of original and adapted models in two dimensions (the first paper's figures 3 to 5 and 8 to 11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from edgerift.audit import EmbeddingPart
from edgerift.report.figures._panels import panel_figure, shortened
from edgerift.report.shared._plots import SOFT_INK, Look, label, mark_key, palette
from edgerift.report.shared._words import class_name, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS: Final = {"original": "o", "build": "D"}
_CONDITIONS: Final = ("clean", "attacked")
_COLOURS: Final = 6
_OTHERS: Final = "#b9bbb5"
_FLATTEST: Final = 0.62
_ROOM: Final = 1.08


def draw_features(part: EmbeddingPart, classes: Sequence[str], adapted: str, attack: str) -> Figure:
    """Draw an embedding, clean images beside attacked ones on the same scale.

    A hue is a class, a filled circle the original, a hollow diamond the adapted model.
    """
    look = _hues(part)
    limits = _limits(part)
    keys = [mark_key(hue._replace(marker="s"), _class(classes, number)) for number, hue in look.items()]
    figure, axes = panel_figure(2, 2, 0.55 + 3.95 * _height(limits), [*_model_keys(adapted), *keys])
    for one, condition in zip(axes, _CONDITIONS, strict=True):
        title = "Clean images" if condition == "clean" else f"Attacked images ({shortened(attack)})"
        label(one, title, *_axes(part, first=condition == "clean"))
        for model in _MARKERS:
            for number, hue in look.items():
                _scatter(one, _points(part, look, number, model, condition), hue, model)
        one.set(xlim=limits[:2], ylim=limits[2:], aspect="equal")
        if part.method == "tsne":
            one.tick_params(labelbottom=False, labelleft=False, length=0)
            one.grid(visible=False)
    return figure


def features_words(part: EmbeddingPart, classes: Sequence[str], adapted: str, attack: str) -> str:
    """Give where the images of each class lie on average, for either model, clean and attacked."""
    told = []
    for number in sorted(set(part.label)):
        for model in _MARKERS:
            for condition in _CONDITIONS:
                found = [
                    point
                    for point, *kind in zip(part.points, part.label, part.model, part.condition, strict=True)
                    if kind == [number, model, condition]
                ]
                if found:
                    x, y = (sum(values) / len(found) for values in zip(*found, strict=True))
                    whose = adapted if model == "build" else "the original"
                    told.append(
                        f"{condition} images of class {class_name(classes, number)} to {whose}: "
                        f"{len(found)} points around ({x:.1f}, {y:.1f})"
                    )
    shares = "" if part.explained is None else (
        f" The axes hold {percent(part.explained[0])} and {percent(part.explained[1])} of the variance."
    )  # fmt: skip
    return f"{'; '.join(told)}. Attacked by {attack}.{shares}"


def _hues(part: EmbeddingPart) -> dict[int | None, Look]:
    """Give the classes with the most points a colour each; the others, None, share one."""
    counts = Counter(part.label)
    most = sorted(sorted(counts, key=lambda number: (-counts[number], number))[:_COLOURS])
    hues: dict[int | None, Look] = {}
    if len(counts) > len(most):
        hues[None] = Look(_OTHERS, "s")
    colours = palette([str(number) for number in most])
    return hues | {number: colours[str(number)] for number in most}


def _points(
    part: EmbeddingPart, look: Mapping[int | None, Look], number: int | None, model: str, condition: str
) -> list[tuple[float, float]]:
    return [
        point
        for point, own, whose, which in zip(part.points, part.label, part.model, part.condition, strict=True)
        if (own if own in look else None) == number and (whose, which) == (model, condition)
    ]


def _scatter(axes: Axes, points: Sequence[tuple[float, float]], hue: Look, model: str) -> None:
    if points:
        fill = hue.colour if model == "original" else "none"
        axes.scatter(
            [x for x, _ in points], [y for _, y in points], s=20, marker=_MARKERS[model], facecolors=fill,
            edgecolors=hue.colour, linewidths=0.9, alpha=0.75, zorder=3 if model == "build" else 2,
        )  # fmt: skip


def _limits(part: EmbeddingPart) -> tuple[float, float, float, float]:
    """Find what both panels show, neither flat nor tall: left, right, bottom and top."""
    sides = []
    for values in zip(*part.points, strict=True):
        sides.append(((max(values) + min(values)) / 2, (max(values) - min(values)) / 2))
    (x, wide), (y, tall) = sides
    wide, tall = max(wide, tall, 1e-9), max(tall, _FLATTEST * max(wide, tall), 1e-9)
    return x - _ROOM * wide, x + _ROOM * wide, y - _ROOM * tall, y + _ROOM * tall


def _height(limits: tuple[float, float, float, float]) -> float:
    left, right, low, high = limits
    return (high - low) / (right - left)


def _axes(part: EmbeddingPart, *, first: bool) -> tuple[str, str]:
    if part.explained is None:
        return "t-SNE, first dimension", "second dimension" if first else ""
    x, y = (f"component ({percent(share)} of the variance)" for share in part.explained)
    return f"first {x}", f"second {y}" if first else ""


def _class(classes: Sequence[str], number: int | None) -> str:
    if number is None:
        return "other classes"
    name = class_name(classes, number)
    return f"class {name}" if name.isdigit() else shortened(name, 30)


def _model_keys(adapted: str) -> list[Any]:
    from matplotlib.lines import Line2D

    shared: dict[str, Any] = {"linestyle": "", "color": SOFT_INK, "markersize": 5.5}
    return [
        Line2D([], [], marker=_MARKERS["original"], label="original", **shared),
        Line2D([], [], marker=_MARKERS["build"], markerfacecolor="none", label=f"adapted: {adapted}", **shared),
    ]
