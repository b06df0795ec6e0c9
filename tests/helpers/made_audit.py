"""An audit that nobody ran: every part of the document filled, and its findings' PNG files in a folder."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from edgerift.audit import (
    AttackPart,
    Audit,
    ClassPart,
    ComparisonPart,
    ControlPart,
    DataPart,
    DisagreementPart,
    EmbeddingPart,
    EvasionPart,
    FidelityPart,
    FindingPart,
    FlagPart,
    FleetPart,
    GatePart,
    LayerPart,
    Made,
    MemberPart,
    PairPart,
    TheftPart,
)
from edgerift.deploy import Fingerprint, Provenance
from edgerift.evade import Attack, CrossEntropy, Diva
from edgerift.extract import BestEpoch, Knockoff, Theft
from edgerift.measure import Interval, MeanInterval, Rate, interval, mcnemar
from edgerift.train import TrainSettings
from edgerift.verify import BuildPart, CheckPart, Place, Verdict, Verification

DIGITS = tuple("0123456789")
HOSTILE = '<script>alert("x")</script>\x1b[31m & \u202eredro'
ATTACKED = 350


def made_verification(verdict: Verdict = "deviates") -> Verification:
    """Make a verification of a build with a check of each verdict that goes with the whole one's."""
    worst: Verdict = "conforms" if verdict == "unknown" else verdict
    return Verification(
        edgerift="0.1.0",
        verdict=verdict,
        original="b" * 32,
        program="e" * 64,
        builds=(BuildPart(file="model.pte", runtime="executorch", sha256="c" * 64),),
        quantizer="ptq",
        layers=2,
        weights=1000,
        checks=(
            CheckPart(name="origin", verdict="conforms", text="all 2 layers are the original's, up to rounding"),
            CheckPart(
                name="rounding",
                verdict=worst,
                text="7 of 1,000 codes (0.70%) are not the nearest: stem",
                figures={"off": 0.007, "far": 0.0, "codes": 7.0},
                places=(Place(layer="stem", index=(0, 2, 1, 1), found=5, expected=6),),
            ),
            CheckPart(name="biases", verdict="unknown", text="the biases of stem are not the original's"),
        ),
    )


