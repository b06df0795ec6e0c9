"""The result of a search: verified images, and every count that a report needs."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, final

import torch
from safetensors.torch import save
from torch import Tensor

from edgerift.errors import InputError, RecipeError, first_line
from edgerift.evade._attack import Attack
from edgerift.evade._judge import is_beyond_top5, is_evasive
from edgerift.evade._members import members
from edgerift.images import is_grey
from edgerift.measure import Rate, data_frame, l2_distance, linf_distance
from edgerift.settings import parse_json
from edgerift.specification import Guard
from edgerift.steps import read_tensors, write_whole

if TYPE_CHECKING:
    from pandas import DataFrame

#: What a search spends on each image, by the names of the tensors that count it.
COUNTS: Final = ("gradient_calls", "build_questions", "original_questions", "zero_gradients")
_IMAGES: Final = ("clean", "images", "last")


@final
@dataclass(frozen=True)
class Dropped:
    """How many of the examined images are not eligible, by which model misclassifies them before any attack."""

    original_wrong: int = 0
    build_wrong: int = 0
    both_wrong: int = 0

    @property
    def total(self) -> int:
        """The number of images that were not attacked."""
        return self.original_wrong + self.build_wrong + self.both_wrong


@final
@dataclass(frozen=True)
class Evasion:
    """The result of a search: one row for each attacked image, tensors on the CPU.

    - `index`, `labels` int64 `[N]`: the image's place in the image set, and its label.
    - `clean`, `images`, `last` uint8 `[N,C,H,W]`: before the attack; the first evasive image, or the last candidate
      where there was none; the last candidate.
    - `clean_original`, `clean_build`, `original`, `build`, `last_original`, `last_build` float32 `[N,K]`: logits of
      `clean`, of `images` (for evasive ones, decoded from their PNG file) and of `last`.
    - `evasive` bool `[N]`: evasive at any iterate, and reproduced from the PNG file; `void`: evasive, but not from the
      file. `fooled`: the build misclassified some candidate.
    - `first` int64 `[N]`: gradient calls, or tries of a search without gradients, before the first success, -1 where
      not evasive. `gradient_calls`,
      `build_questions`, `original_questions`, `zero_gradients` int64 `[N]`: counts.
    - `guard`: that of the build, by which an image that it does not answer is not evasive; None without one.
    - `precision`: that of the gradients that steered, `float32` or `bfloat16`; what judged is in full.
    - `member` int64 `[N]`: of an ensemble, the number of the member that found it, -1 where not evasive; else None.
    """

    attack: Attack
    data: str
    classes: tuple[str, ...]
    dropped: Dropped
    index: Tensor
    labels: Tensor
    clean: Tensor
    images: Tensor
    last: Tensor
    clean_original: Tensor
    clean_build: Tensor
    original: Tensor
    build: Tensor
    last_original: Tensor
    last_build: Tensor
    evasive: Tensor
    void: Tensor
    fooled: Tensor
    first: Tensor
    gradient_calls: Tensor
    build_questions: Tensor
    original_questions: Tensor
    zero_gradients: Tensor
    guard: Guard | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    member: Tensor | None = None

    def __len__(self) -> int:
        """The number of images that were attacked."""
        return len(self.labels)

    @property
    def rate(self) -> Rate:
        """Evasive images among the attacked ones; raises `InputError` when none was attacked."""
        return self._rate(self.evasive)

    @property
    def rate_last(self) -> Rate | None:
        """Images evasive at the last iterate; None when the search stopped before its budget was spent."""
        if self.attack.stop != "never" or self.attack.ensemble is not None:
            return None
        return self._rate(is_evasive(self.last_original, self.last_build, self.labels, self.attack, self.guard))

    @property
    def answered(self) -> Tensor:
        """Which images the build answers before the attack, bool `[N]`: all of them without a guard."""
        if self.guard is None:
            return torch.ones(len(self), dtype=torch.bool)
        return self.guard.answers(self.clean_build)

    @property
    def rate_answered(self) -> Rate | None:
        """Evasive images among those that the build answers before the attack; None where it answers none."""
        answered = self.answered
        kept = int(answered.sum())
        return Rate(int((self.evasive & answered).sum()), kept) if kept else None

    @property
    def rate_top5(self) -> Rate | None:
        """Evasive images whose answer is not in the original's top 5; None with fewer than six classes."""
        if self.build.shape[1] < 6:
            return None
        return self._rate(self.evasive & is_beyond_top5(self.original, self.build))

    @property
    def fooled_rate(self) -> Rate:
        """Images of which the build misclassified some candidate, whatever the original answered."""
        return self._rate(self.fooled)

    @property
    def original_fooled_rate(self) -> Rate:
        """Images that the original misclassifies at the reported candidate."""
        return self._rate(self.original.argmax(1) != self.labels)

    @property
    def by_member(self) -> dict[str, int] | None:
        """How many images each member of an ensemble found, by name and in their order; None for another attack."""
        if self.member is None:
            return None
        return {name: int((self.member == number).sum()) for number, name in enumerate(members(self.attack))}

    def confidence_delta(self, *, clean: bool = False) -> float:
        """The mean of |p_original[y] - p_build[y]| over all attacked images, successes or not, in [0, 1].

        Raises `InputError` when none was attacked.
        """
        if len(self) == 0:
            raise InputError("a confidence delta over 0 images has no value; at least 1 attacked image is needed")
        first, second = (self.clean_original, self.clean_build) if clean else (self.original, self.build)
        rows = self.labels[:, None]
        kept, lost = (scores.double().softmax(1).gather(1, rows) for scores in (first, second))
        return float((kept - lost).abs().mean())

    def cumulative(self) -> tuple[int, ...]:
        """Count the evasive images after 0, 1, 2, ... gradient calls, up to the attack's whole budget."""
        calls = self.first[self.evasive]
        budget = self.attack.steps * self.attack.restarts
        counts = torch.bincount(calls, minlength=budget + 1).cumsum(0)
        return tuple(int(count) for count in counts)

    def frame(self) -> DataFrame:
        """Return a pandas data frame with one row for each attacked image.

        Columns: `index` and `label`; `class`, the label's name; `evasive`, `void`, `fooled`; `original_label` and
        `build_label`, the answers to the reported candidate; `original_probability` and `build_probability` of the
        label; the distances `linf` and `l2` of the candidate in grey levels; and the counts `first`, `gradient_calls`,
        `build_questions` and `original_questions`.
        """
        rows, counts = self.labels[:, None], ("first", "gradient_calls", "build_questions", "original_questions")
        original, build = (scores.double().softmax(1).gather(1, rows)[:, 0] for scores in (self.original, self.build))
        return data_frame(
            {
                "index": self.index,
                "label": self.labels,
                "class": [self.classes[label] for label in self.labels.tolist()],
                **{name: getattr(self, name) for name in ("evasive", "void", "fooled")},
                "original_label": self.original.argmax(1),
                "build_label": self.build.argmax(1),
                "original_probability": original,
                "build_probability": build,
                "linf": linf_distance(self.images, self.clean),
                "l2": l2_distance(self.images, self.clean),
                **{name: getattr(self, name) for name in counts},
            }
        )

    def select(self, rows: Tensor) -> Evasion:
        """Keep some rows, by numbers or bool `[N]`."""
        return _like(self, {name: getattr(self, name)[rows] for name in _tensor_names(self)})

    def save(self, path: Path) -> None:
        """Write the result as safetensors, whole or not at all."""
        about = {
            "attack": self.attack.model_dump_json(),
            "data": self.data,
            "precision": self.precision,
            "classes": json.dumps(self.classes),
            "dropped": json.dumps([self.dropped.original_wrong, self.dropped.build_wrong, self.dropped.both_wrong]),
        }
        if self.guard is not None:
            about["guard"] = self.guard.model_dump_json()
        tensors = {name: getattr(self, name).contiguous() for name in _tensor_names(self)}
        write_whole(path, save(tensors, metadata=about))

    @staticmethod
    def load(path: Path) -> Evasion:
        """Read a result; raises `InputError` for any other file."""
        about, tensors = read_tensors(path, lambda reason: InputError(f"{path} is no result of a search: {reason}"))
        try:
            # Version 0.1 wrote grey images with three equal channels.
            if all(tensors[name].shape[1] == 3 and is_grey(tensors[name]) for name in _IMAGES):
                tensors = {**tensors, **{name: tensors[name][:, :1].contiguous() for name in _IMAGES}}
            return Evasion(
                attack=Attack.model_validate_json(about["attack"]),
                data=about["data"],
                precision="bfloat16" if about.get("precision") == "bfloat16" else "float32",
                classes=tuple(map(str, parse_json(about["classes"]))),
                dropped=Dropped(*map(int, parse_json(about["dropped"]))),
                guard=Guard.model_validate_json(about["guard"]) if "guard" in about else None,
                **tensors,
            )
        except (RecipeError, KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
            raise InputError(f"{path} is no result of a search: {first_line(error)}") from None

    def _rate(self, hits: Tensor) -> Rate:
        return Rate(int(hits.sum()), len(hits))


def joined(parts: list[Evasion]) -> Evasion:
    """Put the parts of one search together, in their order."""
    return _like(
        parts[0], {name: torch.cat([getattr(part, name) for part in parts]) for name in _tensor_names(parts[0])}
    )


def _like(about: Evasion, tensors: dict[str, Tensor]) -> Evasion:
    described, guard, precision = about.attack, about.guard, about.precision
    return Evasion(described, about.data, about.classes, about.dropped, guard=guard, precision=precision, **tensors)


def _tensor_names(found: Evasion) -> list[str]:
    return [field.name for field in fields(Evasion) if isinstance(getattr(found, field.name), Tensor)]
