"""Other forms of results in documents: clones by their labels, counts, points and slopes."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    if part.method != "tsne" or not part.taken:
        return None
    points = list(zip(part.points, part.label, part.taken, part.model, part.condition, strict=True))
    clean = [(point, label) for point, label, _, *kind in points if kind == ["build", "clean"]]
    known = {label for _, label in clean}
    beside = [
        (min(clean, key=lambda one: math.dist(one[0], point))[1], label, taken)
        for point, label, taken, *kind in points
        if kind == ["build", "attacked"] and taken in known and taken != label
    ]
    if not beside:
        return None
    return 100 * sum((near == taken) - (near == label) for near, label, taken in beside) / len(beside)


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
