"""The values that a study's steps have, one by one: what a plan lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from edgerift.adapt import adaptation
from edgerift.deploy import default_runtime
from edgerift.extract import COLLAGES, QUERY_SETS, DataFree
from edgerift.study._attack_choice import AttackChoice
from edgerift.study._settings import DataChoice, EvasionPlan, NetworkChoice, Study, TheftPlan

#: What differs from seed to seed, and what has no part in a result.
_LEFT_OUT: Final = ("seed", "type", "name")


def setting_values(study: Study) -> dict[str, Any]:
    """List the values of every setting of a study, by name; where they differ, each names its data set or network.

    Names are dotted: `original.epochs`, `quantization.train.learning_rate`, `thief.training.nesterov (svhn)`,
    `original.model (ResNet)`, `attack.objective.c (diva)`. The seed of the study is the first.
    """
    found = {name: dict(_of_data(study, name, data)) for name, data in study.data.items()}
    shared: dict[str, Any] = {"seeds": list(study.seeds), "size": study.size}
    return shared | _together(found) | dict(_of_thefts(study)) | dict(_of_evasions(study))


def _together(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give once what all have in common, and the rest with the name of each."""
    shared: dict[str, Any] = {}
    for key in dict.fromkeys(key for values in found.values() for key in values):
        each = [values.get(key) for values in found.values()]
        if all(value == each[0] for value in each):
            shared[key] = each[0]
        else:
            shared |= {f"{key} ({name})": values[key] for name, values in found.items() if key in values}
    return shared


def _of_data(study: Study, name: str, data: DataChoice) -> Iterator[tuple[str, Any]]:
    networks = {title: dict(_of_network(study, data, network)) for title, network in study.originals.items()}
    yield from _together(networks).items()
    if study.theft is not None:
        yield from _stealing(study, study.theft, name, data)
    if study.evasion is not None and study.evasion.surrogate is not None:
        yield from _flat("surrogate", study.imitating(data, study.seeds[0]).model_dump(mode="json"))
        yield "surrogate.queries", study.evasion.surrogate.queries or QUERY_SETS.get(data.source or name, COLLAGES)


def _of_network(study: Study, data: DataChoice, network: NetworkChoice) -> Iterator[tuple[str, Any]]:
    seed, plan = study.seeds[0], study.evasion
    yield "original.model", network.model
    yield "original.stem", network.stem
    yield "original.pretrained", network.pretrained
    yield from _flat("original", study.training(data, network, seed).model_dump(mode="json"))
    yield from _flat("quantization", study.adapting(data, network, seed).model_dump(mode="json"))
    if plan is None:
        return
    yield "evasion.count", network.count or plan.count
    made = (adaptation(name).compression for name in plan.adaptations)
    for name in dict.fromkeys(name for name in made if name is not None):
        yield from _flat(name, study.compressing(name, data, network, seed).model_dump(mode="json"))


def _stealing(study: Study, plan: TheftPlan, name: str, data: DataChoice) -> Iterator[tuple[str, Any]]:
    thief = study.stealing(data, study.seeds[0]).model_dump(mode="json")
    yield from _flat("thief", thief)
    yield "thief.queries", data.queries or QUERY_SETS.get(data.source or name, COLLAGES)
    yield "thief.budget", data.budget or plan.budget
    yield "thief.students", list(plan.students if data.students is None else data.students)
    yield "rows", list(plan.rows if data.rows is None else data.rows)
    yield "alphas", list(plan.alphas if data.alphas is None else data.alphas)
    yield from _flat("answers", data.answers)


def _of_evasions(study: Study) -> Iterator[tuple[str, Any]]:
    plan = study.evasion
    if plan is None:
        return
    yield "evasion.adaptations", list(plan.adaptations)
    yield "evasion.target", plan.target
    yield "evasion.runtime", plan.runtime or default_runtime(plan.target)
    yield "evasion.split", plan.split
    yield from _together({name: dict(_of_attack(plan, choice)) for name, choice in plan.attacks.items()}).items()
    yield "pictures.attack", plan.shown
    yield "pictures.adaptations", list(plan.pictured)
    yield "pictures.classes", list(plan.classes)
    yield "pictures.points", plan.points
    if plan.surrogate is not None:
        yield "surrogate.budget", plan.surrogate.budget
    for name, settings in (("flips", study.flipping(study.seeds[0])), ("differ", study.differing(study.seeds[0]))):
        if settings is not None:
            yield from _flat(name, settings.model_dump(mode="json"))


def _of_attack(plan: EvasionPlan, choice: AttackChoice) -> Iterator[tuple[str, Any]]:
    yield "attack.knows", choice.knows
    yield "attack.adaptations", [name for name in plan.adaptations if choice.is_on(name)]
    yield from _flat("attack", choice.attack.model_dump(mode="json"), left_out=("seed",))


def _of_thefts(study: Study) -> Iterator[tuple[str, Any]]:
    plan = study.theft
    if plan is None:
        return
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


def _flat(start: str, values: Mapping[str, Any], left_out: Collection[str] = _LEFT_OUT) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{start}.{key}", value, left_out)
        elif key not in left_out:
            yield f"{start}.{key}", value
