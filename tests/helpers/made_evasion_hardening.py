"""A hardening against evasion that nobody measured."""

from made_hardening import made_hardening, share

from edgerift.harden import ChoicePart, EvasionHardening, MeansPart, ReachPart, TrialPart
from edgerift.specification import Guard

EPSILONS = (1, 2, 4, 8)


def made_trial(
    wanted: float | None,
    evasive: tuple[int, ...],
    *,
    right: int = 95,
    answered: int = 98,
    abstained: int | None = None,
) -> TrialPart:
    """Make a trial on 100 images with so many evasive ones of 100 at each epsilon."""
    guard = None if wanted is None else Guard(threshold=0.5)
    kept = 100 if wanted is None else answered
    silent = None if abstained is None else share(abstained, 100)
    reach = [
        ReachPart(epsilon=one, evasive=share(found, 100), abstained=silent, certified=share(3, 100))
        for one, found in zip(EPSILONS, evasive, strict=False)
    ]
    return TrialPart(
        wanted=wanted,
        guard=guard,
        coverage=share(kept, 100),
        accuracy=share(right * kept // 100, kept),
        reach=tuple(reach),
    )


def made_means(name: str, title: str, *trials: TrialPart) -> MeansPart:
    return MeansPart(name=name, title=title, trials=trials)


def made_evasion_hardening(
    *tried: MeansPart, chosen: ChoicePart | None = None, nearest: ChoicePart | None = None
) -> EvasionHardening:
    """Make the document of means that were tried, `qat` among them."""
    last = nearest or ChoicePart(means=tried[-1].name, wanted=tried[-1].trials[-1].wanted)
    return EvasionHardening(
        edgerift="0",
        model="resnet8",
        target="mobile",
        runtime="executorch",
        data=made_hardening(("qat",)).data,
        epsilon=8,
        evasive=0.10,
        coverage=0.98,
        accuracy_drop=0.01,
        selecting="default",
        judging="pair-attack-1",
        undefended="qat",
        tried=tried,
        chosen=chosen,
        nearest=last,
        test={
            "undefended": made_trial(None, (0, 0, 0, 45)),
            "hardened": made_trial(0.98, (0, 0, 0, 1), abstained=40),
        },
        verdict="One line.\nAnother line.",
    )
