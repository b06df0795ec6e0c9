"""What a study still has to do, as a person reads it in a terminal."""

from __future__ import annotations

from collections import Counter
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.report._words import percent, plain
from edgerift.study import Plan, StepState

_STATES: Final = ("running", "ready", "waiting", "failed", "blocked")
_COLOURS: Final = {"running": "cyan", "failed": "red", "blocked": "yellow"}

#: So many letters of a digest tell steps apart.
_DIGEST: Final = 8
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def plan_text(plan: Plan, *, details: bool = False) -> RenderableType:
    """Lay a plan out for rich: cells, steps by type, what runs, what failed and blocks others, and the time left.

    With `details` every missing step is listed.
    """
    if plan.is_finished:
        cells = "the only cell" if plan.cells == 1 else f"all {plan.cells:,} cells"
        return _line(f"Nothing is missing from {_name(plan)}: {cells} finished.")
    parts: list[RenderableType] = [
        _line(f"{_name(plan)}: {plan.finished_cells:,} of {plan.cells:,} cells are finished."),
        _counts(plan),
    ]
    parts += [_running(step) for step in plan.missing if step.state == "running"]
    parts += [_failed(step, plan) for step in plan.missing if step.state == "failed"]
    parts += [_listed(plan)] if details else []
    parts.append(_line(estimate_words(plan)))
    if plan.grows:
        parts.append(_line("Searches may add steps: some name what they need next only when others are finished."))
    return Group(*parts)


def estimate_words(plan: Plan) -> str:
    """Say how long the missing steps may take on one worker, and of how many that is unknown."""
    steps = len(plan.missing)
    unknown = plan.unknown
    if unknown == steps:
        return f"Time left: unknown; nothing like {_these(steps)} was run before."
    known = f"Time left: about {duration_words(plan.seconds)} on one worker"
    return f"{known}; {_counted(unknown, 'step')} unknown." if unknown else f"{known}."


def duration_words(seconds: float) -> str:
    """Write a time as a person says it, in two units at most.

    >>> [duration_words(seconds) for seconds in (0.2, 42, 605, 7825, 200_000)]
    ['1 s', '42 s', '10 min', '2 h 10 min', '2 d 8 h']
    """
    if seconds < _MINUTE - 0.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / _MINUTE)
    if minutes < _HOUR // _MINUTE:
        return f"{minutes} min"
    if minutes < _DAY // _MINUTE:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = round(seconds / _HOUR)
    return _two(hours // 24, "d", hours % 24, "h")


def _two(many: int, unit: str, rest: int, smaller: str) -> str:
    return f"{many} {unit} {rest} {smaller}" if rest else f"{many} {unit}"


def _name(plan: Plan) -> str:
    return f"{plan.study}, profile {plan.profile}"


def _counts(plan: Plan) -> Table:
    """Count the steps by type: the finished ones, and the missing ones by state."""
    missing: dict[str, Counter[str]] = {}
    for step in plan.missing:
        missing.setdefault(step.step, Counter())[step.state] += 1
    shown = [state for state in _STATES if any(states[state] for states in missing.values())]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("step", overflow="fold")
    for heading in ("finished", "missing", *shown):
        table.add_column(heading, justify="right", style=_COLOURS.get(heading, ""))
    for name in sorted({*plan.finished, *missing}):
        states = missing.get(name, Counter())
        figures = (plan.finished.get(name, 0), states.total(), *(states[state] for state in shown))
        table.add_row(_line(name), *(f"{figure:,}" if figure else "–" for figure in figures))
    return table


def _running(step: StepState) -> Text:
    far = f", {step.done:,} of {step.total:,} ({percent(step.done / step.total)})" if step.total else ""
    task = f": {step.task}{far}" if step.task else ""
    usual = "" if step.seconds is None else f" of about {duration_words(step.seconds)}"
    said = f" {_short(step.key)}{task}; {duration_words(step.spent)}{usual}; {step.where}"
    return Text.assemble(("running", _COLOURS["running"]), _line(said))


def _failed(step: StepState, plan: Plan) -> Text:
    blocked = Counter(one.step for one in plan.missing if one.blocked_by == step.key)
    blocks = ", ".join(f"{count:,} {name}" for name, count in sorted(blocked.items()))
    lines = [f" {_short(step.key)}: {step.error or 'no error was noted'}"]
    lines += [f"  it blocks {_counted(blocked.total(), 'step')}: {blocks}"] if blocks else []
    lines += [f"  log: {step.log}"] if step.log else []
    return Text.assemble(("failed", _COLOURS["failed"]), _line("\n".join(lines)))


def _listed(plan: Plan) -> Table:
    """List every missing step."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("missing step", overflow="fold")
    table.add_column("state")
    table.add_column("waits for", overflow="fold")
    table.add_column("takes about", justify="right")
    for step in plan.missing:
        waits = _counted(step.waits_for, "step") if step.waits_for else "–"
        cause = f"{_short(step.blocked_by)} (failed)" if step.blocked_by else waits
        takes = "unknown" if step.seconds is None else duration_words(step.seconds)
        table.add_row(_line(_short(step.key)), Text(step.state, _COLOURS.get(step.state, "")), _line(cause), takes)
    return table


def _short(key: str) -> str:
    """Cut a step's digest to what tells it apart."""
    name, _, digest = key.rpartition("-")
    return f"{name}-{digest[:_DIGEST]}" if name else key


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _these(steps: int) -> str:
    return "this step" if steps == 1 else f"these {steps:,} steps"


def _line(text: str) -> Text:
    return Text(plain(text))
