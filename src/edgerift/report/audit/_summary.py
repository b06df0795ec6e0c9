"""The audit as a Markdown page: what a CI shows beside the log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edgerift.audit import Audit, EvasionPart, FleetPart, TheftPart
from edgerift.errors import InputError
from edgerift.report.audit._margins import bands_words
from edgerift.report.audit._rows import attack_order, by_level, surest_first
from edgerift.report.shared._fleets import HEADINGS, fleet_rows, fleet_words
from edgerift.report.shared._guarded import guard_words, members_words, suggestion_words
from edgerift.report.shared._markdown import escaped, markdown_table
from edgerift.report.shared._words import (
    agreed,
    bounds,
    fixed,
    gate_numbers,
    outcomes,
    percent,
    replay_command,
    spoken,
    subject,
)
from edgerift.verify import Verification

#: The file whose Markdown GitHub Actions, and compatible CI systems, show on the page of a run.
SUMMARY_VARIABLE: Final = "GITHUB_STEP_SUMMARY"


def audit_summary(audit: Audit) -> str:
    """Write an audit as Markdown: verdict, gate, attacks, attackers, raised checks, and how to replay a finding.

    It is the same for every run of the same audit.
    """
    parts = [f"# edgerift audit: {audit.verdict}", escaped(subject(audit)), *map(escaped, map(str, outcomes(audit)))]
    parts += map(escaped, guard_words(audit))
    parts += _gate(audit)
    parts += [] if audit.evasion is None else _attacks(audit.evasion)
    parts += [] if audit.evasion is None or audit.evasion.fleet is None else _fleet(audit.evasion.fleet)
    parts += [] if audit.theft is None else _thieves(audit.theft)
    parts += [] if audit.tampering is None else _tampering(audit.tampering)
    parts += _checks(audit)
    parts += [] if audit.evasion is None else _replaying(audit, audit.evasion)
    parts += [] if audit.closing is None else ["## Close the gap", f"```sh\n{audit.closing}\n```"]
    parts += map(escaped, suggestion_words(audit))
    return "\n\n".join([*parts, "The whole report is `report.html` in the audit's folder."]) + "\n"


def append_ci_summary(text: str, environ: Mapping[str, str]) -> None:
    """Append Markdown to the file that a CI system names in the environment, if it names one.

    That is `GITHUB_STEP_SUMMARY`. Raises :class:`~edgerift.errors.InputError` for a file that cannot be written.
    """
    name = environ.get(SUMMARY_VARIABLE)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        raise InputError(
            f"cannot append to {name}, which {SUMMARY_VARIABLE} names ({error.strerror}); "
            f"unset {SUMMARY_VARIABLE} to do without"
        ) from None


def _gate(audit: Audit) -> list[str]:
    if not audit.gate:
        return ["The policy has no rules."]
    rows = [(rule.text, *gate_numbers(rule), "holds" if rule.holds else "fails") for rule in audit.gate]
    headings = ("Rule of the gate", "Measured", "Limit", "")
    return ["## Gate", markdown_table(headings, rows, texts=(True, False, False, True))]


def _attacks(evasion: EvasionPart) -> list[str]:
    rows = []
    for name in attack_order(evasion):
        part = evasion.attacks[name]
        calls = "–" if part.gradient_calls is None else fixed(part.gradient_calls, 1)
        shares = (part.fooled, part.original_fooled)
        rows.append(
            (name, percent(part.evasive.value), bounds(part.evasive), *(percent(one.value) for one in shares), calls)
        )
    headings = ("Attack", "Evasive", "95 % interval", "Build wrong", "Original wrong", "Gradients per success")
    more = [bands_words(evasion.findings), *(members_words(name, part) for name, part in evasion.attacks.items())]
    return ["## Attacks", markdown_table(headings, rows), *filter(None, more)]


def _fleet(fleet: FleetPart) -> list[str]:
    table = markdown_table(HEADINGS, fleet_rows(fleet), names=2)
    return ["## One file, several sets of kernels", *map(escaped, fleet_words(fleet)), table]


def _tampering(found: Verification) -> list[str]:
    rows = [(check.name, check.verdict, check.text) for check in found.checks]
    headings = ("Check", "Verdict", "What it found")
    return ["## The build against its original", markdown_table(headings, rows, texts=(True, True, True))]


def _thieves(theft: TheftPart) -> list[str]:
    rows = []
    for name, one in theft.thieves.items():
        same = agreed(one)
        errors = (one.adversary_error, one.defender_error)
        rows.append((name, percent(same.value), bounds(same), *(percent(error.value) for error in errors)))
    headings = ("Attacker", "Clone agrees", "95 % interval", "Clone's error", "Build's error")
    return ["## Model extraction", markdown_table(headings, rows)]


def _checks(audit: Audit) -> list[str]:
    raised = [flag for flag in by_level(audit.flags) if flag.level != "ok"]
    lines = [f"- **{flag.level}** {escaped(f'{flag.name}: {spoken(flag)}')}" for flag in raised]
    return ["## Checks of the evaluation", "\n".join(lines)] if lines else []


def _replaying(audit: Audit, evasion: EvasionPart) -> list[str]:
    findings = surest_first(evasion)
    if not findings:
        return []
    command = replay_command(audit, findings[0])
    return ["## Replay", "In the audit's folder:", f"```sh\n{command}\n```"]
