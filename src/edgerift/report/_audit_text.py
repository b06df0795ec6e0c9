"""The audit as a person reads it in a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.audit._document import Audit, ControlPart, FlagPart
from edgerift.measure import Interval
from edgerift.report._rows import attack_order, by_level
from edgerift.report._words import control_words, gate_numbers, outcome, p_value, percent, plain, rate, sentence

_COLOURS: Final = {"error": "red", "warning": "yellow", "note": "cyan"}


def audit_text(audit: Audit, folder: Path | None = None) -> RenderableType:
    """Lay an audit out for rich: the attacks, what sets quantization apart, the checks that speak, gate and verdict.

    With the audit's folder it also says where the report is and how to replay a finding.
    """
    parts: list[RenderableType] = [_attacks(audit), _text(str(outcome(audit)))]
    parts += [
        _text(f"{one.first} against {one.second}: {one.only_first} to {one.only_second} images, {p_value(one.p)}.")
        for one in audit.comparisons
    ]
    if audit.control is not None:
        parts.append(_control(audit, audit.control))
    parts += [_layers(audit)] if audit.layers else []
    parts += [
        Text.assemble((flag.level, _COLOURS[flag.level]), _text(f" {flag.name}: {_spoken(flag)}"))
        for flag in by_level(audit.flags)
        if flag.level != "ok"
    ]
    where = [] if folder is None else [_where(audit, folder)]
    return Group(*parts, _gate(audit), *where, _verdict(audit))


def _attacks(audit: Audit) -> Table:
    pair = audit.pair
    made = f"{pair.provenance.method} for {pair.target} on {pair.runtime}"
    title = f"{made}, {audit.data.attacked} images of {audit.data.name}"
    table = Table(title=_text(title), title_justify="left")
    table.add_column("")
    for heading in (
        "evasive",
        "95 % interval",
        "at the last step",
        "build wrong",
        "original wrong",
        "gradients a find",
    ):
        table.add_column(heading, justify="right")
    for name in attack_order(audit):
        part = audit.attacks[name]
        calls = "–" if part.gradient_calls is None else f"{part.gradient_calls:.1f}"
        low, high = percent(part.evasive.low), percent(part.evasive.high)
        row = [name, percent(part.evasive.value), f"{low} to {high}", _share(part.evasive_last)]
        row += [_share(part.fooled), _share(part.original_fooled), calls]
        table.add_row(*map(_text, row))
    return table


def _control(audit: Audit, control: ControlPart) -> Text:
    return _text(control_words(audit, control))


def _layers(audit: Audit) -> Text:
    first = max(audit.layers, key=lambda layer: layer.healed.value)
    return _text(f"Layer that matters most: {first.layer}; in float it heals {rate(first.healed)} of the findings.")


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


def _spoken(flag: FlagPart) -> str:
    return " ".join(filter(None, (sentence(flag.seen), sentence(flag.action))))


def _verdict(audit: Audit) -> Text:
    return Text("The gate fails.", "bold red") if audit.verdict == "fail" else Text("The gate holds.", "bold green")


def _where(audit: Audit, folder: Path) -> Text:
    lines = [f"Report: {folder / 'report.html'}"]
    if audit.findings:
        lines.append(f"Replay a finding: edgerift replay {folder / 'findings' / audit.findings[0].id}.json")
    return _text("\n".join(lines))


def _share(interval: Interval | None) -> str:
    return "–" if interval is None else percent(interval.value)


def _text(text: str) -> Text:
    """Show text as it is: a name from a file is neither markup nor a command to the terminal."""
    return Text(plain(text))