def made_audit(
    folder: Path,
    *,
    findings: int = 3,
    verdict: str = "fail",
    classes: tuple[str, ...] = DIGITS,
    clean: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> Audit:
    """Make an audit of `findings` evasive images; `clean` uint8 [N,H,W,3] and `labels` [N] draw them, else noise."""
    draws = np.random.default_rng(3)
    clean = draws.integers(0, 256, (max(findings, 1), 8, 8, 3), np.uint8) if clean is None else clean
    labels = np.arange(len(clean)) % len(classes) if labels is None else labels
    found = tuple(_finding(folder, number, clean, labels, len(classes), draws) for number in range(findings))
    attacks = _attacks(found, classes)
    only = [attacks["default"].evasive.successes - attacks[name].evasive.successes for name in ("pgd", "diva-2022")]
    return Audit(
        edgerift="0.1.0",
        verdict=verdict,
        gate=_gate(verdict, attacks["default"].evasive),
        data=_data(classes),
        pair=_pair(),
        evasion=EvasionPart(
            attacked=ATTACKED,
            dropped_original_wrong=9,
            dropped_build_wrong=26,
            dropped_both_wrong=15,
            main_attack="default",
            attacks=attacks,
            comparisons=tuple(
                ComparisonPart(first="default", second=name, only_first=more, only_second=2, p=mcnemar(more, 2))
                for name, more in zip(("pgd", "diva-2022"), only, strict=True)
                if more >= 0
            ),
            control=ControlPart(evasive=_share(41, 348), attacked=348, clean_disagreement=_share(3, 397), p=1e-9),
            fidelity_clean=FidelityPart(images=400, equal_logits=1.0, max_lsb=0.0, label_disagreement=0.0),
            fidelity_attacked=FidelityPart(images=350, equal_logits=0.9991, max_lsb=1.0, label_disagreement=0.0),
            flags=FLAGS if verdict == "pass" else (*FLAGS, ERROR),
            layers=_layers(),
            embeddings=tuple(_embedding(method, len(classes), draws) for method in ("pca", "tsne")),
            findings=found,
        ),
        theft=made_theft(),
        times={"train": 41.3, "adapt": 22.8, "attacks": 9.14, "embedding": 3.5},
        made=MADE,
    )


def made_theft() -> TheftPart:
    """Two thieves: the one who takes the answers as they are gets closer than the one who takes the labels alone."""
    thieves = {"soft": theft(7, 17, 3), "hard": theft(19, 30, 11, labels="hard")}
    return TheftPart(thieves=thieves, strongest="soft", chance=0.105, flags=(QUESTIONS,))


def theft(
    disagreement: int, error: int, best: int, *, labels: Literal["soft", "hard"] = "soft", spent: int = 2000
) -> Theft:
    """A theft of a build with 359 of 400 images right; the counts are of images on which the clone is wrong."""
    return Theft(
        attack=Knockoff(student="resnet8", labels=labels, training=TrainSettings(epochs=15)),
        defences=(),
        budget=2000,
        spent=spent,
        queries="digits collages",
        defender_error=_share(41, 400),
        adversary_error=_share(error, 400),
        best_epoch=BestEpoch(epoch=12, error=best / 400),
        disagreement=_share(disagreement, 400),
        l1=_mean(0.0),
        l1_queries=_mean(0.0),
        divergence=_mean(0.0731),
        calibration_error=0.021,
        negative_log_likelihood=0.0615,
    )


def made_fleet(apart: int, attacked: int) -> FleetPart:
    """Two sets of kernels that `apart` of the attacked images drive apart, all by the first being right."""
    names = ("litert", "litert-builtin")
    print_ = Fingerprint(runtime=names[0], version="2.3.0", sha256="f" * 64, processor="x86_64", instructions="avx2")
    return FleetPart(
        attack=Attack(),
        members=tuple(
            MemberPart(fingerprint=print_.replace(runtime=name), accuracy=_share(390, 400)) for name in names
        ),
        attacked=attacked,
        clean_apart=_share(2, 400),
        apart=_share(apart, attacked),
        evasive_on_all=_share(1, attacked),
        pairs=(
            DisagreementPart(
                right=names[0], wrong=names[1], clean=_share(1, 400), evasive=_share(apart, attacked), void=0
            ),
            DisagreementPart(right=names[1], wrong=names[0], clean=_share(1, 400), evasive=_share(0, attacked), void=0),
        ),
        findings=(),
    )


def change_evasion(audit: Audit, **changes: object) -> Audit:
    """The audit with other figures about evasion."""
    assert audit.evasion is not None
    return audit.replace(evasion=audit.evasion.replace(**changes))


MADE = Made(
    at=datetime(2026, 3, 1, 14, 5, 9, tzinfo=UTC),
    command="edgerift audit --adapted release/ --out results/audit",
    folder="results/audit",
)
QUESTIONS = FlagPart(
    name="questions",
    level="ok",
    seen="soft asked about 2,000 of 2,000 images",
    meaning="a query set that is smaller than the budget leaves a part of it unspent; a thief may have more images",
    action="none",
)
ERROR = FlagPart(
    name="black-box",
    level="error",
    seen="110 of 350 images evade at one of 20 random places of their box, 101 under the attack",
    meaning="an attack that sees the gradients must not lose to chance; one that does is steered wrongly",
    action="raise the steps, take another objective, and look at the fidelity above",
)
FLAGS = (
    FlagPart(
        name="zero-gradients",
        level="ok",
        seen="0.00% of 7,000 gradients were zero everywhere",
        meaning="a zero gradient steers nothing: the rate is then too low, however robust the build looks",
        action="none",
    ),
    FlagPart(
        name="more-steps",
        level="warning",
        seen="12 of 341 images were found in the last fifth of the gradient calls",
        meaning="a curve that still rises says that an attacker with more steps gets more",
        action="raise --steps until the curve is flat",
    ),
    FlagPart(
        name="sample-size",
        level="note",
        seen="350 images were attacked; 50 could not be, for original or build get them wrong as they are",
        meaning="few images give wide intervals; many dropped ones say that the rest are the easy ones",
        action="give more test images",
    ),
)


def _finding(
    folder: Path, number: int, clean: np.ndarray, labels: np.ndarray, classes: int, draws: np.random.Generator
) -> FindingPart:
    before = clean[number % len(clean)]
    moved = draws.integers(-8, 9, before.shape[:2])[..., None]
    after = (before.astype(int) + moved).clip(0, 255).astype(np.uint8)
    label, name = int(labels[number % len(labels)]), f"{number:05d}"
    (folder / "findings").mkdir(exist_ok=True)
    for kind, pixels in (("clean", before), ("attacked", after)):
        Image.fromarray(pixels).save(folder / "findings" / f"{name}.{kind}.png")
    described = FindingPart(
        id=name,
        index=number,
        attack="default",
        label=label,
        original_label=label,
        original_probability=float(draws.uniform(0.4, 1)),
        build_label=int((label + draws.integers(1, max(classes, 2))) % classes),
        build_probability=float(draws.uniform(0.4, 1)),
        step=int(draws.integers(1, 20)),
        linf=8,
        l2=float(draws.uniform(200, 260)),
        ssim=float(draws.uniform(0.85, 0.95)),
        sha256=hashlib.sha256(after.transpose(2, 0, 1).tobytes()).hexdigest(),
        clean_png=f"findings/{name}.clean.png",
        attacked_png=f"findings/{name}.attacked.png",
    )
    # The wrong answer leads, by little where the build is unsure.
    wrong = described.build_probability
    return described.replace(build_right_probability=min(0.95 * wrong, 1 - wrong))


def _attacks(found: tuple[FindingPart, ...], classes: tuple[str, ...]) -> dict[str, AttackPart]:
    count = len(found)
    return {
        "pgd": _attack(Attack(objective=CrossEntropy()), count // 3, [], classes),
        "diva-2022": _attack(Attack(objective=Diva(), stop="never"), 9 * count // 10, [], classes),
        "default": _attack(Attack(), count, found, classes),
    }


def _attack(
    attack: Attack, count: int, found: tuple[FindingPart, ...] | list[FindingPart], classes: tuple[str, ...]
) -> AttackPart:
    share = ATTACKED // len(classes)
    some = count > 0
    return AttackPart(
        attack=attack,
        evasive=_share(count, ATTACKED),
        evasive_last=_share(count // 2, ATTACKED) if attack.stop == "never" else None,
        evasive_top5=_share(count // 4, ATTACKED) if len(classes) > 5 else None,
        fooled=_share(min(ATTACKED, count + 4), ATTACKED),
        original_fooled=_share(3, ATTACKED),
        confidence_delta=0.613,
        clean_confidence_delta=0.012,
        void=0,
        steps=6.2 if some else None,
        gradient_calls=7.2 if some else None,
        build_questions=7.2 if some else None,
        original_questions=3.1 if some else None,
        linf=7.9 if some else None,
        l2=231.4 if some else None,
        ssim=0.912 if some else None,
        by_class=tuple(
            ClassPart(name=name, attacked=share, evasive=min(share, sum(one.label == label for one in found)))
            for label, name in enumerate(classes)
        ),
        cumulative=tuple(round(count * (1 - 0.72**call) / (1 - 0.72**20)) for call in range(21)),
    )


def _gate(verdict: str, evasive: Interval) -> tuple[GatePart, ...]:
    holds = verdict == "pass"
    limit = 0.05
    return (
        GatePart(
            rule="evasive",
            unit="share",
            text=f"upper confidence bound of the evasive rate at most {limit:g}",
            measured=evasive.high,
            limit=limit,
            holds=holds,
        ),
        GatePart(
            rule="stolen",
            unit="share",
            text="upper confidence bound of the agreement between the build and its most faithful clone at most 99.9 %",
            measured=0.993,
            limit=0.999,
            holds=True,
        ),
        GatePart(
            rule="errors",
            unit="count",
            text="number of errors among the checks at most 0",
            measured=0 if holds else 1,
            limit=0,
            holds=holds,
        ),
        GatePart(
            rule="baseline",
            unit="p",
            text="not significantly worse than the baseline (p < 0.05): the evasive rate was 96.6% and is 97.4%",
            measured=0.6875,
            limit=0.05,
            holds=True,
        ),
    )


def _data(classes: tuple[str, ...]) -> DataPart:
    return DataPart(
        name="digits",
        source="embedded",
        size=32,
        seed=0,
        fingerprint="a" * 32,
        classes=classes,
        images=400,
    )


def _pair() -> PairPart:
    return PairPart(
        model="resnet8",
        target="mobile",
        runtime="executorch",
        provenance=Provenance(method="qat", settings={"epochs": 2, "seed": 0}, original="b" * 32),
        fingerprint=Fingerprint(
            runtime="executorch", version="1.4.1", sha256="c" * 64, processor="x86_64", instructions="avx2 fma vnni"
        ),
        original_sha256="d" * 64,
        program_sha256="e" * 64,
        integer_macs=0.9987,
        original_accuracy=_share(376, 400),
        build_accuracy=_share(359, 400),
        instability=_share(35, 400),
        only_original_right=_share(26, 400),
        only_build_right=_share(9, 400),
    )


def _layers() -> tuple[LayerPart, ...]:
    names = [f"body.stage{stage}.block{block}.conv{part}" for stage in (1, 2, 3) for block in (0, 1) for part in (1, 2)]
    return tuple(
        LayerPart(layer=name, healed=_share((37 * place + 11) % 97, 341)) for place, name in enumerate(["stem", *names])
    )


def _embedding(method: str, classes: int, draws: np.random.Generator) -> EmbeddingPart:
    centres = draws.normal(0, 10, (classes, 2))
    points, labels, models, conditions = [], [], [], []
    for label in range(classes):
        for model in ("original", "build"):
            for condition in ("clean", "attacked"):
                gone = model == "build" and condition == "attacked"
                centre = centres[(label + 1) % classes] if gone else centres[label]
                for x, y in draws.normal(centre, 1.6, (8, 2)):
                    points.append((float(x), float(y)))
                    labels.append(label)
                    models.append(model)
                    conditions.append(condition)
    return EmbeddingPart(
        method=method,
        classes=tuple(range(classes)),
        points=tuple(points),
        label=tuple(labels),
        model=tuple(models),
        condition=tuple(conditions),
        explained=(0.412, 0.187) if method == "pca" else None,
    )


def _share(successes: int, trials: int) -> Interval:
    return interval(Rate(successes, trials))


def _mean(value: float) -> MeanInterval:
    return MeanInterval(value=value, low=0.9 * value, high=1.1 * value, count=400)
