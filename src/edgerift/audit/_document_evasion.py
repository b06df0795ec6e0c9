"""The audit's result on evasion: what each attack reached, why, and the images that it found."""

from __future__ import annotations

import operator
from typing import Literal

from pydantic import Field

from edgerift.audit._document_finding import FindingPart
from edgerift.audit._document_fleet import FleetPart
from edgerift.audit._document_pair import FlagPart
from edgerift.evade import Attack
from edgerift.measure import Interval
from edgerift.settings import Settings, is_none


class ClassPart(Settings):
    """One class: how many of its images were attacked, and how many evaded."""

    name: str
    attacked: int
    evasive: int


class AttackPart(Settings):
    """What one attack reached on the attacked images; every rate is judged on the build.

    `evasive`: original right and build wrong at any iterate, replayed from the PNG file; a build with a guard also
    has to answer. `evasive_answered`: of the images that such a build answers before the attack; None without a
    guard. `precision`: that of the gradients that steered; float32 where it is left out. `members`: the images that
    each member of an ensemble found first; None for another attack.
    `evasive_last`: the same at the last iterate; None when the search stopped at success. `evasive_top5`: moreover
    the build's answer is none of the original's five best; None with fewer than six classes. `fooled`: the build is
    wrong, whatever the original says. `original_fooled`: the original is wrong at the reported image.
    `confidence_delta`: mean |p_original[y] - p_build[y]| over all attacked images, in [0, 1];
    `clean_confidence_delta` before the attack. `void`: found, but not replayed. Means of steps, gradient calls and
    queries are per success; distances are means over the evasive images, in grey levels (L-infinity, L2) and in
    [-1, 1] (SSIM); None without successes.
    """

    attack: Attack
    evasive: Interval
    evasive_last: Interval | None
    evasive_top5: Interval | None
    fooled: Interval
    original_fooled: Interval
    confidence_delta: float
    clean_confidence_delta: float
    void: int
    steps: float | None
    gradient_calls: float | None
    build_questions: float | None
    original_questions: float | None
    linf: float | None
    l2: float | None
    ssim: float | None
    by_class: tuple[ClassPart, ...]
    cumulative: tuple[int, ...]
    """Evasive images after 0, 1, 2, ... gradient calls."""
    evasive_answered: Interval | None = Field(default=None, exclude_if=is_none)
    members: dict[str, int] | None = Field(default=None, exclude_if=is_none)
    precision: Literal["float32", "bfloat16"] = Field(default="float32", exclude_if=lambda value: value == "float32")


class ComparisonPart(Settings):
    """Two attacks on the same images: how many only one of them evaded, and McNemar's exact two-sided p."""

    first: str
    second: str
    only_first: int
    only_second: int
    p: float


def _is_fine_tuning(change: object) -> bool:
    return change == "fine-tuning"


class ControlPart(Settings):
    """The default attack against the original and a float control, in place of the build.

    What it reaches comes from the `change` of the float model alone: further training (`fine-tuning`), or the pruning
    or distillation before quantization (`compression`). `p` is that of Fisher's exact two-sided test of whether the
    rates on the build and on the control differ at all.
    """

    evasive: Interval
    attacked: int
    clean_disagreement: Interval
    p: float
    change: Literal["fine-tuning", "compression"] = Field(default="fine-tuning", exclude_if=_is_fine_tuning)


class SurrogatePart(Settings):
    """What steers an attacker who lacks the original, or both models, and what it cost.

    `knows` is what the attacker has: the `build`'s file, or only `answers`. `queries` were paid for; the clone that
    stands for the original agrees with the build on `agreement` of the test images, and with the original itself on
    `agreement_original`.
    """

    knows: Literal["build", "answers"]
    queries: int
    agreement: Interval
    agreement_original: Interval


class KnowledgePart(Settings):
    """The main attack by an attacker who lacks the original, or both models, and steers by surrogates.

    `knows`, `queries` and the agreements are those of a :class:`SurrogatePart`. Every image is judged once, where the
    attacker believes that it evades: `evasive` of the images that the white box attacked. `p` is McNemar's exact test
    of the images that only one of the two evades with.
    """

    knows: Literal["build", "answers"]
    queries: int
    agreement: Interval
    agreement_original: Interval
    evasive: Interval
    only_white_box: int
    only_surrogates: int
    p: float


class FidelityPart(Settings):
    """How far the build is from its twin on the same images; see `deploy.fidelity`."""

    images: int
    equal_logits: float
    max_lsb: float
    label_disagreement: float


class LayerPart(Settings):
    """One layer restored to float in the twin: the share of the evasive images that the twin then gets right again."""

    layer: str
    healed: Interval


class EmbeddingPart(Settings):
    """Penultimate features in two dimensions: one point an image, model and condition.

    `points[i]` is (x, y), `label[i]` the class's number, `model[i]` and `condition[i]` say whose and of which image.
    `taken[i]` is the class that this model takes it for; earlier versions did not keep that.
    """

    method: Literal["pca", "tsne"]
    classes: tuple[int, ...]
    points: tuple[tuple[float, float], ...]
    label: tuple[int, ...]
    model: tuple[Literal["original", "build"], ...]
    condition: tuple[Literal["clean", "attacked"], ...]
    taken: tuple[int, ...] = Field(default=(), exclude_if=operator.not_)
    explained: tuple[float, float] | None
    """The shares of variance that PCA's two axes hold, in [0, 1]."""


class EvasionPart(Settings):
    """What the attacks on single images reached.

    Of the test images `attacked` were attacked, at most those that can be; those that original or build gets wrong
    before any attack cannot be evaded. `main_attack` is the attack that the gate judges, and the one whose findings are
    kept. `flags` are the checks of this part of the evaluation. `forced_abstention`: of the attacked images that a
    build with a guard answers before the attack, those that the default attack made it abstain from while the original
    stays right; None without a guard. `fleet` compares the build with others of the same original, None without others.
    `knowledge` is what attackers reach who do not have both models.
    """

    attacked: int
    dropped_original_wrong: int
    dropped_build_wrong: int
    dropped_both_wrong: int
    main_attack: str
    attacks: dict[str, AttackPart]
    comparisons: tuple[ComparisonPart, ...]
    control: ControlPart | None
    fidelity_clean: FidelityPart | None
    fidelity_attacked: FidelityPart | None
    flags: tuple[FlagPart, ...]
    layers: tuple[LayerPart, ...]
    embeddings: tuple[EmbeddingPart, ...]
    findings: tuple[FindingPart, ...]
    forced_abstention: Interval | None = Field(default=None, exclude_if=is_none)
    fleet: FleetPart | None = Field(default=None, exclude_if=is_none)
    knowledge: tuple[KnowledgePart, ...] = Field(default=(), exclude_if=operator.not_)

    @property
    def every_finding(self) -> tuple[FindingPart, ...]:
        """The findings of the main attack and those on which the builds of a fleet disagree."""
        return self.findings + (() if self.fleet is None else self.fleet.findings)

    @property
    def dropped(self) -> int:
        """How many test images cannot be evaded."""
        return self.dropped_original_wrong + self.dropped_build_wrong + self.dropped_both_wrong

    @property
    def main(self) -> AttackPart:
        """What the main attack reached."""
        return self.attacks[self.main_attack]
