"""What the reports of a study say beside its tables."""

from __future__ import annotations

from typing import Final

from edgerift.report.shared._allowances import loss_words
from edgerift.report.shared._words import attack_words, plain, size_words
from edgerift.report.tables._table import Place
from edgerift.study import DataFreePlan, MissingCell, Study, StudyResult

PLACES: Final[dict[Place, str]] = {"evasion": "Attacks on single images", "theft": "Model extraction"}


def cell_count(result: StudyResult) -> tuple[int, int]:
    """Count the cells that have a result, and all."""
    found = len(result.pairs) + len(result.thefts) + len(result.data_free)
    return found, found + len(result.missing)


def cells_words(result: StudyResult) -> str:
    """Say how many cells have a result."""
    found, whole = cell_count(result)
    if found == whole:
        return f"All {whole} cells have a result." if whole != 1 else "The only cell has a result."
    return f"{found} of {whole} cells have a result; the tables say over how many seeds their figures are."


def missing_words(cell: MissingCell) -> str:
    """Name a cell without a result, and say why."""
    return f"{cell.name}: {cell.error or 'not run to its end yet'}"


def study_words(result: StudyResult) -> str:
    """Name the study, its profile and its seeds."""
    seeds = ", ".join(map(str, result.study.seeds))
    many = "seed" if len(result.study.seeds) == 1 else "seeds"
    return f"Study {result.study.study}, profile {result.profile}, {many} {seeds}, edgerift {result.edgerift}."


def command(result: StudyResult) -> str:
    """Give the command that makes a result again; a study of one's own is looked for where it is run."""
    folder = "studies/" if result.study.paper is not None else ""
    # A backtick would end the code that pages show it as.
    return plain(f"edgerift study run {folder}{result.study.study}.yaml --profile {result.profile}").replace("`", "'")


def setting_rows(study: Study) -> list[tuple[str, str]]:
    """List what was studied, each with a name."""
    networks = (f"{name} = {choice.model}" for name, choice in study.originals.items())
    rows = [("Image sets", f"{', '.join(study.data)}; {size_words(study.size)} pixels by default")]
    rows.append(("Networks", ", ".join(networks)))
    if study.evasion is not None:
        plan = study.evasion
        rows += [
            (f"Attack {choice.title or name}", attack_words(choice.attack)) for name, choice in plan.attacks.items()
        ]
        rows.append(("Adapted models", f"{', '.join(plan.adaptations)}; builds for target {plan.target}"))
    if study.theft is not None:
        theft = study.theft
        allowed = theft.allowance
        rows.append(("Victims of extraction", f"{', '.join(theft.rows)}; targets {', '.join(theft.targets)}"))
        rows.append(
            (
                "Allowance",
                f"l1 {allowed.l1:g} from the plain QAT model and {loss_words(allowed)}, on the validation images",
            )
        )
        rows.append(("Budget", f"{theft.budget:,} queries per clone by default"))
        if theft.data_free is not None:
            rows.append(("Data-free extraction", _data_free_words(theft.data_free)))
    return rows


def data_free_budget_words(plan: DataFreePlan) -> str:
    """Give the query budget of data-free attackers."""
    own = ", ".join(f"{budget:,} for {name}" for name, budget in plan.budgets.items())
    return f"{plan.budget:,} queries{f' ({own})' if own else ''}"


def _data_free_words(plan: DataFreePlan) -> str:
    epsilons = f"; epsilon also {', '.join(f'{epsilon:g}' for epsilon in plan.epsilons)}" if plan.epsilons else ""
    where = f"; data {', '.join(plan.data)}" if plan.data else ""
    seeds = f"; seeds {', '.join(map(str, plan.seeds))}" if plan.seeds else ""
    controls = "; with controls" if plan.controls else ""
    return (
        f"{', '.join(plan.rows)}, by {', '.join(plan.attacks)}, {data_free_budget_words(plan)} for each clone"
        f"{epsilons}{where}{seeds}{controls}"
    )
