"""The figures of single networks, those of the first seed that has any: features, and attacked images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from edgerift.facts import ADAPTATIONS, Facts
from edgerift.report.figures._attacked import attacked_words, draw_attacked
from edgerift.report.figures._features import draw_features, features_words
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.shared._study import attack_titles, subject
from edgerift.study import PairCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@study_figure(
    "pca",
    40,
    "Features, principal components",
    "The penultimate features of original and adapted model, clean and attacked, on the two axes of greatest "
    "variance of all of them, as in the DIVA paper's figures 3 to 5 and 8 to 10. A hue is a class and a marker a "
    "model.",
    place="evasion",
)
def pca(found: Facts) -> Iterator[Chart]:
    """Draw the features by their principal components."""
    return _first(found, lambda cell: _features(found, cell, "pca"))


@study_figure(
    "tsne",
    50,
    "Features, t-SNE",
    "The same features in two dimensions by t-SNE, as in the DIVA paper's figure 11: near points are alike, while "
    "distances between groups mean little.",
    place="evasion",
)
def tsne(found: Facts) -> Iterator[Chart]:
    """Draw the features by t-SNE."""
    return _first(found, lambda cell: _features(found, cell, "tsne"))


@study_figure(
    "attacked",
    60,
    "Attacked images",
    "Evasive images, as in the DIVA paper's figure 1: clean, attacked, the difference magnified around mid-grey, "
    "and what original and adapted model answer to the attacked image, with their probabilities. Grey images stay "
    "grey under attack.",
    place="evasion",
    photographs=True,
)
def attacked(found: Facts) -> Iterator[Chart]:
    """Draw attacked images."""
    return _first(found, _examples)


def _first(found: Facts, make: Callable[[PairCell], Chart | None]) -> Iterator[Chart]:
    """Make the chart of the first seed that has any, for each adapted model."""
    seen: set[tuple[str, str, str]] = set()
    for cell in found.result.pairs:
        place = (cell.data, cell.original, cell.adaptation)
        chart = None if place in seen else make(cell)
        if chart is not None:
            seen.add(place)
            about = subject(found.study, cell.data, cell.original, ADAPTATIONS[cell.adaptation])
            yield chart._replace(about=about, names=place)


def _examples(cell: PairCell) -> Chart | None:
    examples, classes, adapted = cell.report.examples, cell.report.classes, ADAPTATIONS[cell.adaptation]

    def draw(_: Facts) -> Figure:
        return draw_attacked(examples, classes, adapted)

    return Chart(draw, lambda _: attacked_words(examples, classes, adapted)) if examples else None


def _features(found: Facts, cell: PairCell, method: Literal["pca", "tsne"]) -> Chart | None:
    part = next((one for one in cell.report.embeddings if one.method == method and one.points), None)
    if part is None:
        return None
    shown = "" if found.study.evasion is None else found.study.evasion.shown
    classes, adapted = cell.report.classes, ADAPTATIONS[cell.adaptation]
    attack = attack_titles(found.study, [shown])[shown]

    def draw(_: Facts) -> Figure:
        return draw_features(part, classes, adapted, attack)

    return Chart(draw, lambda _: features_words(part, classes, adapted, attack))
