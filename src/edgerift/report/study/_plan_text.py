"""What a study still has to do, as a person reads it in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.report.shared._words import percent, plain
from edgerift.study import Plan, StepState

_STATES: Final = ("running", "ready", "waiting", "failed", "blocked")
_COLOURS: Final = {"running": "cyan", "failed": "red", "blocked": "yellow"}

#: The number of awaited steps that are named; the others are counted.
_NAMED: Final = 6
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def plan_text(plan: Plan, *, details: bool = False) -> RenderableType:
    """Lay a plan out for rich: cells, the graph by kinds of steps, what runs, what failed, and the time left.

    With `details` every step is listed by its name, with what it waits for.
    """
    if plan.is_finished:
        cells = "the only cell" if plan.cells == 1 else f"all {plan.cells:,} cells"
        told = _line(f"Nothing is missing from {_name(plan)}: {cells} finished.")
        rest = ([_listed(plan)] if details else []) + ([_settings(plan)] if plan.settings else [])
        return Group(told, *rest) if rest else told
    parts: list[RenderableType] = [
        _line(f"{_name(plan)}: {plan.finished_cells:,} of {plan.cells:,} cells are finished."),
        _kinds(plan),
    ]
    parts += [_running(step) for step in plan.missing if step.state == "running"]
    parts += [_failed(step, plan) for step in plan.missing if step.state == "failed"]
    parts += [_listed(plan), Text()] if details else []
    parts += [_settings(plan)] if plan.settings else []
    parts.append(_line(estimate_words(plan)))
    if plan.grows:
        parts.append(_line("Searches may add steps: some name what they need next only when others are finished."))
    return Group(*parts)


def _settings(plan: Plan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("setting", overflow="fold")
    table.add_column("value", overflow="fold")
    for name, value in plan.settings.items():
        table.add_row(_line(name), _line(_value(value)))
    return table


def _value(value: object) -> str:
    """Write a value as a study's file has it.

    >>> [_value(value) for value in ([0, 1], None, True, 0.1, "alive", [])]
    ['0, 1', 'none', 'true', '0.1', 'alive', 'none']
    """
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value) or "none"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


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


def _kinds(plan: Plan) -> Table:
    """Show the graph with one node for each kind of step, each behind the kinds that it comes after."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("step")
    table.add_column("after", overflow="fold")
    table.add_column("done", justify="right")
    table.add_column("missing", justify="right")
    table.add_column("of these", overflow="fold")
    table.add_column("takes about", justify="right")
    for kind, after in kind_graph(plan).items():
        missing = [step for step in plan.missing if step.step == kind]
        done = sum(step.step == kind for step in plan.finished)
        states = Counter(step.state for step in missing)
        parts = [Text(f"{states[state]:,} {state}", _COLOURS.get(state, "")) for state in _STATES if states[state]]
        table.add_row(
            _line(kind),
            _line(", ".join(after) or "–"),
            _figure(done),
            _figure(len(missing)),
            Text(", ").join(parts),
            _together(missing),
        )
    return table


def kind_graph(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Name for each kind of step the kinds that it comes after, in an order in which they can run.

    A kind that another one of them comes after itself is left out.
    """
    kinds = {step.key: step.step for step in (*plan.finished, *plan.missing)}
    needs: dict[str, set[str]] = {}
    for step in (*plan.finished, *plan.missing):
        below = {kinds[key] for key in step.needs if key in kinds}
        needs.setdefault(step.step, set()).update(below - {step.step})
    order: dict[str, set[str]] = {}
    reached: dict[str, set[str]] = {}
    while len(order) < len(needs):
        left = [kind for kind in needs if kind not in order]
        # Kinds may go round in a circle, though steps never do.
        kind = next((kind for kind in left if needs[kind] <= order.keys()), left[0])
        known = needs[kind] & order.keys()
        implied = {lower for below in known for lower in reached[below]}
        reached[kind] = known | implied
        order[kind] = known - implied
    return {kind: tuple(other for other in order if other in after) for kind, after in order.items()}


def _figure(count: int) -> str:
    return f"{count:,}" if count else "–"


def _together(steps: list[StepState]) -> str:
    """Add up what the estimates say is left of steps, and count those that nothing is known about."""
    known = [max(0.0, step.seconds - step.spent) for step in steps if step.seconds is not None]
    unknown = len(steps) - len(known)
    if not steps:
        return "–"
    if not known:
        return "unknown"
    return duration_words(sum(known)) + (f", {unknown:,} unknown" if unknown else "")


def _running(step: StepState) -> Text:
    usual = "" if step.seconds is None else f" of about {duration_words(step.seconds)}"
    said = f" {step.name}{_far(step)}; {duration_words(step.spent)}{usual}; {step.where}"
    return Text.assemble(("running", _COLOURS["running"]), _line(said))


def _far(step: StepState) -> str:
    far = f", {step.done:,} of {step.total:,} ({percent(step.done / step.total)})" if step.total else ""
    return f"; {step.task}{far}" if step.task else ""


def _failed(step: StepState, plan: Plan) -> Text:
    blocked = Counter(one.step for one in plan.missing if one.blocked_by == step.key)
    blocks = ", ".join(f"{count:,} {name}" for name, count in sorted(blocked.items()))
    lines = [f" {step.name}: {step.error or 'no error was noted'}"]
    lines += [f"  it blocks {_counted(blocked.total(), 'step')}: {blocks}"] if blocks else []
    lines += [f"  log: {step.log}"] if step.log else []
    return Text.assemble(("failed", _COLOURS["failed"]), _line("\n".join(lines)))


def _listed(plan: Plan) -> Text:
    """List every step by its name, each behind all that it needs, with its state, its time and what it waits for."""
    steps = {step.key: step for step in (*plan.finished, *plan.missing)}
    lines: list[Text] = []
    for step in steps.values():
        shared = f" ({step.cells:,} cells)" if step.cells > 1 else ""
        state = Text(f"  {step.state}", _COLOURS.get(step.state, ""))
        lines += [_line(step.name + shared), Text.assemble(state, _line(_told(step, steps)))]
    return Text("\n").join(lines)


def _told(step: StepState, steps: Mapping[str, StepState]) -> str:
    """Say of a listed step how long it takes or took, and what it still waits for."""
    if step.state == "finished":
        return "" if step.seconds is None else f" in {duration_words(step.seconds)}"
    if step.state == "running":
        time = f" for {duration_words(step.spent)}{_far(step)}"
    else:
        time = ", time unknown" if step.seconds is None else f", takes about {duration_words(step.seconds)}"
    if step.blocked_by is not None and step.blocked_by in steps:
        return f"{time}; {steps[step.blocked_by].name} failed"
    # What a step that it waits for waits for itself goes without saying.
    implied = {lower for key in step.waits_for if key in steps for lower in steps[key].waits_for}
    waits = [steps[key].name for key in step.waits_for if key in steps and key not in implied]
    more = [f"{len(waits) - _NAMED:,} more"] if len(waits) > _NAMED else []
    return time + (f"; waits for {'; '.join([*waits[:_NAMED], *more])}" if waits else "")


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _these(steps: int) -> str:
    return "this step" if steps == 1 else f"these {steps:,} steps"


def _line(text: str) -> Text:
    return Text(plain(text))
