"""The audit's folder: the models, the result and its schema, the samples, and the evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edgerift.adapt import GivenOriginal
from edgerift.audit._baseline import judge_baseline, read_audit, require_baseline
from edgerift.audit._document import Audit, Made, Measured, SuggestionPart
from edgerift.audit._document_pair import FlagPart
from edgerift.audit._evidence import FINDINGS, SAMPLES, sample_lines, write_evidence
from edgerift.audit._fleet import write_fleet
from edgerift.audit._measures import data_part
from edgerift.audit._opened import ORIGINAL, PROGRAM, Opened, models
from edgerift.audit._policy import Policy, judge
from edgerift.audit._recipe import MEASURED, AuditRecipe
from edgerift.audit._room import REPORTS, require_room
from edgerift.audit._start import start_flags
from edgerift.deploy import RUNTIMES, GivenBuild, guard_path, write_guard
from edgerift.errors import InputError, StoreError
from edgerift.evade import Evasion, PairSettings
from edgerift.run import Workers, run_steps
from edgerift.settings import is_file
from edgerift.steps import Progress, Store, held_folder, remove_unfinished, silent, write_whole

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
    allow_mismatch: bool = False,
    allow_inaccurate: bool = False,
    before: Callable[[], None] | None = None,
    suggest: Callable[[], SuggestionPart] | None = None,
    reports: Callable[[Audit, Path], None] | None = None,
    workers: Callable[[Store], Workers] | None = None,
    progress: Progress = silent,
) -> Audit:
    """Audit a pair, or load a finished audit, judge it and replace the files in `folder` with the result.

    The folder gets `audit.json` with its schema and copies of the models and, where evasion was examined,
    `samples.jsonl` and the findings, so that a finding can be reproduced from it alone. `reports` is called with the
    audit and the folder that holds all these, before they appear in `folder`, and may write more files beside them;
    files of an earlier audit and of this one never mix, and those of the user stay. `baseline` is an earlier audit's
    folder or `audit.json`; `made` describes this run in the document. `before` is called after the checks, before the
    work begins, `suggest` where the gate fails because too many images evade, `workers` to run the steps elsewhere.

    Raises :class:`~edgerift.errors.InputError` for a baseline that cannot be compared and, unless they are allowed, for
    a mismatched pair and an original near chance; :class:`~edgerift.errors.ModelError` for classes in another order;
    :class:`~edgerift.errors.StoreError` when another audit is writing into the folder, a user's own file is in the way
    or a worker's step fails; and what stages raise.
    """
    with held_folder(folder) as held:
        _tidy(held.path)
        names = (AUDIT, *(REPORTS if reports else ()))
        require_room(recipe.pair, held, store, names, earlier_files(held.path))
        opened = Opened(recipe.pair, recipe.images, store, progress)
        _require_comparable(recipe, opened, baseline)
        recipe = recipe.replace(pair_seconds=opened.seconds_to_open())
        require_room(recipe.pair, held, store, names, earlier_files(held.path))
        flags = start_flags(opened, allow_mismatch=allow_mismatch, allow_inaccurate=allow_inaccurate)
        (before or _nothing)()
        measured = _measured(recipe, flags, store, workers, progress)
        found = None if recipe.main is None else recipe.searching(recipe.main).open(store, progress)
        samples = "" if found is None else sample_lines(found)
        audit = judged(measured, policy or Policy(), samples, baseline).replace(made=made)
        audit = audit.replace(suggestion=suggest()) if suggest and audit.is_open else audit
        with held.replaced(last=AUDIT, known=earlier_files(held.path)) as staged:
            _write(recipe, staged, store, audit, found, samples)
            if reports:
                reports(audit, staged)
    return audit


def _tidy(folder: Path) -> None:
    for place in (folder, folder / FINDINGS):
        remove_unfinished(place, below=False)


def _run_elsewhere(recipe: AuditRecipe, store: Store, workers: Workers, progress: Progress) -> None:
    """Run the steps of an audit by workers; the first that failed ends it."""
    for failed in run_steps([recipe], store, workers, progress).failed:
        raise StoreError(f"a step of the audit, {failed.key}, failed: {failed.error}; its log is {failed.log}")


def _nothing() -> None:
    """Run nothing before the work."""


def _require_comparable(recipe: AuditRecipe, opened: Opened, baseline: Path | None) -> None:
    """Refuse a baseline that cannot be compared before the work, not after it."""
    if baseline is None:
        return
    if recipe.main is None:
        raise InputError("a baseline is compared by its evasive images; examine evasion too")
    require_baseline(recipe.attacks[recipe.main], data_part(recipe.images, opened.test), baseline)


def _measured(
    recipe: AuditRecipe,
    flags: tuple[FlagPart, ...],
    store: Store,
    workers: Callable[[Store], Workers] | None,
    progress: Progress,
) -> Measured:
    if workers is not None and not store.has(recipe):
        _run_elsewhere(recipe, store, workers(store), progress)
    found = Measured.model_validate_json((store.get(recipe, progress) / MEASURED).read_bytes())
    return found.replace(pair=found.pair.replace(flags=flags, **_file_names(recipe.pair)))


def _file_names(pair: PairSettings) -> dict[str, str | None]:
    """Name the files of other tools, which are no part of what the store keeps."""
    original, build = pair.original, pair.build
    return {
        "original_file": _name(original)
        if isinstance(original, GivenOriginal) and original.model is not None
        else None,
        "build_file": _name(build) if isinstance(build, GivenBuild) and pair.program is None else None,
    }


def _name(given: GivenOriginal | GivenBuild) -> str | None:
    """Name the file that was given; None where a recipe was read without it."""
    return given.path.name or None


def _write(recipe: AuditRecipe, folder: Path, store: Store, audit: Audit, found: Evasion | None, samples: str) -> None:
    """Write everything but the reports into an empty folder."""
    pair = recipe.pair
    for made, name in models(pair):
        write_whole(folder / name, (store.get(made) / name).read_bytes())
    fingerprint = audit.pair.fingerprint
    if fingerprint.guard is not None:
        write_guard(fingerprint.guard, fingerprint.runtime, folder / pair.build.artefact)
    if audit.evasion is not None and found is not None:
        write_evidence(
            folder,
            found,
            audit.evasion.findings,
            version=audit.edgerift,
            original=ORIGINAL,
            build=pair.build.artefact,
            fingerprint=fingerprint,
            original_sha256=audit.pair.original_sha256,
            specification=audit.pair.specification,
        )
        write_whole(folder / SAMPLES, samples)
        _write_fleet(recipe, folder, store, audit)
    write_whole(folder / SCHEMA, schema())
    write_whole(folder / AUDIT, audit.model_dump_json(indent=2) + "\n")


def _write_fleet(recipe: AuditRecipe, folder: Path, store: Store, audit: Audit) -> None:
    fleet = recipe.fleet()
    if fleet is None or audit.evasion is None or audit.evasion.fleet is None:
        return
    build, specification = recipe.pair.build.artefact, audit.pair.specification
    part, version = audit.evasion.fleet, audit.edgerift
    write_fleet(folder, fleet, part, store, version=version, build=build, specification=specification)


def earlier_files(folder: Path) -> tuple[str, ...]:
    """Name the files of an audit whose folder does not list them: by fixed names, its findings and its models."""
    try:
        audit = read_audit(folder)
    except InputError:
        return ()
    findings = () if audit.evasion is None else audit.evasion.every_finding
    evidence = [name for one in findings for name in (one.clean_png, one.attacked_png, f"{FINDINGS}/{one.id}.json")]
    pair = audit.pair
    models = {ORIGINAL: pair.original_sha256, PROGRAM: pair.program_sha256}
    models |= {f"model{entry.suffix}": pair.fingerprint.sha256 for entry in RUNTIMES.parts()}
    copied = [name for name, digest in models.items() if _digest(folder / name) == digest]
    guards = [guard_path(Path(name)).name for name in copied if pair.fingerprint.guard is not None]
    return (AUDIT, SCHEMA, SAMPLES, *REPORTS, *evidence, *copied, *guards)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if is_file(file) else ""


def judged(measured: Measured, policy: Policy, samples: str, baseline: Path | None) -> Audit:
    """Judge what was measured; the verdict is a pass when every rule holds."""
    gate = judge(measured, policy)
    if baseline is not None:
        gate = (*gate, judge_baseline(measured, samples, baseline))
    return Audit(
        edgerift=version("edgerift"),
        verdict="pass" if all(rule.holds for rule in gate) else "fail",
        gate=gate,
        data=measured.data,
        pair=measured.pair,
        evasion=measured.evasion,
        theft=measured.theft,
        tampering=measured.tampering,
        times=measured.times,
    )


def schema() -> str:
    """Write the JSON Schema of `audit.json`."""
    described = Audit.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **described}, indent=2) + "\n"
