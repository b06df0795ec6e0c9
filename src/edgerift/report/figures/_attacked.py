"""Attacked images and what the models answer to them (the first paper's figure 1)."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from edgerift.report.audit._html_images import Pixels, amplification, amplified
from edgerift.report.figures._panels import shortened, text_width
from edgerift.report.shared._plots import INK, written
from edgerift.report.shared._words import class_name, percent, sentence
from edgerift.study import ExamplePart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: All of these are in dots of the picture, so that each pixel of an image is a square of whole dots.
_DOTS: Final = 160
_SIDE: Final = 256
_GAP: Final = 22
_MARGIN: Final = 14
_HEAD: Final = 40
#: Sizes of letters, in points.
_SIZE: Final = 9

#: A text, its colour and its weight.
_Line: TypeAlias = tuple[str, str, str]

_RIGHT: Final = "#00664b"
_WRONG: Final = "#b03a08"


def draw_attacked(examples: Sequence[ExamplePart], classes: Sequence[str], adapted: str) -> Figure:
    """Draw a row for each example: the clean image, the attacked one, their difference magnified, and the answers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(pixels(one.clean_png), pixels(one.attacked_png)) for one in examples]
    factor = magnification(shown)
    side = shown[0][0].shape[0]
    cell = side * max(1, _SIDE // side) if side <= 2 * _SIDE else _SIDE
    right = _MARGIN + 3 * (cell + _GAP)
    answers = [_lines(example, classes, adapted) for example in examples]
    told = max(_dots(text, weight) for lines in answers for text, _, weight in lines)
    wide = right + told + _MARGIN
    tall = _HEAD + len(shown) * (cell + _GAP) - _GAP + _MARGIN
    figure = Figure(figsize=(wide / _DOTS, tall / _DOTS), dpi=_DOTS, facecolor="white")
    FigureCanvasAgg(figure)
    heads = ("clean", "attacked", f"difference × {factor}")
    for row, (lines, (clean, attacked)) in enumerate(zip(answers, shown, strict=True)):
        top = tall - _HEAD - row * (cell + _GAP)
        for column, image in enumerate((clean, attacked, amplified(clean, attacked, factor))):
            left = _MARGIN + column * (cell + _GAP)
            axes = figure.add_axes((left / wide, (top - cell) / tall, cell / wide, cell / tall))
            axes.imshow(image, interpolation="nearest", vmin=0, vmax=255)
            axes.set_axis_off()
            if row == 0:
                figure.text(left / wide, (top + 9) / tall, heads[column], fontsize=_SIZE, fontweight="bold", color=INK)
        _write(figure, lines, right / wide, (top - cell / 2) / tall)
    return figure


def attacked_words(examples: Sequence[ExamplePart], classes: Sequence[str], adapted: str) -> str:
    """Give what each example is and what both models answer."""
    factor = magnification([(pixels(one.clean_png), pixels(one.attacked_png)) for one in examples])
    told = (
        f"an image of {class_name(classes, one.label)}, once attacked, is {_answer(classes, one, 'original')} to the "
        f"original and {_answer(classes, one, 'build')} to {adapted}"
        for one in examples
    )
    return f"{sentence('; '.join(told))} The differences are drawn {factor} times as large around mid-grey."


def pixels(png: str) -> Pixels:
    """Read an image [H,W,3] from a PNG file in base64."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(png)), formats=("PNG",)) as image:
        return np.asarray(image.convert("RGB"))


def magnification(shown: Sequence[tuple[Pixels, Pixels]]) -> int:
    """Choose how many times as large differences are drawn: the same for all, and none leaves the range."""
    return amplification(max(int(np.abs(attacked.astype(int) - clean).max()) for clean, attacked in shown))


def _lines(example: ExamplePart, classes: Sequence[str], adapted: str) -> list[_Line]:
    """Say what the image is and what both models answer, in three lines."""
    return [
        (written(f"is {_name(classes, example.label)}"), INK, "bold"),
        (
            written(f"original: {_answer(classes, example, 'original')}"),
            _tone(example, example.original_label),
            "normal",
        ),
        (written(f"{adapted}: {_answer(classes, example, 'build')}"), _tone(example, example.build_label), "normal"),
    ]


def _write(figure: Figure, lines: Sequence[_Line], left: float, middle: float) -> None:
    """Write lines around the middle of a row."""
    step = 34 / (figure.get_figheight() * _DOTS)
    for number, (text, colour, weight) in enumerate(lines):
        place = middle + step * (1 - number)
        figure.text(left, place, text, color=colour, fontsize=_SIZE, fontweight=weight, va="center")


def _dots(text: str, weight: str) -> int:
    """Measure a line in dots of the picture."""
    # Letters are drawn at whole dots, which adds to the measure.
    return round(1.03 * text_width(text, _SIZE, weight) * _DOTS / 72)


def _answer(classes: Sequence[str], example: ExamplePart, model: str) -> str:
    label, probability = (
        (example.original_label, example.original_probability)
        if model == "original"
        else (example.build_label, example.build_probability)
    )
    return f"{_name(classes, label)} ({percent(probability)})"


def _name(classes: Sequence[str], label: int) -> str:
    return shortened(class_name(classes, label), 20)


def _tone(example: ExamplePart, label: int) -> str:
    return _RIGHT if label == example.label else _WRONG
