"""What the first paper claims of evasions, and what is ours beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from edgerift.facts._stated import Stated
from edgerift.study import PairReport

#: The reports of one original of one seed, by how it was adapted.
Reports: TypeAlias = Mapping[str, PairReport]
Difference: TypeAlias = Callable[[Reports], float | None]
#: The reports of all originals of one data set and seed, by the network's name.
Networks: TypeAlias = Mapping[str, Reports]

_BEST: Final = "resnet"


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


def _best_network(figure: Callable[[PairReport], float | None]) -> Callable[[Networks], float | None]:
    """How much higher a figure of ResNet's QAT build, a share, is than that of the best other network."""

    def difference(networks: Networks) -> float | None:
        own: list[float] = []
        others: list[float] = []
        for name, reports in networks.items():
            value = figure(reports["qat"]) if "qat" in reports else None
            if value is not None:
                (own if name.casefold() == _BEST else others).append(value)
        # A network that is missing may have been the best.
        if not own or not others or len(own) + len(others) < len(networks):
            return None
        return 100 * (own[0] - max(others))

    return difference


def _diva_rate(report: PairReport) -> float | None:
    return report.attacks["diva"].evasive.value if "diva" in report.attacks else None


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

#: Claims that compare the networks of a data set.
NETWORKS: Final[tuple[Stated[Networks], ...]] = (
    Stated(
        "resnet-accuracy",
        '"ResNet proved better among the 3 models for both datasets", if in accuracy: the conclusion does not say.',
        "Table 1 (CIFAR-10): +7.8; Table 2 (MNIST), against the conclusion: -2.7",
        "accuracy of ResNet's QAT build minus that of the best other network's, each data set by itself",
        _best_network(lambda report: report.build_accuracy.value),
    ),
    Stated(
        "resnet-evaded",
        "The same, if for the attack: DIVA evades more often with ResNet than with the other networks.",
        "no rate is printed",
        "evasive rate of DIVA against ResNet's QAT build minus that against the best other network's, each data set by "
        "itself",
        _best_network(_diva_rate),
    ),
)
