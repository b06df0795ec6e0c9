"""What the first paper claims of evasions, and what is ours beside it."""

from __future__ import annotations

from typing import Any, Final

from edgerift.facts import readings as of
from edgerift.facts._facts import Facts
from edgerift.facts._metric import Reading
from edgerift.facts._names import ORIGINAL_VICTIM
from edgerift.facts._stated import Difference, Stated, minus, only

_BEST: Final = "resnet"


def _better(adaptation: str) -> Difference:
    """How much more accurate an adapted model is than its original."""
    return minus((of.ADAPTED_ACCURACY, {"victim": adaptation}), (of.ORIGINAL_ACCURACY, {"victim": ORIGINAL_VICTIM}))


def _beats(first: tuple[str, str], second: tuple[str, str]) -> Difference:
    """How much higher the evasive rate of one attack on one adapted model is than that of another."""
    one, other = ({"attack": attack, "victim": adaptation} for attack, adaptation in (first, second))
    return minus((of.EVASIVE, {**one}), (of.EVASIVE, {**other}))


def _moved_more(found: Facts) -> float | None:
    """How much further the QAT build's features move than the original's, in percent of the latter's way."""
    way = only(found, of.FEATURES_MOVE, victim="qat")
    return None if way is None else 100 * (way.value - 1)


def _best_network(reading: Reading[Any], **wanted: object) -> Difference:
    """How much higher a share of ResNet's QAT build is than that of the best other network."""

    def difference(found: Facts) -> float | None:
        values = {fact.original: fact.value for fact in found.of(reading, victim="qat", **wanted)}
        own = [value for name, value in values.items() if name.casefold() == _BEST]
        others = [value for name, value in values.items() if name.casefold() != _BEST]
        # A network that is missing may have been the best.
        if not own or not others or len(values) < len(found.of(of.ADAPTED_ACCURACY).distinct("original")):
            return None
        return 100 * (own[0] - max(others))

    return difference


#: The names of the attacks are those of the study's file.
EVASION: Final[tuple[Stated, ...]] = (
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
NETWORKS: Final[tuple[Stated, ...]] = (
    Stated(
        "resnet-accuracy",
        '"ResNet proved better among the 3 models for both datasets", if in accuracy: the conclusion does not say.',
        "Table 1 (CIFAR-10): +7.8; Table 2 (MNIST), against the conclusion: -2.7",
        "accuracy of ResNet's QAT build minus that of the best other network's, each data set by itself",
        _best_network(of.ADAPTED_ACCURACY),
    ),
    Stated(
        "resnet-evaded",
        "The same, if for the attack: DIVA evades more often with ResNet than with the other networks.",
        "no rate is printed",
        "evasive rate of DIVA against ResNet's QAT build minus that against the best other network's, each data set by "
        "itself",
        _best_network(of.EVASIVE, attack="diva"),
    ),
)
