"""The cost and the benefit of hardening: the victims side by side, each attacked with soft and with hard labels."""

from __future__ import annotations

import operator
from typing import Any, Literal

from pydantic import Field, model_validator

from edgerift.adapt import Allowance, Search
from edgerift.defend import Defence, SweepPoint
from edgerift.deploy import Target
from edgerift.extract import BestEpoch, Knockoff, QuerySettings
from edgerift.images import ImageSize
from edgerift.measure import Interval, MeanInterval, ReliabilityBin
from edgerift.settings import Settings, is_empty, is_none


class Thieves(Settings):
    """One share per attacker: trained on soft labels, and on hard labels."""

    soft: Interval
    hard: Interval


class BestEpochs(Settings):
    """Each attacker's best epoch, chosen on the test images, so optimistic; clones are those of the last epoch."""

    soft: BestEpoch
    hard: BestEpoch


class PaperRow(Settings):
    """The paper's figures for a victim: the defender's and KnockoffNets' error, shares in [0, 1]."""

    defender_error: float
    adversary_error: float


class VariantPart(Settings):
    """One victim and the attacks on it, measured on the victim's test images.

    `strength` is that of its training-time defence and `defences` what changes its answers afterwards.
    `defender_error` is that of the answers as users get them; `l1` their mean distance, in [0, 2], to those of the
    plain quantization-aware build, `l1_queries` the same on the attacker's queries, and `changed` the share of test
    images with another label than that build gives. `divergence` is KL(answers || original) in nats. `top1` and `top2`
    are the mean two highest probabilities.

    `shipped_bytes` is the size of all that inference needs: the build and, `network_bytes` of it, the networks that
    its defences look at images with. None for an original, which is not deployed.
    """

    title: str
    strength: float | None
    defences: tuple[Defence, ...]
    defender_error: Interval
    l1: MeanInterval
    l1_queries: MeanInterval
    changed: Interval
    divergence: MeanInterval
    calibration_error: float
    negative_log_likelihood: float
    top1: float
    top2: float
    reliability: tuple[ReliabilityBin, ...]
    adversary_error: Thieves
    disagreement: Thieves
    best_epoch: BestEpochs
    paper: PaperRow | None
    shipped_bytes: int | None = None
    network_bytes: int = Field(default=0, exclude_if=operator.not_)
    verdict: str


class TimesPart(Settings):
    """The latency of a victim's answers: medians, which vary between runs.

    `answer_milliseconds` is a build's latency per image without defences, `defence_milliseconds` the time that they
    add, None without any, and `slowdown` the total latency relative to the plain build's, measured in turns with it.
    """

    answer_milliseconds: float | None = None
    defence_milliseconds: float | None = None
    slowdown: float | None = None


class NoisePart(Settings):
    """The mean l1 distance between two plain quantization-aware models that differ in their training seed alone."""

    test: MeanInterval
    queries: MeanInterval


class ClosedFormPart(Settings):
    """Where theory predicts DivQAT's jump, for an unconstrained answer to an image of the original's median margin.

    `margin` is log(L_y / L_min), the median over validation images that the original gets right, `low_margin` and
    `high_margin` its 10th and 90th percentiles. A poisoned optimum appears at `appears` and flips the label at `flips`
    = 2 / margin. `first_beyond_noise` is the least alpha tried whose answers moved further than two seeds do, and
    `first_flip` the least that cost more accuracy than was allowed; None if none did. Theory predicts when such an
    optimum exists, not when training from the original reaches it: that takes several times the alpha.
    """

    margin: float
    low_margin: float
    high_margin: float
    appears: float
    flips: float
    first_beyond_noise: float | None
    first_flip: float | None


class DataPart(Settings):
    """The victim's images: their source, and the sizes of the validation and test sets.

    `most_common` is the share of the test images that are of their most common class, None in earlier documents.
    """

    name: str
    source: str
    size: ImageSize
    seed: int
    fingerprint: str
    classes: tuple[str, ...]
    validation: int
    test: int
    most_common: float | None = Field(default=None, exclude_if=is_none)

    @property
    def guessing(self) -> float:
        """The error of who always answers the most common class, as far as that is known, else one of K classes."""
        return 1 - max(1 / len(self.classes), self.most_common or 0.0)


class ThiefPart(Settings):
    """The attacker: the attack with soft labels, the query images and the number of queries spent."""

    attack: Knockoff
    queries: QuerySettings
    name: str
    budget: int
    spent: int


class StudentPoint(Settings):
    """An attack on one victim with one student network, with soft or with hard labels, as in the paper's figure 3."""

    victim: str
    student: str
    labels: Literal["soft", "hard"]
    adversary_error: Interval
    disagreement: Interval


class AlphaPoint(Settings):
    """DivQAT at one alpha, as in the paper's figures 4 to 6: errors and disagreement on the test images.

    `adversary_error` and `disagreement` are those of the attack's own student with soft labels; `thefts` has those with
    hard labels, and the other students' with soft ones.
    """

    alpha: float
    l1: float
    divergence: float
    defender_error: Interval
    adversary_error: Interval
    disagreement: Interval
    thefts: tuple[StudentPoint, ...] = ()


class Hardening(Settings):
    """The whole comparison. `searches` say how each training-time strength was found, on the validation images.

    `alpha` is the one that the search chose for DivQAT. `sweeps` are the defences of answers over their published
    strengths, on the plain quantization-aware build's answers to the validation images. `alphas` holds the points
    requested for figures 4 to 6, but for the alphas whose training `diverged`, and `students` those for figure 3.
    `times` holds the latencies of each build, by its victim's name; everything else is the same for the same recipe.

    A document of version 1, which has the times among the victims, is read as one of this version.
    """

    type: Literal["hardening"] = "hardening"
    version: Literal[2] = 2
    edgerift: str
    model: str
    target: Target
    runtime: str
    data: DataPart
    thief: ThiefPart
    allowance: Allowance
    noise: NoisePart
    alpha: float | None
    searches: dict[str, Search]
    closed_form: ClosedFormPart | None
    victim: dict[str, VariantPart]
    alphas: tuple[AlphaPoint, ...]
    diverged: tuple[float, ...] = Field(default=(), exclude_if=is_empty)
    students: tuple[StudentPoint, ...] = ()
    sweeps: dict[str, tuple[SweepPoint, ...]]
    verdict: str
    times: dict[str, TimesPart] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _gather_times(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("version") != 1 or not isinstance(content.get("victim"), dict):
            return content
        times: dict[str, Any] = {}
        victims: dict[str, Any] = {}
        for name, part in content["victim"].items():
            if not isinstance(part, dict):
                return content
            timed = {field: part[field] for field in TimesPart.model_fields if part.get(field) is not None}
            victims[name] = {field: value for field, value in part.items() if field not in TimesPart.model_fields}
            times |= {name: timed} if timed else {}
        return {**content, "version": 2, "victim": victims, "times": times}
