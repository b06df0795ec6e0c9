"""The audit as a person reads it in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.audit import Audit, EvasionPart, FleetPart, TheftPart
from edgerift.measure import Interval
from edgerift.report.audit._knowledge import knowledge_words
from edgerift.report.audit._margins import bands_words
from edgerift.report.audit._rows import attack_order, by_level, surest_first
from edgerift.report.shared._fleets import HEADINGS, fleet_rows, fleet_words
from edgerift.report.shared._guarded import guard_words, members_words, suggestion_words
from edgerift.report.shared._words import (
    agreed,
    control_words,
    evasion_outcome,
    fixed,
    gate_numbers,
    p_value,
    percent,
    plain,
    rate,
    replay_command,
    spoken,
    subject,
    tampering_outcome,
    theft_outcome,
)
from edgerift.verify import Verification

_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "cyan"}


def audit_text(audit: Audit, folder: Path | None = None) -> RenderableType:
    """Lay an audit out for rich: attacks and attackers, the raised checks, the gate and the verdict.

    With the audit's folder it also says where the report is and how to replay a finding.
    """
    parts: list[RenderableType] = [] if audit.evasion is None else _evasion(audit, audit.evasion)
    parts += [] if audit.theft is None else [_thieves(audit, audit.theft), _text(str(theft_outcome(audit.theft)))]
    parts += (
        [] if audit.tampering is None else [_checks(audit.tampering), _text(str(tampering_outcome(audit.tampering)))]
    )
    parts += [
        Text.assemble((flag.level, _COLOURS[flag.level]), _text(f" {flag.name}: {spoken(flag)}"))
        for flag in by_level(audit.flags)
        if flag.level != "ok"
    ]
    where = [] if folder is None else [_where(audit, folder)]
    closing = [] if audit.closing is None else [_command(f"Close the gap: {audit.closing}")]
    suggested = map(_text, suggestion_words(audit))
    return Group(*parts, _gate(audit), *where, *closing, *suggested, _verdict(audit))


def _evasion(audit: Audit, evasion: EvasionPart) -> list[RenderableType]:
    parts: list[RenderableType] = [_attacks(audit, evasion), _text(str(evasion_outcome(evasion)))]
    parts += map(_text, filter(None, [bands_words(evasion.findings)]))
    parts += [
        _text(f"{one.only_first} found only by {one.first}, {one.only_second} only by {one.second}, {p_value(one.p)}.")
        for one in evasion.comparisons
    ]
    parts += [_text(line) for name in attack_order(evasion) if (line := members_words(name, evasion.attacks[name]))]
    parts += map(_text, guard_words(audit))
    if evasion.control is not None:
        parts.append(_text(control_words(evasion, evasion.control)))
    parts += map(_text, knowledge_words(evasion))
    if evasion.fleet is not None:
        parts += [_fleet(evasion.fleet), *map(_text, fleet_words(evasion.fleet))]
    return parts + ([_layers(evasion)] if evasion.layers else [])


def _attacks(audit: Audit, evasion: EvasionPart) -> Table:
    table = _table(f"{subject(audit)}, {evasion.attacked} images")
    for heading in (
        "evasive",
        "95 % interval",
        "at the last step",
        "build wrong",
        "original wrong",
        "gradients per success",
    ):
        table.add_column(heading, justify="right")
    for name in attack_order(evasion):
        part = evasion.attacks[name]
        calls = "–" if part.gradient_calls is None else fixed(part.gradient_calls, 1)
        row = [name, percent(part.evasive.value), _ends(part.evasive), _share(part.evasive_last)]
        row += [_share(part.fooled), _share(part.original_fooled), calls]
        table.add_row(*map(_text, row))
    return table


def _fleet(fleet: FleetPart) -> Table:
    table = Table(title=_text(f"One file, {len(fleet.members)} sets of kernels"), title_justify="left")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading.lower(), justify="left" if number < 2 else "right")
    for row in fleet_rows(fleet):
        table.add_row(*map(_text, row))
    return table


def _thieves(audit: Audit, theft: TheftPart) -> Table:
    table = _table(f"{subject(audit)}, {theft.best.spent:,} queries from {theft.best.queries}")
    for heading in ("clone agrees", "95 % interval", "clone's error", "build's error", "best epoch's error"):
        table.add_column(heading, justify="right")
    for name, one in theft.thieves.items():
        same = agreed(one)
        row = [name, percent(same.value), _ends(same)]
        row += [_share(one.adversary_error), _share(one.defender_error), percent(one.best_epoch.error)]
        table.add_row(*map(_text, row))
    return table


def _checks(found: Verification) -> Table:
    table = _table("The build against its original")
    table.add_column("verdict", no_wrap=True)
    table.add_column("", overflow="fold")
    for check in found.checks:
        table.add_row(*map(_text, (check.name, check.verdict, check.text)))
    return table


def _table(title: str) -> Table:
    table = Table(title=_text(title), title_justify="left")
    table.add_column("")
    return table


def _layers(evasion: EvasionPart) -> Text:
    first = max(evasion.layers, key=lambda layer: layer.healed.value)
    return _text(
        f"Most important layer: {first.layer}; restoring it to float fixes {rate(first.healed)} of the findings."
    )


def _gate(audit: Audit) -> Table:
    table = Table()
    table.add_column("gate")
    table.add_column("measured", justify="right")
    table.add_column("limit", justify="right")
    table.add_column("")
    for rule in audit.gate:
        measured, limit = gate_numbers(rule)
        holds = Text("holds", "green") if rule.holds else Text("fails", "bold red")
        table.add_row(_text(rule.text), _text(measured), _text(limit), holds)
    return table


def _verdict(audit: Audit) -> Text:
    return Text("The gate fails.", "bold red") if audit.verdict == "fail" else Text("The gate holds.", "bold green")


def _where(audit: Audit, folder: Path) -> Text:
    lines = [f"Report: {folder / 'report.html'}"]
    if audit.evasion is not None and audit.evasion.findings:
        command = replay_command(audit, surest_first(audit.evasion)[0], folder)
        lines.append(f"Replay a finding: {command}")
    return _command("\n".join(lines))


def _command(text: str) -> Text:
    """Show a path or a command, which is copied as it stands: no line may break where the screen ends."""
    return Text(plain(text), no_wrap=True, overflow="ignore")


def _ends(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"


def _share(interval: Interval | None) -> str:
    return "–" if interval is None else percent(interval.value)


def _text(text: str) -> Text:
    """Show text as it is: a name from a file is neither markup nor a command to the terminal."""
    return Text(plain(text))
