"""A document of one run as the result of a study of one cell, so that its facts can be selected like a study's."""

from __future__ import annotations

from edgerift.facts._facts import Facts, facts
from edgerift.harden import Hardening
from edgerift.study import DataChoice, NetworkChoice, Study, StudyResult, TheftCell, TheftPlan


def single(hardening: Hardening) -> Facts:
    """Read every figure of one comparison of hardened victims."""
    # Names of a run may be such that no study's file could have them.
    name, seed = hardening.data.name, hardening.data.seed
    study = Study.model_construct(
        study="comparison",
        title="Hardened victims",
        seeds=(seed,),
        data={name: DataChoice()},
        originals={hardening.model: NetworkChoice.model_construct(model=hardening.model)},
        theft=TheftPlan.model_construct(rows=(), targets=(hardening.target,)),
    )
    cell = TheftCell.model_construct(
        key="", data=name, original=hardening.model, seed=seed, target=hardening.target, hardening=hardening
    )
    return facts(
        StudyResult.model_construct(
            edgerift=hardening.edgerift, profile="", study=study, pairs=(), thefts=(cell,), missing=()
        )
    )
