"""A made study with every attacker beside those who have both models, and maps that say what was taken for what."""

from made_study import TEST, made_diva

from edgerift.audit import EmbeddingPart, SurrogatePart
from edgerift.differ import DifferPart
from edgerift.measure import Rate, interval, mcnemar, spread
from edgerift.study import AttackChoice, DifferedPart, FlippedPart, PairCell, StudyResult, SurrogatePlan

QUERIES = 5_000
BELIEVED = AttackChoice(preset="default", title="without the original", knows="build")
WEIGHED = {
    f"diva-c{c:g}": AttackChoice(preset="diva-2022", change={"stop": "never", "objective": {"type": "diva", "c": c}})
    for c in (0.5, 5.0)
}


def made_knowledge() -> StudyResult:
    """Add to a made study of evasion what attacks with surrogates and another weight found."""
    result = made_diva(missing=False)
    assert result.study.evasion is not None
    attacks = {**result.study.evasion.attacks, "semi-black-box": BELIEVED, **WEIGHED}
    plan = result.study.evasion.replace(attacks=attacks, surrogate=SurrogatePlan(budget=QUERIES))
    return result.replace(study=result.study.replace(evasion=plan), pairs=tuple(map(_cell, result.pairs)))


def _cell(cell: PairCell) -> PairCell:
    report = cell.report
    attacks = {**report.attacks, "diva-c0.5": report.attacks["pgd"], "diva-c5": report.attacks["default"]}
    surrogates, beside = {}, {}
    if cell.adaptation != "finetune":
        attacks["semi-black-box"] = report.attacks["pgd"]
        surrogates["semi-black-box"] = SurrogatePart(
            knows="build",
            queries=QUERIES - cell.seed,
            agreement=interval(Rate(800 + cell.seed, TEST)),
            agreement_original=interval(Rate(700 + cell.seed, TEST)),
        )
        beside = {"flips": _flipped(cell.seed), "differ": _differed(cell.seed)}
    embeddings = tuple(map(_taken, report.embeddings))
    return cell.replace(report=report.replace(attacks=attacks, surrogates=surrogates, embeddings=embeddings, **beside))


def _flipped(seed: int) -> FlippedPart:
    return FlippedPart(
        trials=2,
        reached=2 - seed % 2,
        needed=spread([8.0 + seed, 10.0 + seed]),
        accuracy=interval(Rate(900, TEST)),
        flipped=interval(Rate(100 + seed, TEST)),
        random=spread([0.85, 0.87]),
    )


def _differed(seed: int) -> DifferedPart:
    search, control = (
        DifferPart(
            images=40,
            already=2,
            agreed=38,
            found=interval(Rate(found, 38)),
            build_wrong=found - 1,
            original_wrong=1,
            both_wrong=0,
            queries=800,
            gradients=700,
            coverage=0.5,
        )
        for found in (12 + seed, 3)
    )
    return DifferedPart(search=search, control=control, only_search=10 + seed, only_control=1, p=mcnemar(10 + seed, 1))


def _taken(part: EmbeddingPart) -> EmbeddingPart:
    first, *_, last = part.classes
    misled = [kind == ("build", "attacked") for kind in zip(part.model, part.condition, strict=True)]
    taken = [first + last - label if wrong else label for label, wrong in zip(part.label, misled, strict=True)]
    return part.replace(taken=tuple(taken))
