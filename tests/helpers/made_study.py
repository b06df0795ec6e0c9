"""Studies that nobody ran: several seeds, data sets and networks, with cells that are missing."""

import base64
import math
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from made_hardening import made_hardening
from PIL import Image

from edgerift.audit import AttackPart, ClassPart, ComparisonPart, EmbeddingPart
from edgerift.defend import Deception, Defence, ReverseSigmoid
from edgerift.harden import Hardening, StudentPoint, Thieves, TimesPart, VariantPart, paper_row
from edgerift.measure import Interval, Rate, interval, mcnemar
from edgerift.study import (
    AttackChoice,
    DataChoice,
    EpochPart,
    EvasionPlan,
    ExamplePart,
    MissingCell,
    NetworkChoice,
    PairCell,
    PairReport,
    Study,
    StudyResult,
    TheftCell,
    TheftPlan,
)

SEEDS = (0, 1, 2)
CLASSES = tuple("0123456789")
ATTACKS = {
    "pgd": AttackChoice(preset="pgd", title="PGD", change={"stop": "never"}),
    "diva": AttackChoice(preset="diva-2022", title="DIVA", change={"stop": "never"}),
    "default": AttackChoice(preset="default", change={"stop": "never"}),
}
ADAPTATIONS = ("ptq", "qat", "finetune")
ROWS = ("large", "ptq", "qat", "rs", "dcp", "divqat", "divqat+rs", "divqat+dcp", "held")
OTHER_ROWS = ("qat", "divqat")
STUDENTS = ("lenet", "mobilenet_tiny")
TEST, ATTACKED = 1000, 60
FAILED = "RuntimeError: the loss is not a number after epoch 3"


def made_diva(
    data: Sequence[str] = ("cifar10", "mnist"),
    originals: Sequence[str] = ("ResNet", "MobileNet"),
    seeds: Sequence[int] = SEEDS,
    *,
    paper: str | None = "diva",
    missing: bool = True,
    classes: Sequence[str] = CLASSES,
    title: str = "A made study of evasion",
) -> StudyResult:
    """Attacks on every adaptation. With `missing`, one cell failed and one network has no result after PTQ."""
    study = Study(
        study="made-diva",
        title=title,
        paper=paper,
        seeds=tuple(seeds),
        data={name: DataChoice() for name in data},
        originals={name: NetworkChoice(model="resnet8") for name in originals},
        evasion=EvasionPlan(
            adaptations=ADAPTATIONS, attacks=ATTACKS, count=ATTACKED, shown="diva", pictured=("ptq", "qat")
        ),
    )
    gone = {(data[0], originals[0], "qat", seeds[-1])} if missing else set()
    if missing:
        gone |= {(data[-1], originals[-1], "ptq", seed) for seed in seeds}
    pairs, lost = [], []
    for seed in seeds:
        for first, name in enumerate(data):
            for second, network in enumerate(originals):
                for third, adaptation in enumerate(ADAPTATIONS):
                    if (name, network, adaptation, seed) in gone:
                        error = FAILED if adaptation == "qat" else None
                        lost.append(MissingCell(name=f"{name}, {network}, {adaptation}, seed {seed}", error=error))
                        continue
                    pictured = seed == seeds[0] and adaptation in ("ptq", "qat")
                    report = made_pair(97 * first + 31 * second, third, seed, pictured=pictured, classes=classes)
                    cell = {"data": name, "original": network, "seed": seed, "adaptation": adaptation}
                    cell["key"] = f"pair-{name}-{network}-{adaptation}-{seed}"
                    pairs.append(PairCell.model_validate({**cell, "report": report}))
    return _result(study, pairs=tuple(pairs), missing=tuple(lost))


