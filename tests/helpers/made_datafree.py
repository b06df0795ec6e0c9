"""Thefts without images that nobody ran: attacks that rounding blinds, some of them at any epsilon."""

import math
from collections.abc import Sequence

from made_hardening import mean, share

from edgerift.defend import Defence, ReverseSigmoid
from edgerift.extract import CurvePoint, DataFree, DataFreeTheft, Masking, Measured
from edgerift.harden import DataFreeComparison, DataFreeEntry
from edgerift.study import DataFreeCell, DataFreePlan, StudyResult

ATTACKS = ("dfme", "maze-dfme", "disguide", "disguide-hard")
EPSILONS = (0.01, 0.1, 1.0, 5.0)
VICTIMS = ("large", "qat", "divqat")
BUDGET, POINTS, TEST = 1_000_000, 5, 2000

#: How well an attack's clones of the float original do, and what quantization and DivQAT add to their errors.
_FIRST = {"dfme": 0.31, "maze-dfme": 0.47, "maze": 0.4, "disguide": 0.36, "disguide-hard": 0.43}
_ADDED = {"large": 0.0, "ptq": 0.02, "qat": 0.03, "rs": 0.06, "dcp": 0.09, "divqat": 0.11}


def with_data_free(
    result: StudyResult,
    *,
    attacks: Sequence[str] = ATTACKS,
    epsilons: Sequence[float] = EPSILONS,
    rows: Sequence[str] = VICTIMS,
    data: Sequence[str] = (),
    seeds: Sequence[int] = (),
    controls: bool = True,
) -> StudyResult:
    """Add thefts without images to a made study of theft, for the sets and seeds named, or for all."""
    plan = DataFreePlan(
        attacks={name: {"student": "resnet8"} for name in attacks},
        rows=tuple(rows),
        epsilons=tuple(epsilons),
        controls=controls,
        budget=BUDGET,
        points=POINTS,
        data=tuple(data),
        seeds=tuple(seeds),
    )
    study = result.study
    assert study.theft is not None
    cells = [
        DataFreeCell(
            key=f"data-free-harden-{name}-{original}-{seed}-{attack}",
            data=name,
            original=original,
            seed=seed,
            attack=attack,
            comparison=made_thefts(seed + 3 * place, [attack], epsilons, rows, controls=controls),
        )
        for seed in seeds or study.seeds
        for place, name in enumerate(data or study.data)
        for original in study.originals
        for attack in plan.attacks
    ]
    changed = study.replace(theft=study.theft.replace(data_free=plan))
    return result.replace(study=changed, data_free=tuple(cells))


def made_thefts(
    shift: int = 0,
    attacks: Sequence[str] = ATTACKS,
    epsilons: Sequence[float] = EPSILONS,
    rows: Sequence[str] = VICTIMS,
    *,
    controls: bool = True,
) -> DataFreeComparison:
    """A comparison in the order in which the step writes it; `shift` moves its figures."""
    entries = []
    for victim in rows:
        for name in attacks:
            differences = DataFree.model_validate({"name": name}).differences
            own = None if differences is None else differences.epsilon
            tried = [own, *(epsilons if own is not None and victim != "large" else ())]
            entries += [made_entry(victim, name, epsilon, shift) for epsilon in tried]
            if controls and own is not None:
                control = "whole pixels" if victim == "large" else "simulated"
                entries.append(made_entry(victim, name, own, shift, control))
    return DataFreeComparison(entries=tuple(entries))


def made_entry(
    victim: str, attack: str, epsilon: float | None, shift: int = 0, control: str | None = None
) -> DataFreeEntry:
    """A theft whose clone is as good as its attack's differences are."""
    smooth = epsilon is None or control == "simulated" or (victim == "large" and control is None)
    sight = 1.0 if smooth or epsilon is None else _sight(epsilon, victim)
    correlation = None if epsilon == 1e-3 and victim == "divqat" and not smooth else round(sight - 0.01 * shift, 4)
    zero = 0.0 if smooth or epsilon is None else round(math.exp(-8 * epsilon**0.3) * 1.6, 4)
    wobble = 0.006 * ((5 * shift + 3 * len(victim) + len(attack)) % 7)
    best = _FIRST[attack] + _ADDED.get(victim, 0.04) + 0.013 * shift
    final = 0.9 - (0.9 - best) * max(0.0, sight) ** 0.5 + wobble
    fields = {} if epsilon is None else {"differences": _differences(attack, epsilon)}
    defences: tuple[Defence, ...] = (ReverseSigmoid(beta=0.12),) if victim == "rs" else ()
    masking = None
    if epsilon is not None:
        ratio = None if correlation is None else 1.0 if smooth else 1 / epsilon
        masking = Masking(epsilon=epsilon, points=10_000, zero_share=zero, correlation=correlation, ratio=ratio)
    return DataFreeEntry.model_validate(
        {
            "victim": victim,
            "attack": attack,
            "epsilon": epsilon,
            "control": control,
            "theft": DataFreeTheft(
                attack=DataFree.model_validate({"name": attack, "student": "resnet8", **fields}),
                defences=defences,
                pixels="float" if smooth and attack in ("dfme", "maze-dfme") else "whole",
                simulated=control == "simulated",
                budget=BUDGET,
                spent=BUDGET - 123,
                defender_error=share(20 + round(50 * _ADDED.get(victim, 0.04)) + shift),
                adversary_error=share(round(359 * final)),
                disagreement=share(round(359 * final) + 5),
                l1=mean(0.21 if defences else 0.0, 0.01 if defences else 0.0),
                divergence=mean(0.4 + final),
                calibration_error=0.05,
                negative_log_likelihood=0.4,
                validation_error=share(round(359 * final) - 2),
                curve=tuple(
                    _point(number, final, None if epsilon is None else zero, masking) for number in range(POINTS)
                ),
            ),
        }
    )


def _sight(epsilon: float, victim: str) -> float:
    """Rounding hides what is small, and curvature what is far."""
    seen = epsilon / (epsilon + (0.6 if victim == "divqat" else 0.4)) * math.exp(-epsilon / 12)
    return seen if epsilon > 0.05 else 0.02


def _differences(attack: str, epsilon: float) -> dict[str, object]:
    found = DataFree.model_validate({"name": attack}).differences
    assert found is not None
    return found.replace(epsilon=epsilon).model_dump()


def _point(number: int, final: float, zero: float | None, masking: Masking | None) -> CurvePoint:
    left = 0.3 ** (number + 1 if number + 1 < POINTS else 99)
    error = final + (0.9 - final) * left
    measured = Measured(error=error, disagreement=min(1.0, error + 0.01), divergence=0.4 + error, masking=masking)
    queries = (number + 1) * BUDGET // POINTS
    return CurvePoint(queries=queries, clone_loss=1.0 + left, zero_share=zero, measured=measured)
