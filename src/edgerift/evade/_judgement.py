"""The judges for images that another tool made: the original and the build, asked through PNG files."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from edgerift.errors import ImagesWarning, InputError, ModelError
from edgerift.evade._aim import is_fooled
from edgerift.evade._attack import Attack
from edgerift.evade._evasion import Dropped
from edgerift.evade._files import judged_from_png
from edgerift.evade._judge import finite, guard_of, is_evasive
from edgerift.evade._pair import Victim
from edgerift.evade._search import require_target
from edgerift.evade._selection import eligible
from edgerift.evade._whole_levels import require_box, whole_levels
from edgerift.evade.objectives._diva import TargetedDiva
from edgerift.measure import Rate, data_frame, images_of, l2_distance, linf_distance
from edgerift.specification import Guard

if TYPE_CHECKING:
    from pandas import DataFrame

_IMAGES: Final = "the images"


@final
@dataclass(frozen=True)
class Judgement:
    """What the original and the build answer to images of another tool: one row for each, tensors on the CPU.

    - `images` uint8 `[N,C,H,W]`: what was judged, whole grey levels; `labels` int64 `[N]`; `clean`: the images before
      the attack, or None.
    - `original`, `build` float32 `[N,K]`: logits of `images`, for evasive ones decoded from their PNG file.
    - `eligible` bool `[N]`: both models label the clean image correctly; all images where `clean` is None. `dropped`
      counts the others.
    - `evasive` bool `[N]`: eligible, and the original is right and the build wrong about the PNG file; `void`: in a
      batch alone, but not from the file.
    - `moved` float64 `[N]`: how many grey levels the rounding to whole ones moved a pixel at most; 0 for images that
      were on them but for the precision of their type.
    - `target`: the class that the build has to answer, or None.
    - `guard`: that of the build, by which an image that it does not answer is not evasive; None without one.
    """

    goal: str
    epsilon: int | None
    dropped: Dropped
    images: Tensor
    labels: Tensor
    clean: Tensor | None
    original: Tensor
    build: Tensor
    eligible: Tensor
    evasive: Tensor
    void: Tensor
    moved: Tensor
    target: int | None = None
    guard: Guard | None = None

    def __len__(self) -> int:
        """The number of images that were judged."""
        return len(self.labels)

    @property
    def rate(self) -> Rate:
        """Evasive images among the eligible ones; raises `InputError` when none is."""
        return Rate(int(self.evasive.sum()), int(self.eligible.sum()))

    @property
    def fooled_rate(self) -> Rate:
        """Eligible images that the build answers wrongly, whatever the original answers."""
        fooled = self.eligible & is_fooled(self.build, self.labels, self.guard)
        return Rate(int(fooled.sum()), int(self.eligible.sum()))

    @property
    def off_grid(self) -> int:
        """How many images had pixels between whole grey levels, and were rounded."""
        return int((self.moved > 0).sum())

    @property
    def linf(self) -> Tensor | None:
        """The largest change of any pixel, grey levels int64 `[N]`; None without clean images."""
        return None if self.clean is None else linf_distance(self.images, self.clean)

    @property
    def l2(self) -> Tensor | None:
        """The Euclidean distance to the clean images, grey levels float64 `[N]`; None without clean images."""
        return None if self.clean is None else l2_distance(self.images, self.clean)

    def frame(self) -> DataFrame:
        """Return a pandas data frame with one row for each image.

        Columns: `label`, `original_label`, `build_label`, `original_probability` and `build_probability` of the label,
        `eligible`, `evasive`, `void`, `moved`, and with clean images `linf` and `l2`.
        """
        rows = self.labels[:, None]
        distances = {} if self.linf is None or self.l2 is None else {"linf": self.linf, "l2": self.l2}
        return data_frame(
            {
                "label": self.labels,
                "original_label": self.original.argmax(1),
                "build_label": self.build.argmax(1),
                "original_probability": self.original.double().softmax(1).gather(1, rows)[:, 0],
                "build_probability": self.build.double().softmax(1).gather(1, rows)[:, 0],
                "eligible": self.eligible,
                "evasive": self.evasive,
                "void": self.void,
                "moved": self.moved,
                **distances,
            }
        )


def judge(
    victim: Victim,
    images: Tensor | NDArray[Any],
    labels: ArrayLike | Tensor,
    *,
    clean: Tensor | NDArray[Any] | None = None,
    epsilon: int | None = None,
    goal: Literal["wrong", "top5"] = "wrong",
    target: int | None = None,
) -> Judgement:
    """Judge images that any tool made by the original and the build, as a search judges its own.

    `images` and `clean` are tensors or numpy arrays `[N,C,H,W]`: uint8, whole grey levels, or float in `[0,1]`, which
    are rounded to whole grey levels; a warning says by how much where that is more than the precision of their type.
    `labels` are integers `[N]`. Each success is written as a PNG file, read back and judged again, alone. With the
    `clean` images only those count that both models label correctly before the attack, and distances are known;
    `epsilon`, in whole grey levels, is then checked. `goal` is that of :class:`Attack`; with a `target` class only
    what the build answers so evades, and images of that class never do.

    Raises :class:`~edgerift.errors.InputError` for images of another type, shape or range, for labels that are not
    integers within the classes, and for images beyond `epsilon`; :class:`~edgerift.errors.RecipeError` for a goal,
    epsilon or target that does not exist; :class:`~edgerift.errors.ModelError` for scores that are not finite.
    """
    attack = _attack(goal, epsilon, target)
    judged, moved = whole_levels(images_of(images), _IMAGES)
    truth = _labels(labels, len(judged))
    before = None if clean is None else _clean(clean, judged)
    if epsilon is not None and before is None:
        raise InputError("epsilon is the distance from the clean images; pass them with clean=")
    if epsilon is not None and before is not None:
        require_box(judged, before, epsilon, _IMAGES)
    original, build = _asked(victim, judged, truth)
    require_target(attack, original.shape[1])
    allowed, dropped = torch.ones(len(truth), dtype=torch.bool), Dropped()
    if before is not None:
        chosen = eligible(*_asked(victim, before, truth), truth)
        allowed = torch.zeros_like(allowed).index_fill(0, chosen.index, True)
        dropped = chosen.dropped
    guard = guard_of(victim)
    successes = allowed & is_evasive(original, build, truth, attack, guard)
    for row in successes.nonzero()[:, 0].tolist():
        original[row], build[row] = judged_from_png(victim, judged[row], truth[row])
    evasive = successes & is_evasive(original, build, truth, attack, guard)
    marks = (allowed, evasive, successes & ~evasive, moved)
    found = Judgement(goal, epsilon, dropped, judged, truth, before, original, build, *marks, target, guard)
    if found.off_grid:
        warnings.warn(_rounded(found), ImagesWarning, stacklevel=2)
    return found


def _attack(goal: str, epsilon: int | None, target: int | None) -> Attack:
    """Describe what has to be reached as an attack does."""
    objective = None if target is None else TargetedDiva(target=target)
    fields = {"goal": goal, "epsilon": epsilon, "objective": objective}
    return Attack.model_validate({name: value for name, value in fields.items() if value is not None})


def _rounded(found: Judgement) -> str:
    return (
        f"{found.off_grid} of {len(found)} images have pixels between whole grey levels and were rounded, "
        f"by up to {float(found.moved.max()):.2g} levels: no PNG file or camera holds such pixels"
    )


def _asked(victim: Victim, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    original = finite(victim.original_scores(images), "original")
    _require_classes(labels, original.shape[1])
    build = finite(victim.build_scores(images, labels), "build")
    if original.shape != build.shape:
        raise ModelError(
            f"the original scores {original.shape[1]} classes and the build {build.shape[1]}; they are no pair, unless "
            "one of the classes is a background, which background=first or last says"
        )
    return original.clone(), build.clone()


def _labels(given: ArrayLike | Tensor, count: int) -> Tensor:
    labels = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise InputError(
            f"labels are {labels.dtype} {list(labels.shape)}; for {count} images they are integers [{count}]"
        )
    return torch.from_numpy(labels.astype(np.int64))


def _require_classes(labels: Tensor, classes: int) -> None:
    wrong = ((labels < 0) | (labels >= classes)).nonzero()[:, 0]
    if len(wrong):
        first = int(wrong[0])
        raise InputError(
            f"label {int(labels[first])} of image {first}; with {classes} classes labels are 0 to {classes - 1}"
        )


def _clean(given: Tensor | NDArray[Any], judged: Tensor) -> Tensor:
    clean, moved = whole_levels(images_of(given), "the clean images")
    if clean.shape != judged.shape:
        raise InputError(
            f"the clean images are {list(clean.shape)} and the images {list(judged.shape)}; they have to be pairs"
        )
    if bool((moved > 0).any()):
        raise InputError(
            f"the clean images have pixels up to {float(moved.max()):.2g} grey levels between whole ones; give them as "
            "they were before any normalisation"
        )
    return clean