def made_divqat(
    data: Sequence[str] = ("cifar10", "gtsrb"),
    originals: Sequence[str] = ("ResNet",),
    seeds: Sequence[int] = SEEDS,
    targets: Sequence[str] = ("mobile", "server"),
    rows: Sequence[str] = ROWS,
    *,
    paper: str | None = "divqat",
    missing: bool = True,
    students: bool = True,
    alphas: bool = True,
    title: str = "A made study of theft",
) -> StudyResult:
    """Comparisons of hardened victims. With `missing`, the last seed of the first one failed."""
    study = Study(
        study="made-divqat",
        title=title,
        paper=paper,
        seeds=tuple(seeds),
        data={name: DataChoice() for name in data},
        originals={name: NetworkChoice(model="resnet8") for name in originals},
        theft=TheftPlan(
            rows=tuple(rows),
            other_rows=OTHER_ROWS,
            targets=tuple(targets),
            students=STUDENTS if students else (),
            alphas=(0.1, 0.3, 1.0, 2.0) if alphas else (),
        ),
    )
    thefts, lost = [], []
    for seed in seeds:
        for first, name in enumerate(data):
            for second, network in enumerate(originals):
                for target in targets:
                    if missing and (name, network, target, seed) == (data[0], originals[0], targets[0], seeds[-1]):
                        lost.append(MissingCell(name=f"{name}, {network}, {target}, seed {seed}", error=FAILED))
                        continue
                    is_first = target == targets[0]
                    hardening = made_comparison(
                        name,
                        seed,
                        shift=5 * first + 2 * second,
                        target=target,
                        rows=rows if is_first else [row for row in rows if row in OTHER_ROWS],
                        students=STUDENTS if students and is_first else (),
                        alphas=alphas and is_first,
                    )
                    cell = {"data": name, "original": network, "seed": seed, "target": target}
                    cell["key"] = f"harden-{name}-{network}-{target}-{seed}"
                    thefts.append(TheftCell.model_validate({**cell, "hardening": hardening}))
    return _result(study, thefts=tuple(thefts), missing=tuple(lost))


def made_study() -> StudyResult:
    """A study of both threats."""
    evasion, theft = made_diva(), made_divqat()
    data = {**evasion.study.data, **theft.study.data}
    study = evasion.study.replace(study="made-both", paper=None, data=data, theft=theft.study.theft)
    return evasion.replace(study=study, thefts=theft.thefts, missing=evasion.missing + theft.missing)


def made_pair(
    shift: int,
    adaptation: int,
    seed: int,
    *,
    pictured: bool = False,
    classes: Sequence[str] = CLASSES,
) -> PairReport:
    """An original and what was made of it; the figures differ with the place in the grid and with the seed."""
    draws = np.random.default_rng([shift, adaptation, seed])
    right = 930 - shift - 7 * seed
    attacks = {
        name: made_attack(
            hits=min(ATTACKED - 1, 3 + 2 * adaptation + (6 + seed) * number),
            choice=choice,
            spread=0.013 * seed + 0.0007 * shift + 0.003 * adaptation,
            classes=classes,
        )
        for number, (name, choice) in enumerate(ATTACKS.items())
    }
    names = list(attacks)
    return PairReport(
        classes=tuple(classes),
        original_accuracy=_share(right),
        build_accuracy=_share(right - 11 + 9 * adaptation - 3 * seed),
        instability=_share(23 + 2 * adaptation + seed),
        attacked=ATTACKED,
        attacks=attacks,
        comparisons=tuple(
            _comparison(first, second, seed) for place, first in enumerate(names) for second in names[place + 1 :]
        ),
        original_epochs=_epochs(8, 0.011 * seed),
        adapted_epochs=() if adaptation == 0 else _epochs(2, 0.017 * seed, before=9),
        embeddings=tuple(_embedding(method, len(classes), draws) for method in ("pca", "tsne")) if pictured else (),
        examples=tuple(_example(label, draws) for label in range(min(3, len(classes)))) if pictured else (),
    )


