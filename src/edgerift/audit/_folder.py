"""The audit's folder: the models, the result and its schema, the samples, and the evidence."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edgerift.audit._baseline import judge_baseline, read_audit, require_comparable
from edgerift.audit._document import Audit, Made
from edgerift.audit._evidence import FINDINGS, SAMPLES, remove_evidence, sample_lines, write_evidence
from edgerift.audit._opened import ORIGINAL, PROGRAM
from edgerift.audit._policy import Policy, judge
from edgerift.audit._recipe import MEASURED, AuditRecipe
from edgerift.errors import InputError
from edgerift.evade import Evasion, PairSettings
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
    made: Made | None = None,
    progress: Progress = silent,
) -> Audit:
    """Audit a pair, or look a finished audit up, judge it and write everything but the reports into `folder`.

    The folder gets `audit.json` with its schema and copies of the models and, where evasion was examined,
    `samples.jsonl` and the findings, so that a finding can be replayed from it alone. `baseline` is an earlier audit's
    folder or `audit.json`; `made` is what the document tells of this run. Raises
    :class:`~edgerift.errors.InputError` for a baseline that cannot be compared, and whatever the stages raise.
    """
    if baseline is not None:
        # What cannot be compared is refused before the work, not after it.
        if recipe.main is None:
            raise InputError("a baseline is compared by the images that evade; examine evasion too")
        require_comparable(recipe.attacks[recipe.main], read_audit(baseline))
    measured = Audit.model_validate_json((store.get(recipe, progress) / MEASURED).read_bytes())
    found = None if recipe.main is None else recipe.searching(recipe.main).open(store, progress)
    samples = "" if found is None else sample_lines(found)
    audit = judged(measured, policy or Policy(), samples, baseline).replace(made=made)
    folder.mkdir(parents=True, exist_ok=True)
    for place in (folder, folder / FINDINGS):
        remove_unfinished(place, below=False)
    _copy_models(recipe.pair, folder, store)
    _write_evidence(recipe, folder, audit, found, samples)
    write_whole(folder / SCHEMA, schema())
    write_whole(folder / AUDIT, audit.model_dump_json(indent=2) + "\n")
    return audit


def _write_evidence(recipe: AuditRecipe, folder: Path, audit: Audit, found: Evasion | None, samples: str) -> None:
    """Write the evidence of an evasion; without one, take away what an earlier audit left in the folder."""
    if audit.evasion is None or found is None:
        remove_evidence(folder)
        return
    write_evidence(
        folder,
        found,
        audit.evasion.findings,
        version=audit.edgerift,
        original=ORIGINAL,
        build=recipe.pair.build.artefact,
        fingerprint=audit.pair.fingerprint,
    )
    write_whole(folder / SAMPLES, samples)


def _copy_models(pair: PairSettings, folder: Path, store: Store) -> None:
    for recipe, name in ((pair.original, ORIGINAL), (pair.program, PROGRAM), (pair.build, pair.build.artefact)):
        write_whole(folder / name, (store.get(recipe) / name).read_bytes())


def judged(measured: Audit, policy: Policy, samples: str, baseline: Path | None) -> Audit:
    """Judge what was measured; the verdict is a pass when every rule holds."""
    gate = judge(measured, policy)
    if baseline is not None:
        gate = (*gate, judge_baseline(measured, samples, baseline))
    verdict = "pass" if all(rule.holds for rule in gate) else "fail"
    return measured.replace(edgerift=version("edgerift"), gate=gate, verdict=verdict)


def schema() -> str:
    """Write the JSON Schema of `audit.json`."""
    described = Audit.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **described}, indent=2) + "\n"
