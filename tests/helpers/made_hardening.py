"""A comparison, a theft and a sweep that nobody ran, every part of them filled."""

from collections.abc import Sequence

from edgerift.adapt import Allowance, Search, Trial
from edgerift.defend import Deception, Defence, ReverseSigmoid, SweepPoint
from edgerift.extract import BestEpoch, Knockoff, QuerySettings, Theft
from edgerift.harden import (
    VARIANTS,
    AlphaPoint,
    BestEpochs,
    ClosedFormPart,
    DataPart,
    Defending,
    DefendPoint,
    Hardening,
    NoisePart,
    PaperRow,
    StudentPoint,
    ThiefPart,
    Thieves,
    TimesPart,
    VariantPart,
)
from edgerift.images import ImagesSettings
from edgerift.measure import Interval, MeanInterval, Rate, ReliabilityBin, interval
from edgerift.train import TrainSettings

DIGITS = tuple("0123456789")
DEFENCES: dict[str, tuple[Defence, ...]] = {
    "rs": (ReverseSigmoid(beta=0.12345),),
    "divqat+dcp": (Deception(beta=0.75),),
}
TEST = 359
TITLES = {name: variant.title for name, variant in VARIANTS.items()}


def share(count: int, total: int = TEST) -> Interval:
    return interval(Rate(count, total))


def mean(value: float, spread: float = 0.0123) -> MeanInterval:
    return MeanInterval(value=value, low=value - spread, high=value + spread, count=TEST)


def made_hardening(
    names: Sequence[str] = ("large", "ptq", "qat", "rs", "dcp", "divqat"),
    *,
    paper: bool = True,
    search: bool = True,
    alphas: bool = True,
    sweeps: bool = True,
    data: str = "digits",
) -> Hardening:
    """Make a comparison of victims, no two figures of which are equal; parts that are optional may be left out."""
    return Hardening(
        edgerift="0.1.0",
        model="resnet8",
        target="mobile",
        runtime="executorch",
        data=DataPart(
            name=data, source="digits", size=32, seed=0, fingerprint="0" * 32, classes=DIGITS, validation=144, test=TEST
        ),
        thief=ThiefPart(
            attack=_attack(),
            queries=QuerySettings(images=ImagesSettings(source="digits"), collages=2000),
            name=f"{data} collages",
            budget=2500,
            spent=2000,
        ),
        allowance=Allowance(high=4.0),
        noise=NoisePart(test=mean(0.00584, 0.001), queries=mean(0.02558, 0.001)),
        alpha=1.125 if search else None,
        searches={"divqat": made_search()} if search else {},
        closed_form=_closed_form() if search else None,
        victim={name: _victim(name, number, paper) for number, name in enumerate(names)},
        alphas=tuple(_alpha(number, alpha) for number, alpha in enumerate((0.1, 0.3, 1.0, 2.0))) if alphas else (),
        sweeps={"reverse-sigmoid": _sweep(0), "deception": _sweep(1)} if sweeps else {},
        verdict="Undefended, the clones are good.\nDivQAT: it hinders both attackers.",
        times={name: TimesPart(defence_milliseconds=0.0514 if name in DEFENCES else None) for name in names},
    )


def made_search(chosen: float | None = 1.125) -> Search:
    tried = ((0.0, 0.0, 0.0009, 0.979), (1.0, 0.042, 0.025, 0.972), (1.125, 0.116, 0.135, 0.958), (4.0, 1.79, 9.8, 0.1))
    trials = tuple(
        Trial(
            strength=strength,
            l1=l1,
            divergence=divergence,
            accuracy=accuracy,
            changed=0.98 - accuracy,
            top1=0.9,
            top2=0.05,
            allowed=l1 <= 0.6,
        )
        for strength, l1, divergence, accuracy in tried
    )
    return Search(
        allowance=Allowance(high=4.0),
        reference_accuracy=0.979,
        floor=0.0051,
        chosen=chosen,
        beyond_noise=chosen is not None,
        trials=trials,
    )


def made_theft(defences: tuple[Defence, ...] = (ReverseSigmoid(beta=0.12345),), queries: str = "collages") -> Theft:
    return Theft(
        attack=_attack(),
        defences=defences,
        budget=2500,
        spent=2000,
        queries=queries,
        defender_error=share(11),
        adversary_error=share(71),
        best_epoch=BestEpoch(epoch=13, error=66 / TEST),
        disagreement=share(83),
        l1=mean(0.4321),
        l1_queries=mean(0.5432),
        divergence=mean(0.6543),
        calibration_error=0.1234,
        negative_log_likelihood=0.7654,
    )


