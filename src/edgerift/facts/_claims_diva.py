"""What the first paper claims of evasions, and what is ours beside it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import mean
from typing import Any, Final

from edgerift.facts import readings as of
from edgerift.facts._facts import Facts
from edgerift.facts._metric import Reading
from edgerift.facts._names import ADAPTATIONS, ORIGINAL_VICTIM
from edgerift.facts._stated import Difference, Stated, minus, only

_BEST: Final = "resnet"
#: Data sets whose class 0 is a zero, and class 1 a one.
_DIGITS: Final = ("mnist", "digits")


def _better(adaptation: str) -> Difference:
    """How much more accurate an adapted model is than its original."""
    return minus((of.ADAPTED_ACCURACY, {"victim": adaptation}), (of.ORIGINAL_ACCURACY, {"victim": ORIGINAL_VICTIM}))


def _beats(first: tuple[str, str], second: tuple[str, str], reading: Reading[Any] = of.EVASIVE) -> Difference:
    """How much higher a share, the evasive rate by default, is of one attack on one adapted model than of another."""
    one, other = ({"attack": attack, "victim": adaptation} for attack, adaptation in (first, second))
    return minus((reading, {**one}), (reading, {**other}))


def accuracy_words(cells: Sequence[Facts], names: tuple[str, str]) -> str:
    """Say how much less accurate two adapted models are than their originals; empty without any cell."""
    told = []
    for name in names:
        lost = [-gained for cell in cells if (gained := _better(name)(cell)) is not None]
        if lost:
            told.append(f"{ADAPTATIONS[name]} {mean(lost):.1f} points (at most {max(lost):.1f})".replace("-", "−"))
    return f"Accuracy lost against the original, on average: {', '.join(told)}." if told else ""


def _moved_more(found: Facts) -> float | None:
    """How much further the QAT build's features move than the original's, in percent of the latter's way."""
    way = only(found, of.FEATURES_MOVE, victim="qat")
    return None if way is None else 100 * (way.value - 1)


def _lands(found: Facts) -> float | None:
    """How much oftener attacked images stand beside the class that they are taken for than beside their own."""
    share = only(found, of.LANDED, victim="qat")
    return None if share is None else share.value


def _zero_is_one(found: Facts) -> float | None:
    """How much oftener attacked images of a zero stand beside ones than beside zeros."""
    share = only(found, of.ZEROS_BESIDE_ONES, victim="qat")
    return share.value if share is not None and share.data in _DIGITS else None


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


def _left_by_robustness(attack: str) -> Difference:
    """How much oftener an attack evades with networks trained as usual than with the same ones trained robustly."""

    def difference(found: Facts) -> float | None:
        study = found.study
        rates = found.of(of.EVASIVE, attack=attack, victim="qat")
        lost = [
            100 * (usual.value - robust.value)
            for usual, robust in product(rates, rates)
            if study.is_robust(robust.data, robust.original) > study.is_robust(usual.data, usual.original)
            and study.originals[robust.original].model == study.originals[usual.original].model
        ]
        return sum(lost) / len(lost) if lost else None

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
    Stated(
        "lands-there",
        "Attacked images of one class stand among those of the class that the quantized model takes them for.",
        "figure 11, by eye",
        "share of DIVA's images whose nearest clean image, in a t-SNE of the QAT build's features, is of the class "
        "that they are taken for, minus the share where it is of their own (first seed of each)",
        _lands,
        unit="percent",
    ),
    Stated(
        "zero-is-one",
        "Attacked zeros stand among the ones.",
        "figure 11 (MNIST), by eye",
        "share of DIVA's zeros that the QAT build gets wrong whose nearest clean image, in a t-SNE of its features, is "
        "a one, minus the share where it is a zero (first seed of each)",
        _zero_is_one,
        unit="percent",
    ),
    Stated(
        "without-original",
        "Without the original, with a surrogate of it, the attack still finds more than PGD on the build alone.",
        "no rate is printed",
        "evasive rate of the default attack by surrogate against the QAT build, judged once, minus that of PGD at any "
        "step",
        _beats(("semi-black-box", "qat"), ("pgd", "qat")),
    ),
    Stated(
        "what-the-original-is-worth",
        "Ours: an attacker without the original finds less than one who has it.",
        "not in the paper",
        "evasive rate of the default attack minus that by surrogate of the original, judged once, on the QAT build",
        _beats(("default", "qat"), ("semi-black-box", "qat")),
    ),
    Stated(
        "what-the-build-is-worth",
        "Ours: an attacker with answers alone finds less than one who has the build's file, too.",
        "not in the paper",
        "evasive rate by surrogate of the original minus that by surrogates of both, judged once, on the QAT build",
        _beats(("semi-black-box", "qat"), ("black-box", "qat")),
    ),
    Stated(
        "pruned-over-control",
        "Pruning opens a gap, as quantization does: DIVA finds more than against the float control.",
        "no rate is printed",
        "evasive rate of DIVA against the pruned float model minus that against the float control",
        _beats(("diva", "prune"), ("diva", "finetune")),
        priced=("prune", "finetune"),
    ),
    Stated(
        "distilled-over-control",
        "So does distillation.",
        "no rate is printed",
        "evasive rate of DIVA against the distilled float model minus that against the float control",
        _beats(("diva", "distil"), ("diva", "finetune")),
        priced=("distil", "finetune"),
    ),
    Stated(
        "pruned-quantized-over-quantized",
        "Pruning before quantization opens a wider gap than quantization does.",
        "no rate is printed",
        "evasive rate of DIVA against the build pruned and quantized minus that against the QAT build",
        _beats(("diva", "prune+qat"), ("diva", "qat")),
        priced=("prune+qat", "qat"),
    ),
    Stated(
        "larger-c",
        "A larger c, which weighs the build more, finds more images: 5 against 0.5.",
        "section on the objective, without figures",
        "evasive rate of DIVA with c = 5 minus that with c = 0.5 against the QAT build",
        _beats(("diva-c5", "qat"), ("diva-c0.5", "qat")),
    ),
    Stated(
        "larger-c-loses",
        "A larger c loses the original more often: 5 against 0.5.",
        "section on the objective, without figures",
        "share that the original gets wrong of what DIVA with c = 5 leaves minus that with c = 0.5, QAT builds",
        _beats(("diva-c5", "qat"), ("diva-c0.5", "qat"), of.ORIGINAL_FOOLED),
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

#: Claims that compare originals trained against an adversary with others.
ROBUST: Final[tuple[Stated, ...]] = tuple(
    Stated(
        f"robust-{attack}",
        statement,
        published,
        f"evasive rate of {title} against the QAT build of an original trained as usual minus that of the same network "
        "trained against an adversary, each data set by itself",
        _left_by_robustness(attack),
    )
    for attack, title, statement, published in (
        ("diva", "DIVA", "Robust training of the original leaves DIVA less to find.", "named as a defence, no rate"),
        ("default", "the default attack", "Ours: it leaves the default attack less to find.", "not in the paper"),
    )
)
