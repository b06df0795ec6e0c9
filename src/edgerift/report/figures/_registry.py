"""The figures of a study: which there are, what they are called, and what they show in words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from edgerift.errors import InputError, unknown_name
from edgerift.report.figures._alpha import alpha_curve_words, draw_alpha, has_alpha
from edgerift.report.figures._attacked import attacked_words, draw_attacked
from edgerift.report.figures._epsilon import draw_epsilon, epsilon_words, has_epsilon
from edgerift.report.figures._features import draw_features, features_words
from edgerift.report.figures._groups import (
    clones_words,
    draw_clones,
    draw_targets,
    has_clones,
    has_targets,
    targets_words,
)
from edgerift.report.figures._panels import ADAPTATIONS, attack_titles, subject
from edgerift.report.figures._queries import draw_questions, has_questions, questions_words
from edgerift.report.figures._seeds import seed_counts, whisker_words
from edgerift.report.figures._success import cumulative_words, draw_cumulative, draw_success, has_success, success_words
from edgerift.report.figures._tradeoff import draw_tradeoff, has_tradeoff, tradeoff_study_words
from edgerift.report.figures._training import draw_training, has_training, training_words
from edgerift.report.shared._plots import png
from edgerift.study import PairCell, StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_LONGEST_SLUG: Final = 40


class Figure(NamedTuple):
    """What a page writes about a figure, and the part of a study that it belongs to."""

    title: str
    caption: str
    place: Literal["evasion", "theft"]


#: What is said of every kind of figure, by the first word of its name.
FIGURES: Final[Mapping[str, Figure]] = {
    "training": Figure(
        "Training",
        "Right answers over epochs, as in the DIVA paper's figures 6 and 7: the original, and beside it, on a scale of "
        "their own, the models adapted from it, which start where it ended. The float control is the original trained "
        "as long as QAT trains it, without quantization. Thick lines are means over the seeds.",
        "evasion",
    ),
    "success": Figure(
        "Success of the attacks",
        "The share of the attacked images that the original still gets right and the build gets wrong, at any step "
        "of the attack (filled) and at its last (hollow). Grey: the same attacks against the original and its float "
        "control, where nothing is quantized.",
        "evasion",
    ),
    "cumulative": Figure(
        "Success over effort",
        "The share of images evaded after so many gradient calls for each. Thick lines are means over the seeds.",
        "evasion",
    ),
    "pca": Figure(
        "Features, principal components",
        "The penultimate features of original and adapted model, clean and attacked, on the two axes of greatest "
        "variance of all of them, as in the DIVA paper's figures 3 to 5 and 8 to 10. A hue is a class and a marker a "
        "model.",
        "evasion",
    ),
    "tsne": Figure(
        "Features, t-SNE",
        "The same features in two dimensions by t-SNE, as in the DIVA paper's figure 11: near points are alike, while "
        "distances between groups mean little.",
        "evasion",
    ),
    "attacked": Figure(
        "Attacked images",
        "Evasive images, as in the DIVA paper's figure 1: clean, attacked, the difference magnified around mid-grey, "
        "and what original and adapted model answer to the attacked image, with their probabilities. Grey images stay "
        "grey under attack.",
        "evasion",
    ),
    "tradeoff": Figure(
        "Cost and protection",
        "The adversary's error over the mean l1 between a victim's answers and the plain QAT build's, and with soft "
        "labels over the defender's error, where small marks are what the DivQAT paper prints. Higher is better for "
        "the defender; further right costs him more. Names are those of the study's rows.",
        "theft",
    ),
    "clones": Figure(
        "Clones of other networks",
        "The adversary's error and the disagreement of clone and victim for each network that steals, as in the DivQAT "
        "paper's figure 3. Higher is better for the defender.",
        "theft",
    ),
    "alpha": Figure(
        "DivQAT over alpha",
        "Errors, disagreement and divergence at each alpha on the test images, as in the DivQAT paper's figures 4 to "
        "6, and each seed's search for the strongest alpha allowed, on the validation images. Crosses: the victim of "
        "the tables, trained with the alpha chosen. Two points alone are not joined.",
        "theft",
    ),
    "targets": Figure(
        "Targets",
        "The defender's and the adversary's error of builds for each target. A defender wants his own error low and "
        "the adversary's high.",
        "theft",
    ),
    "epsilon": Figure(
        "Thefts without images over epsilon",
        "The clones' error over how far the attack's finite differences go, and beside it what these are worth: the "
        "share of them in which the victim's answer did not change at all, and their correlation with the victim's "
        "true slopes, which no attack sees. Where the correlation is near zero the attack is blind, and what stops it "
        "need not be the training. Hollow: the same without rounding (a build's weights in float) or with more of "
        "it (a float victim's images in whole grey levels). Lines across: attacks that take no differences. Marks of "
        "one epsilon stand side by side.",
        "theft",
    ),
    "questions": Figure(
        "Thefts without images over questions",
        "The clones' error over the questions asked. Full lines are at the epsilon that is best against QAT, which is "
        "named in the title (ε), or at the only one tried; dashed lines at the published one, where that is another. "
        "Thick lines are means over the seeds.",
        "theft",
    ),
    "agreement": Figure(
        "Thefts without images over questions: agreement",
        "How often the clones give the label that the victim gives, over the questions asked: what a thief of "
        "this very victim is after, also where the victim itself is often wrong. Lines as before.",
        "theft",
    ),
}

#: Figures whose marks have whiskers.
_WHISKERS: Final = frozenset({"success", "tradeoff", "clones", "alpha", "targets", "epsilon"})


class _Chart(NamedTuple):
    """A figure of a study: its name, what it is about unless the whole study, how it is drawn and put into words."""

    name: str
    about: str
    draw: Callable[[], Drawing]
    words: Callable[[], str]


def study_charts(result: StudyResult, write: Callable[[str, bytes], object]) -> dict[str, str]:
    """Draw a study's figures, hand each to `write` as NAME.png, and give what each shows in words, by name.

    A name is a kind of :data:`FIGURES`, followed by data set, original and adaptation where there are several of the
    kind. What has nothing to show is left out. The same result gives the same bytes.
    """
    told: dict[str, str] = {}
    for chart in _charts(result):
        write(f"{chart.name}.png", png(chart.draw()))
        told[chart.name] = chart.words()
    return told


def figure_of(name: str, result: StudyResult | None = None) -> Figure:
    """Give title, caption and place of a figure that :func:`study_charts` named.

    With the result the title names data set, original and adaptation as the study does, and the caption says which
    intervals the whiskers are. Raises :class:`~edgerift.errors.InputError` for a name of no kind.

    >>> figure_of("pca-cifar10-resnet-qat").title
    'Features, principal components: cifar10-resnet-qat'
    """
    kind, _, rest = name.partition("-")
    if kind not in FIGURES:
        raise InputError(unknown_name("figure", name, FIGURES))
    known = FIGURES[kind]
    about = rest
    if result is not None:
        about = next((chart.about for chart in _charts(result) if chart.name == name), rest)
    title = f"{known.title}: {about}" if about else known.title
    return known._replace(title=title, caption=f"{known.caption}{_whiskers(known, kind, result)}")


def _whiskers(known: Figure, kind: str, result: StudyResult | None) -> str:
    if kind not in _WHISKERS:
        return ""
    if result is None:
        return " Whiskers are 95 % intervals over the seeds (Student's t), or of the images where there is one seed."
    theft = result.data_free if kind == "epsilon" else result.thefts
    counts = seed_counts(result.pairs if known.place == "evasion" else theft)
    cut = (
        ", cut where no figure can lie; of the images also where all seeds agree" if max(counts, default=1) > 1 else ""
    )
    return f" Whiskers: {whisker_words(counts)}{cut}."


_Shows: TypeAlias = Callable[[StudyResult], bool]
_Draws: TypeAlias = "Callable[[StudyResult], Drawing]"
_Words: TypeAlias = Callable[[StudyResult], str]


def _charts(result: StudyResult) -> Iterator[_Chart]:
    """List the figures that have something to show, in the order of `FIGURES`."""
    whole: dict[str, tuple[_Shows, _Draws, _Words]] = {
        "training": (has_training, draw_training, training_words),
        "success": (has_success, draw_success, success_words),
        "cumulative": (has_success, draw_cumulative, cumulative_words),
        "tradeoff": (has_tradeoff, draw_tradeoff, tradeoff_study_words),
        "clones": (has_clones, draw_clones, clones_words),
        "alpha": (has_alpha, draw_alpha, alpha_curve_words),
        "targets": (has_targets, draw_targets, targets_words),
        "epsilon": (has_epsilon, draw_epsilon, epsilon_words),
        "questions": (has_questions, draw_questions, questions_words),
        "agreement": (
            has_questions,
            partial(draw_questions, what="agreement"),
            partial(questions_words, what="agreement"),
        ),
    }
    for kind in FIGURES:
        if kind not in whole:
            yield from _of_pairs(result, kind)
            continue
        shows, draw, words = whole[kind]
        if shows(result):
            yield _Chart(kind, "", partial(draw, result), partial(words, result))


def _of_pairs(result: StudyResult, kind: str) -> Iterator[_Chart]:
    """List the figures of one kind: those of the first seed that has any, for each adapted model."""
    taken: set[str] = set()
    seen: set[tuple[str, str, str]] = set()
    for cell in result.pairs:
        place = (cell.data, cell.original, cell.adaptation)
        drawing = None if place in seen else _pair_drawing(result, kind, cell)
        if drawing is not None:
            seen.add(place)
            name = _unique("-".join([kind, slug(cell.data), slug(cell.original), cell.adaptation]), taken)
            taken.add(name)
            adapted = ADAPTATIONS[cell.adaptation]
            yield _Chart(name, subject(result, cell.data, cell.original, adapted), *drawing)


def _pair_drawing(
    result: StudyResult, kind: str, cell: PairCell
) -> tuple[Callable[[], Drawing], Callable[[], str]] | None:
    report, adapted = cell.report, ADAPTATIONS[cell.adaptation]
    if kind == "attacked":
        shown = (report.examples, report.classes, adapted)
        return (partial(draw_attacked, *shown), partial(attacked_words, *shown)) if report.examples else None
    part = next((one for one in report.embeddings if one.method == kind and one.points), None)
    if part is None:
        return None
    attack = "" if result.study.evasion is None else result.study.evasion.shown
    about = (part, report.classes, adapted, attack_titles(result, [attack])[attack])
    return partial(draw_features, *about), partial(features_words, *about)


def slug(text: str) -> str:
    """Write a name with the letters, digits and hyphens that any file system and address takes.

    >>> slug("My Data/v2"), slug("Größe"), slug("数字")
    ('my-data-v2', 'grosse', 'unnamed')
    """
    ascii_only = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only)[:_LONGEST_SLUG].strip("-") or "unnamed"


def _unique(name: str, taken: set[str]) -> str:
    """Number a name that another has already."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