def made_attack(hits: int, choice: AttackChoice, spread: float, classes: Sequence[str] = CLASSES) -> AttackPart:
    """What an attack reached with so many evasive images."""
    found = hits > 0
    return AttackPart(
        attack=choice.attack,
        evasive=_share(hits, ATTACKED),
        evasive_last=_share(hits // 2, ATTACKED),
        evasive_top5=_share(hits // 3, ATTACKED) if len(classes) > 5 else None,
        fooled=_share(min(ATTACKED, hits + 11), ATTACKED),
        original_fooled=_share(min(ATTACKED, hits // 2 + 5), ATTACKED),
        confidence_delta=0.2 + spread,
        clean_confidence_delta=0.02 + spread / 10,
        void=0,
        steps=7.0 + 10 * spread if found else None,
        gradient_calls=20 * ATTACKED / hits if found else None,
        build_questions=21 * ATTACKED / hits if found else None,
        original_questions=3.0 + spread if found else None,
        linf=6.0 + 5 * spread if found else None,
        l2=150.0 + 100 * spread if found else None,
        ssim=0.98 - spread / 20 if found else None,
        by_class=tuple(
            ClassPart(name=name, attacked=ATTACKED // len(classes), evasive=min(hits // 4, ATTACKED // len(classes)))
            for name in classes
        ),
        cumulative=(*(round(hits * (1 - math.exp(-step / 5))) for step in range(20)), hits),
    )


def made_comparison(
    data: str,
    seed: int,
    *,
    shift: int = 0,
    target: str = "mobile",
    rows: Sequence[str] = ROWS,
    students: Sequence[str] = STUDENTS,
    alphas: bool = True,
) -> Hardening:
    """A comparison of victims; `shift` and the seed move its figures."""
    hardening = made_hardening(rows, data=data, alphas=alphas)
    search = hardening.searches["divqat"]
    chosen = search.replace(chosen=search.trials[seed % len(search.trials)].strength, beyond_noise=seed != 0)
    return hardening.replace(
        target=target,
        data=hardening.data.replace(source=data, seed=seed),
        alpha=chosen.chosen,
        searches={name: chosen for name in rows if name.startswith("divqat") or name == "held"},
        victim={
            name: _moved(
                part.replace(
                    strength=chosen.chosen if name.startswith("divqat") or name == "held" else None,
                    defences=_defences(name, seed),
                    paper=paper_row(data, name),
                ),
                4 * seed + (number * number * seed) % 5 + shift + (3 if target == "server" else 0),
                seed,
            )
            for number, (name, part) in enumerate(hardening.victim.items())
        },
        times={
            name: TimesPart(
                answer_milliseconds=0.08 + 0.01 * seed,
                defence_milliseconds=0.05 + 0.002 * seed if _defences(name, seed) else None,
                slowdown=1.0 + 0.01 * seed,
            )
            for name in hardening.victim
        },
        alphas=tuple(
            point.replace(
                defender_error=_more(point.defender_error, 3 * seed + shift),
                adversary_error=_more(point.adversary_error, 5 * seed + shift),
                l1=point.l1 * (1 + 0.1 * seed),
                divergence=point.divergence * (1 + 0.2 * seed),
                thefts=tuple(
                    theft.replace(adversary_error=_more(theft.adversary_error, 7 * seed + shift))
                    for theft in point.thefts
                ),
            )
            for point in hardening.alphas
        ),
        students=tuple(
            StudentPoint(
                victim=victim,
                student=student,
                labels=labels,
                adversary_error=_share(210 + 31 * first + 43 * second + 17 * third + 4 * seed + shift),
                disagreement=_share(220 + 31 * first + 47 * second + 17 * third + 5 * seed + shift),
            )
            for first, victim in enumerate(row for row in rows if row in OTHER_ROWS)
            for second, student in enumerate(students)
            for third, labels in enumerate(("soft", "hard"))
        ),
    )


def png(pixels: np.ndarray) -> str:
    """Write pixels uint8 [H,W,3] as PNG in base64."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _result(study: Study, **parts: object) -> StudyResult:
    empty: dict[str, object] = {"pairs": (), "thefts": (), "missing": ()}
    return StudyResult.model_validate({"edgerift": "0.1.0", "profile": "small", "study": study, **empty, **parts})


def _share(count: int, total: int = TEST) -> Interval:
    return interval(Rate(max(0, min(total, count)), total))


def _more(part: Interval, count: int) -> Interval:
    return _share(part.successes + count, part.trials)


def _defences(name: str, seed: int) -> tuple[Defence, ...]:
    last = name.rsplit("+", 1)[-1]
    if last == "rs":
        return (ReverseSigmoid(beta=0.12 + 0.01 * seed),)
    return (Deception(beta=0.75 + 0.05 * seed),) if last == "dcp" else ()


def _moved(part: VariantPart, count: int, seed: int) -> VariantPart:
    def thieves(found: Thieves, slope: int) -> Thieves:
        return Thieves(soft=_more(found.soft, slope * count), hard=_more(found.hard, count))

    plain = part.l1.value == 0
    shift = 0.017 * seed
    moved = {"value": part.l1.value + shift, "low": part.l1.low + shift, "high": part.l1.high + shift}
    return part.replace(
        defender_error=_more(part.defender_error, count),
        l1=part.l1.replace(**({"value": 0.0, "low": 0.0, "high": 0.0} if plain else moved)),
        changed=_share(0) if plain else _more(part.changed, count),
        adversary_error=thieves(part.adversary_error, 2),
        disagreement=thieves(part.disagreement, 2),
        shipped_bytes=90_000 + 1_000 * seed,
    )


def _comparison(first: str, second: str, seed: int) -> ComparisonPart:
    return ComparisonPart(
        first=first, second=second, only_first=1 + seed, only_second=9 + seed, p=mcnemar(1 + seed, 9 + seed)
    )


def _epochs(count: int, shift: float, before: int = 0) -> tuple[EpochPart, ...]:
    return tuple(
        EpochPart(
            loss=2.0 * math.exp(-epoch / 3) + shift,
            train_accuracy=1 - 0.8 * math.exp(-epoch / 2) - shift / 10,
            validation_accuracy=0.95 - 0.75 * math.exp(-epoch / 2) - shift / 10,
        )
        for epoch in range(before, before + count)
    )


def _embedding(method: str, classes: int, draws: np.random.Generator, count: int = 24) -> EmbeddingPart:
    conditions = [(model, condition) for condition in ("clean", "attacked") for model in ("original", "build")]
    label = [number % 2 * (classes - 1) for number in range(count)]
    points = [
        (round(float(8 * label[row] / max(1, classes - 1) + draws.normal() + (3 if condition == "attacked" else 0)), 4),
         round(float(draws.normal() + (2 if model == "build" else 0)), 4))
        for model, condition in conditions
        for row in range(count)
    ]  # fmt: skip
    return EmbeddingPart.model_validate(
        {
            "method": method,
            "classes": (0, classes - 1),
            "points": points,
            "label": label * len(conditions),
            "model": [model for model, _ in conditions for _ in range(count)],
            "condition": [condition for _, condition in conditions for _ in range(count)],
            "explained": (0.52, 0.13) if method == "pca" else None,
        }
    )


def _example(label: int, draws: np.random.Generator) -> ExamplePart:
    clean = draws.integers(8, 248, (16, 16, 3)).astype(np.uint8)
    noise = draws.integers(-8, 9, clean.shape)
    return ExamplePart(
        label=label,
        original_label=label,
        original_probability=0.51 + 0.07 * label,
        build_label=(label + 3) % 10,
        build_probability=0.63 - 0.05 * label,
        clean_png=png(clean),
        attacked_png=png((clean + noise).astype(np.uint8)),
    )
