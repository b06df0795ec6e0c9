"""Other forms of results in documents: clones by their labels, counts, points and slopes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from edgerift.audit import EmbeddingPart
from edgerift.extract import CurvePoint, Masking, Measured
from edgerift.harden import TimesPart, VariantPart
from edgerift.measure import Interval, Rate, interval

LABELS: Final[tuple[Literal["soft", "hard"], ...]] = ("soft", "hard")


class Clone(NamedTuple):
    """The main attacker's result on a victim, by the kind of labels."""

    victim: VariantPart
    labels: Literal["soft", "hard"]

    @property
    def error(self) -> Interval:
        """The clone's error."""
        return self.victim.adversary_error.soft if self.labels == "soft" else self.victim.adversary_error.hard

    @property
    def disagreement(self) -> Interval:
        """Disagreement of clone and victim."""
        return self.victim.disagreement.soft if self.labels == "soft" else self.victim.disagreement.hard


class Evaded(NamedTuple):
    """A count out of the attacked images: of a class, or evaded within a number of gradients."""

    evasive: int
    attacked: int

    @property
    def share(self) -> Interval:
        """The share that is evasive."""
        return interval(Rate(self.evasive, self.attacked))


def moved_more(part: EmbeddingPart) -> float | None:
    """How far the attack moves the adapted model's features in the plane of the PCA, over how far the original's."""
    if part.method == "tsne":
        return None
    moved = {}
    for model in ("original", "build"):
        kinds = list(zip(part.points, part.model, part.condition, strict=True))
        clean, attacked = (
            [point for point, *kind in kinds if kind == [model, condition]] for condition in ("clean", "attacked")
        )
        distances = [
            ((one[0] - two[0]) ** 2 + (one[1] - two[1]) ** 2) ** 0.5 for one, two in zip(clean, attacked, strict=True)
        ]
        moved[model] = sum(distances) / len(distances)
    return moved["build"] / moved["original"] if moved["original"] > 0 else None


def landed(part: EmbeddingPart) -> float | None:
    """How much oftener an attacked image's nearest clean one, in a t-SNE of the build, is of the class it is taken for.

    In percent of the attacked images of whose answer the map has clean images, over those whose nearest clean image is
    of their own class; None for a PCA, or where there are none.
    """
    misled = [one for one in _beside(part) if one.is_shown and one.taken != one.label]
    return _nearer((one.near == one.taken) - (one.near == one.label) for one in misled)


def zeros_beside_ones(part: EmbeddingPart) -> float | None:
    """How much oftener an attacked image of class 0 has a clean one of class 1 nearest than one of class 0, in percent.

    In a t-SNE of the build, over all attacked images of class 0 that it gets wrong; None for a PCA, or where there are
    none.
    """
    misled = [one for one in _beside(part) if one.label == 0 and one.taken != 0]
    return _nearer((one.near == 1) - (one.near == 0) for one in misled)


class _Beside(NamedTuple):
    """An attacked image in a map: its class, the class that it is taken for, and that of its nearest clean image.

    `is_shown` tells whether the map has clean images of the class that it is taken for.
    """

    label: int
    taken: int
    near: int
    is_shown: bool


def _beside(part: EmbeddingPart) -> list[_Beside]:
    """Look each attacked image of the build up in a t-SNE; empty for a PCA, or where no answers were kept."""
    if part.method != "tsne" or not part.taken:
        return []
    points = list(zip(part.points, part.label, part.taken, part.model, part.condition, strict=True))
    clean = [(point, label) for point, label, _, *kind in points if kind == ["build", "clean"]]
    shown = {label for _, label in clean}
    return [
        _Beside(label, taken, min(clean, key=lambda one: math.dist(one[0], point))[1], taken in shown)
        for point, label, taken, *kind in points
        if clean and kind == ["build", "attacked"]
    ]


def _nearer(scores: Iterable[int]) -> float | None:
    found = list(scores)
    return 100 * sum(found) / len(found) if found else None


def relative_time(times: TimesPart) -> float | None:
    """How long the defence takes over how long the network takes, in percent."""
    if times.defence_milliseconds is None or not times.answer_milliseconds:
        return None
    return 100 * times.defence_milliseconds / times.answer_milliseconds


def correlation(masking: Masking | None) -> float | None:
    """Correlation of the finite differences with the slopes; None if not measured or undefined."""
    return None if masking is None else masking.correlation


def ratio(masking: Masking | None) -> float | None:
    """Ratio of the finite differences to the slopes."""
    return None if masking is None else masking.ratio


def measured(read: Callable[[Measured], float | None]) -> Callable[[CurvePoint], float | None]:
    """Read the intermediate measurements of a clone; None at a point without any."""
    return lambda point: None if point.measured is None else read(point.measured)
