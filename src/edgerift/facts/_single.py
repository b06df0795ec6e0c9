"""A comparison of one run as the result of a study of one cell, so that its facts can be selected like a study's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgerift.facts import readings as of
from edgerift.facts._facts import Facts, facts
from edgerift.facts._metric import Fact
from edgerift.harden import Hardening
from edgerift.study import DataChoice, NetworkChoice, Study, StudyResult, TheftCell, TheftPlan


def single(hardening: Hardening) -> Facts:
    """Read every figure of one comparison of hardened victims, with the paper's for its target."""
    # Names of a run may be such that no study's file could have them.
    name, seed = hardening.data.name, hardening.data.seed
    study = Study.model_construct(
        study="comparison",
        title="Cost and benefit of hardening",
        seeds=(seed,),
        data={name: DataChoice()},
        originals={hardening.model: NetworkChoice.model_construct(model=hardening.model)},
        theft=TheftPlan.model_construct(rows=(), targets=(hardening.target,)),
    )
    cell = TheftCell.model_construct(
        key="", data=name, original=hardening.model, seed=seed, target=hardening.target, hardening=hardening
    )
    result = StudyResult.model_construct(
        edgerift=hardening.edgerift, profile="", study=study, pairs=(), thefts=(cell,), missing=()
    )
    return Facts(result, [*facts(result), *_printed(hardening)])


def _printed(hardening: Hardening) -> Iterator[Fact]:
    for victim, part in hardening.victim.items():
        if part.paper is not None:
            place: dict[str, Any] = {
                "source": "published",
                "data": hardening.data.name,
                "victim": victim,
                "target": hardening.target,
            }
            yield Fact(of.DEFENDER_ERROR, part.paper.defender_error, **place)
            yield Fact(of.CLONE_ERROR, part.paper.adversary_error, labels="soft", **place)
