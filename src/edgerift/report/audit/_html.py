"""The audit as one HTML file: self-contained, readable offline, with a light and a dark theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgerift.audit import CATALOGUES, Audit, EvasionPart, FleetPart, TheftPart
from edgerift.report.audit._html_charts import (
    attack_colours,
    attacks_chart,
    control_chart,
    curve_chart,
    summary,
    thieves_chart,
)
from edgerift.report.audit._html_images import pictures
from edgerift.report.audit._html_scatter import WIDTH, mark, scatter
from edgerift.report.audit._knowledge import knowledge_words
from edgerift.report.audit._margins import bands
from edgerift.report.audit._rows import attack_order, by_level, class_rows, layer_rows
from edgerift.report.shared import _words
from edgerift.report.shared._fleets import HEADINGS, fleet_rows, fleet_words
from edgerift.report.shared._guarded import guard_words, members_words, suggestion_words
from edgerift.report.shared._page import asset, environment, policy
from edgerift.zoo import FILE_KINDS

_FIRST_FINDINGS = 24
_FIRST_ROWS = 20
_FIRST_REPLAYS = 3


def audit_html(audit: Audit, folder: Path) -> str:
    """Render an audit as a self-contained HTML page.

    `folder` is the audit's folder; the PNG files of the findings are read from it and embedded, up to 200 findings or
    16 MB. A file that is missing, or that does not hold the pixels that the audit recorded, is reported in its place.
    """
    style, script = asset("report.css"), asset("report.js")
    values = {
        "audit": audit,
        "evasion": audit.evasion,
        "fleet": None if audit.evasion is None else audit.evasion.fleet,
        "theft": audit.theft,
        "tampering": audit.tampering,
        "catalogues": [(name, CATALOGUES[name]) for name in CATALOGUES if getattr(audit, name) is not None],
        "subject": _words.subject(audit),
        "outcomes": _words.outcomes(audit),
        "style": style,
        "script": script,
        "policy": policy(style, script),
        "first_rows": _FIRST_ROWS,
        "guard_words": guard_words(audit),
        "suggestion_words": suggestion_words(audit),
        "file_kinds": FILE_KINDS.names(),
        "flags": by_level(audit.flags),
    }
    values |= {} if audit.evasion is None else _evasion(audit, audit.evasion, Path(folder))
    values |= {} if audit.evasion is None or audit.evasion.fleet is None else _fleet(audit, audit.evasion.fleet)
    values |= {} if audit.theft is None else _theft(audit.theft)
    values |= {} if audit.tampering is None else {"tampering_outcome": _words.tampering_outcome(audit.tampering)}
    made = environment()
    made.filters["summary"] = summary
    made.globals |= {"mark": mark, "scatter_width": WIDTH}
    return made.get_template("report.html.j2").render(values)


def _evasion(audit: Audit, evasion: EvasionPart, folder: Path) -> dict[str, Any]:
    """Collect the values of the sections about attacks on single images."""
    shown, others = pictures(evasion, folder)
    control = evasion.control
    return {
        "main": evasion.main,
        "attacks": {name: evasion.attacks[name] for name in attack_order(evasion)},
        "colours": attack_colours(evasion),
        "attacks_chart": attacks_chart(evasion),
        "members": [line for name in attack_order(evasion) if (line := members_words(name, evasion.attacks[name]))],
        "curve_chart": curve_chart(evasion),
        "knowledge_words": knowledge_words(evasion),
        "control_words": _words.control_words(evasion, control) if control else None,
        "control_chart": control_chart(evasion, control) if control else None,
        "first": shown[:_FIRST_FINDINGS],
        "more": shown[_FIRST_FINDINGS:],
        "others": others,
        "bands": bands(evasion.findings),
        "classes": class_rows(evasion, audit.data.classes),
        "layers": layer_rows(evasion),
        "scatters": [scatter(part, audit.data.classes) for part in evasion.embeddings],
    }


def _theft(theft: TheftPart) -> dict[str, Any]:
    """Collect the values of the section about model extraction."""
    return {
        "agreements": {name: _words.agreed(one) for name, one in theft.thieves.items()},
        "thieves_chart": thieves_chart(theft),
        "theft_outcome": _words.theft_outcome(theft),
    }


def _fleet(audit: Audit, fleet: FleetPart) -> dict[str, Any]:
    """Collect the values of the section about several sets of kernels."""
    return {
        "fleet_words": fleet_words(fleet),
        "fleet_headings": HEADINGS,
        "fleet_rows": fleet_rows(fleet),
        "fleet_replays": [_words.replay_command(audit, finding) for finding in fleet.findings[:_FIRST_REPLAYS]],
    }
