"""The audit's folder: the models, the result and its schema, the samples, and the evidence."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edgerift.audit._baseline import judge_baseline, read_audit, require_comparable
from edgerift.audit._document import Audit
from edgerift.audit._evidence import FINDINGS, SAMPLES, sample_lines, write_evidence
from edgerift.audit._policy import Policy, judge
from edgerift.audit._recipe import MEASURED, ORIGINAL, PROGRAM, AuditRecipe, Measured
from edgerift.evade import PairSettings
from edgerift.recipes import Progress, silent
from edgerift.store import Store, remove_unfinished, write_whole

AUDIT: Final = "audit.json"
SCHEMA: Final = "audit.schema.json"


def run_audit(
    recipe: AuditRecipe,
    folder: Path,
    store: Store,
    *,
    policy: Policy | None = None,
    baseline: Path | None = None,
    progress: Progress = silent,
) -> Audit:
    """Audit a pair, or look a finished audit up, judge it and write everything but the reports into `folder`.

    The folder gets `audit.json` with its schema, `samples.jsonl`, the findings and copies of the models, so that a
    finding can be replayed from it alone. `baseline` is an earlier audit's folder or `audit.json`. Raises
    :class:`~edgerift.errors.InputError` for a baseline that cannot be compared, and whatever the stages raise.
    """
    if baseline is not None:
        # What cannot be compared is refused before the work, not after it.
        require_comparable(recipe.attacks[recipe.main], read_audit(baseline))
    measured = Measured.model_validate_json((store.get(recipe, progress) / MEASURED).read_bytes())
    found = recipe.searching(recipe.main).open(store, progress)
    samples = sample_lines(found)
    audit = judged(measured, policy or Policy(), samples, baseline)
    folder.mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / FINDINGS):
        remove_unfinished(place, below=False)
    _copy_models(recipe.pair, folder, store)
    write_evidence(
        folder,
        found,
        audit.findings,
        version=audit.edgerift,
        original=ORIGINAL,
        build=recipe.pair.build.artefact,
        fingerprint=audit.pair.fingerprint,
    )
    write_whole(folder / SAMPLES, samples)
    write_whole(folder / SCHEMA, schema())
    write_whole(folder / AUDIT, audit.model_dump_json(indent=2) + "\n")
    return audit


def _copy_models(pair: PairSettings, folder: Path, store: Store) -> None:
    for recipe, name in ((pair.original, ORIGINAL), (pair.program, PROGRAM), (pair.build, pair.build.artefact)):
        write_whole(folder / name, (store.get(recipe) / name).read_bytes())


def judged(measured: Measured, policy: Policy, samples: str, baseline: Path | None) -> Audit:
    """Judge what was measured; the verdict is a pass when every rule holds."""
    values = {name: getattr(measured, name) for name in Measured.model_fields}
    open_audit = Audit(edgerift=version("edgerift"), verdict="pass", gate=(), **values)
    gate = judge(open_audit, policy)
    if baseline is not None:
        gate = (*gate, judge_baseline(open_audit, samples, baseline))
    return open_audit.replace(gate=gate, verdict="pass" if all(rule.holds for rule in gate) else "fail")


def schema() -> str:
    """Write the JSON Schema of `audit.json`."""
    described = Audit.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **described}, indent=2) + "\n"
