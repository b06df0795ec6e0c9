"""The values that a study's steps have, one by one: what a plan lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edgerift.extract import COLLAGES, QUERY_SETS, DataFree
from edgerift.study._settings import DataChoice, Study

#: What differs from seed to seed, and what has no part in a result.
_LEFT_OUT: Final = ("seed", "type", "name")


def setting_values(study: Study) -> dict[str, Any]:
    """List the values of every setting of a study's extractions, by name; that of one data set alone names it.

    Names are dotted: `original.epochs`, `quantization.train.learning_rate`, `thief.training.nesterov (svhn)`. The seed
    of the study is the first. Empty for a study without extractions.
    """
    if study.theft is None:
        return {}
    found = {name: dict(_of_data(study, name, data)) for name, data in study.data.items()}
    shared: dict[str, Any] = {"seeds": list(study.seeds), "size": study.size}
    for key in dict.fromkeys(key for values in found.values() for key in values):
        each = [values.get(key) for values in found.values()]
        if all(value == each[0] for value in each):
            shared[key] = each[0]
        else:
            shared |= {f"{key} ({name})": values[key] for name, values in found.items() if key in values}
    return shared | dict(_of_plan(study))


def _of_data(study: Study, name: str, data: DataChoice) -> Iterator[tuple[str, Any]]:
    plan, seed = study.theft, study.seeds[0]
    assert plan is not None
    for title, network in study.originals.items():
        start = "original" if len(study.originals) == 1 else f"original {title}"
        yield f"{start}.model", network.model
        yield f"{start}.stem", network.stem
        yield from _flat(start, study.training(data, network, seed).model_dump(mode="json"))
        yield from _flat("quantization", study.adapting(data, network, seed).model_dump(mode="json"))
    thief = study.stealing(data, seed).model_dump(mode="json")
    yield from _flat("thief", thief)
    yield "thief.queries", data.queries or QUERY_SETS.get(data.source or name, COLLAGES)
    yield "thief.budget", data.budget or plan.budget
    yield "thief.students", list(plan.students if data.students is None else data.students)
    yield "rows", list(plan.rows if data.rows is None else data.rows)
    yield "alphas", list(plan.alphas if data.alphas is None else data.alphas)
    yield from _flat("answers", data.answers)


def _of_plan(study: Study) -> Iterator[tuple[str, Any]]:
    plan = study.theft
    assert plan is not None
    yield "targets", list(plan.targets)
    yield "rows of other targets", list(plan.other_rows)
    yield from _flat("allowance", plan.allowance.model_dump(mode="json"))
    if plan.data_free is None:
        return
    yield "data-free.rows", list(plan.data_free.rows)
    yield "data-free.epsilons", list(plan.data_free.epsilons)
    yield "data-free.controls", plan.data_free.controls
    for name, changes in plan.data_free.attacks.items():
        attack = DataFree.model_validate({"name": name, **changes})
        yield f"{name}.budget", plan.data_free.budgets.get(name, plan.data_free.budget)
        yield from _flat(name, attack.model_dump(mode="json"))


def _flat(start: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{start}.{key}", value)
        elif key not in _LEFT_OUT:
            yield f"{start}.{key}", value
