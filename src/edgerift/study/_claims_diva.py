"""What the first paper claims of evasions, and what is ours beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from edgerift.study._pairs import PairReport
from edgerift.study._stated import Stated

#: The reports of one original of one seed, by how it was adapted.
Reports: TypeAlias = Mapping[str, PairReport]
Difference: TypeAlias = Callable[[Reports], float | None]


def _better(adaptation: str) -> Difference:
    """How much more accurate an adapted model is than its original."""

    def difference(reports: Reports) -> float | None:
        if adaptation not in reports:
            return None
        report = reports[adaptation]
        return 100 * (report.build_accuracy.value - report.original_accuracy.value)

    return difference


def _beats(first: tuple[str, str], second: tuple[str, str]) -> Difference:
    """How much higher the evasive rate of one attack on one adapted model is than that of another."""

    def difference(reports: Reports) -> float | None:
        rates = []
        for attack, adaptation in (first, second):
            if adaptation not in reports or attack not in reports[adaptation].attacks:
                return None
            rates.append(reports[adaptation].attacks[attack].evasive.value)
        return 100 * (rates[0] - rates[1])

    return difference


def _moved_more(reports: Reports) -> float | None:
    """Compare how far the attack moves the adapted model's features and the original's, in the plane of the PCA.

    The difference is in percent of the distance that the original's features move.
    """
    found = [part for part in reports["qat"].embeddings if part.method == "pca"] if "qat" in reports else []
    for part in found:
        moved = {}
        for model in ("original", "build"):
            places = {
                condition: [
                    point
                    for point, whose, which in zip(part.points, part.model, part.condition, strict=True)
                    if (whose, which) == (model, condition)
                ]
                for condition in ("clean", "attacked")
            }
            pairs = zip(places["clean"], places["attacked"], strict=True)
            distances = [((one[0] - two[0]) ** 2 + (one[1] - two[1]) ** 2) ** 0.5 for one, two in pairs]
            moved[model] = sum(distances) / len(distances)
        return 100 * (moved["build"] / moved["original"] - 1) if moved["original"] > 0 else None
    return None


#: The names of the attacks are those of the study's file.
EVASION: Final[tuple[Stated[Reports], ...]] = (
    Stated(
        "adapted-accuracy",
        "Quantized models reach a higher accuracy than the originals.",
        "Table 1 (CIFAR-10): +13.5, +7.6 and +5.5 points; Table 2 (MNIST): -0.7, 0.0 and +0.8",
        "accuracy of the QAT build minus that of its original",
        _better("qat"),
    ),
    Stated(
        "finetuned-accuracy",
        "Its control: the original trained further in float for as long, never quantized.",
        "not in the paper",
        "accuracy of the fine-tuned model minus that of its original",
        _better("finetune"),
    ),
    Stated(
        "diva-over-control",
        "DIVA finds images that the original gets right and the quantized model gets wrong: it is the quantization.",
        "no rate is printed",
        "evasive rate of DIVA against the QAT build minus that against the float control",
        _beats(("diva", "qat"), ("diva", "finetune")),
    ),
    Stated(
        "diva-over-pgd-qat",
        "DIVA finds more of them than PGD, which looks at the build alone: QAT builds.",
        "no rate is printed",
        "evasive rate of DIVA minus that of PGD against the QAT build, on the same images",
        _beats(("diva", "qat"), ("pgd", "qat")),
    ),
    Stated(
        "diva-over-pgd-ptq",
        "The same against PTQ builds.",
        "not in the paper",
        "evasive rate of DIVA minus that of PGD against the PTQ build, on the same images",
        _beats(("diva", "ptq"), ("pgd", "ptq")),
    ),
    Stated(
        "default-over-diva-qat",
        "Ours: the default attack finds more than DIVA does, against QAT builds.",
        "not in the paper",
        "evasive rate of the default attack minus that of DIVA against the QAT build, on the same images",
        _beats(("default", "qat"), ("diva", "qat")),
    ),
    Stated(
        "default-over-diva-ptq",
        "Ours: the default attack finds more than DIVA does, against PTQ builds.",
        "not in the paper",
        "evasive rate of the default attack minus that of DIVA against the PTQ build, on the same images",
        _beats(("default", "ptq"), ("diva", "ptq")),
    ),
    Stated(
        "default-over-control",
        "Ours, its control: the default attack finds more against the quantized model than against the float control.",
        "not in the paper",
        "evasive rate of the default attack against the QAT build minus that against the float control",
        _beats(("default", "qat"), ("default", "finetune")),
    ),
    Stated(
        "features-move",
        "DIVA moves the adapted model's features further than the original's.",
        "figures 3 to 5 and 8 to 10, by eye",
        "mean distance that the QAT build's features move in the plane of the PCA, more than the original's do (first "
        "seed of each)",
        _moved_more,
        unit="percent",
    ),
)