def made_defending(*, stolen: bool = True, data: str = "digits") -> Defending:
    """Make a sweep of two defences, the second of which has no strength within the budget."""
    points = {name: _points(number, stolen) for number, name in enumerate(("reverse-sigmoid", "label-only"))}
    return Defending(
        edgerift="0.1.0",
        data=made_hardening(("qat",), data=data).data,
        runtime="executorch",
        budget_l1=0.6,
        sweeps={"reverse-sigmoid": points["reverse-sigmoid"], "label-only": points["label-only"][-1:]},
        chosen={"reverse-sigmoid": ReverseSigmoid(beta=0.12345), "label-only": None},
        reliability={"clean": _bins(0), "reverse-sigmoid": _bins(3)},
        milliseconds={"reverse-sigmoid": 0.0514, "label-only": 0.0321},
    )


def _attack() -> Knockoff:
    return Knockoff(student="resnet8", training=TrainSettings(epochs=15, learning_rate=0.05, batch_size=64))


def _closed_form() -> ClosedFormPart:
    return ClosedFormPart(
        margin=17.64,
        low_margin=12.88,
        high_margin=23.57,
        appears=0.0714,
        flips=0.1134,
        first_beyond_noise=1.0,
        first_flip=None,
    )


def _victim(name: str, number: int, paper: bool) -> VariantPart:
    return VariantPart(
        title=TITLES.get(name, name),
        strength=1.125 if name.startswith("divqat") else None,
        defences=DEFENCES.get(name, ()),
        defender_error=share(3 + number),
        l1=mean(0.0 if name == "qat" else 0.011 + 0.0507 * number),
        l1_queries=mean(0.111 + 0.0507 * number),
        changed=share(40 + number),
        divergence=mean(0.2222 + 0.0507 * number),
        calibration_error=0.021 + 0.013 * number,
        negative_log_likelihood=0.301 + 0.017 * number,
        top1=0.9 - 0.011 * number,
        top2=0.05 + 0.003 * number,
        reliability=_bins(number),
        adversary_error=Thieves(soft=share(60 + 7 * number), hard=share(180 + 5 * number)),
        disagreement=Thieves(soft=share(61 + 7 * number), hard=share(181 + 5 * number)),
        best_epoch=BestEpochs(
            soft=BestEpoch(epoch=13, error=(59 + 7 * number) / TEST), hard=BestEpoch(epoch=14, error=0.4)
        ),
        paper=PaperRow(defender_error=0.1552 + 0.001 * number, adversary_error=0.204 + 0.01 * number)
        if paper and name != "divqat"
        else None,
        verdict="It costs something.",
    )


def _bins(number: int) -> tuple[ReliabilityBin, ...]:
    empty = tuple(ReliabilityBin(0, 0.0, 0.0) for _ in range(12))
    return (
        *empty,
        ReliabilityBin(9, 0.83, 1.0),
        ReliabilityBin(20 + number, 0.9, 0.8),
        ReliabilityBin(330, 0.99, 0.98),
    )


def _alpha(number: int, alpha: float) -> AlphaPoint:
    return AlphaPoint(
        alpha=alpha,
        l1=0.013 * 3**number,
        divergence=0.0017 * 7**number,
        defender_error=share(5 + 40 * number),
        adversary_error=share(50 + 50 * number),
        disagreement=share(55 + 50 * number),
        thefts=tuple(
            StudentPoint(
                victim="divqat",
                student=student,
                labels=labels,
                adversary_error=share(40 + 45 * number + shift),
                disagreement=share(45 + 45 * number + shift),
            )
            for shift, (student, labels) in enumerate((("resnet8", "hard"), ("lenet", "soft")))
        ),
    )


def _sweep(number: int) -> tuple[SweepPoint, ...]:
    return tuple(
        SweepPoint(
            strength=0.25 * step,
            l1=(0.31 + 0.05 * number) * step,
            error=0.02 + 0.03 * max(0, step - 2),
            changed=0.03 * max(0, step - 2),
            ece=0.05 + 0.1 * step,
            nll=0.1 + 0.2 * step,
        )
        for step in range(5)
    )


def _points(number: int, stolen: bool) -> tuple[DefendPoint, ...]:
    return tuple(
        DefendPoint(
            **point.model_dump(),
            adversary_error=share(30 + 40 * step) if stolen else None,
            disagreement=share(35 + 40 * step) if stolen else None,
        )
        for step, point in enumerate(_sweep(number))
    )
