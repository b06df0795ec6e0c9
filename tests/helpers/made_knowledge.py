"""A made study with attackers who lack a model, a sweep of DIVA's weight, and maps that say what was taken for what."""

from made_study import TEST, made_diva

from edgerift.audit import EmbeddingPart, SurrogatePart
from edgerift.measure import Rate, interval
from edgerift.study import AttackChoice, PairCell, StudyResult, SurrogatePlan

QUERIES = 5_000
BELIEVED = AttackChoice(preset="default", title="without the original", knows="build")
HEAVY = AttackChoice(preset="diva-2022", change={"stop": "never", "objective": {"type": "diva", "c": 5.0}})


def made_knowledge() -> StudyResult:
    """Add to a made study of evasion what attacks with surrogates and another weight found."""
    result = made_diva(missing=False)
    assert result.study.evasion is not None
    attacks = {**result.study.evasion.attacks, "semi-black-box": BELIEVED, "diva-c5": HEAVY}
    plan = result.study.evasion.replace(attacks=attacks, surrogate=SurrogatePlan(budget=QUERIES))
    return result.replace(study=result.study.replace(evasion=plan), pairs=tuple(map(_cell, result.pairs)))


def _cell(cell: PairCell) -> PairCell:
    report = cell.report
    attacks = {**report.attacks, "diva-c5": report.attacks["default"]}
    surrogates = {}
    if cell.adaptation != "finetune":
        attacks["semi-black-box"] = report.attacks["pgd"]
        surrogates["semi-black-box"] = SurrogatePart(
            knows="build",
            queries=QUERIES - cell.seed,
            agreement=interval(Rate(800 + cell.seed, TEST)),
            agreement_original=interval(Rate(700 + cell.seed, TEST)),
        )
    embeddings = tuple(map(_taken, report.embeddings))
    return cell.replace(report=report.replace(attacks=attacks, surrogates=surrogates, embeddings=embeddings))


def _taken(part: EmbeddingPart) -> EmbeddingPart:
    first, *_, last = part.classes
    misled = [kind == ("build", "attacked") for kind in zip(part.model, part.condition, strict=True)]
    taken = [first + last - label if wrong else label for label, wrong in zip(part.label, misled, strict=True)]
    return part.replace(taken=tuple(taken))
