"""The files of a map of DivQAT: its rows as CSV, and a picture and a text made of the CSV alone."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgerift.measure import spread
from edgerift.steps import write_whole

CSV, OPTIMUM, PICTURE, TEXT = "map.csv", "optimum.csv", "map.png", "map.md"
COLUMNS = (
    "model", "batch_norm", "learning_rate", "epochs", "alpha", "seed", "l1", "kl", "error", "plain_error", "changed",
    "thief_soft", "apart_soft", "thief_hard", "apart_hard",
)  # fmt: skip
#: How many of the columns say where a cell stands but for its alpha and its seed.
AXES = 4
AXIS_NAMES = ("Network", "Batch norm", "Rate", "Epochs")
COLOURS = ("#0072b2", "#c2410c", "#00855f", "#b4428f", "#e08e00", "#5b6270", "#56b4e9", "#111827")
MARKERS = ("o", "D", "^", "s", "v", "X", "P", "*")
KINDS = ("alive", "frozen")

#: Not a column: says behind an owner's error that the model has collapsed, and nothing measured of it is evidence.
DEAD = "dead"

Cells = Mapping[str, str]


class Line(NamedTuple):
    """A line of the picture: its name, the number of its colour and marker, and its cells in the order of alpha."""

    name: str
    style: int
    cells: list[Cells]


def write_rows(folder: Path, rows: Iterable[Any]) -> None:
    """Write the cells in the order of their axes; what was not measured is empty."""
    told = sorted((_told(row) for row in rows), key=lambda one: [one[name] for name in COLUMNS[: AXES + 2]])
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows({name: _number(one.get(name)) for name in COLUMNS} for one in told)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / CSV, buffer.getvalue())


def _told(row: Any) -> dict[str, Any]:
    found = {**row.axis._asdict(), "alpha": row.alpha, "seed": row.seed, **row.figures.model_dump()}
    for labels, theft in row.stolen.items():
        found |= {f"thief_{labels}": theft.error, f"apart_{labels}": theft.disagreement}
    return found


def _number(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def write_optimum(folder: Path, found: Any) -> None:
    """Write the curve of the closed form; nothing where it was not computed."""
    if found is None:
        return
    rows = zip(found.alphas, found.l1, strict=True)
    write_whole(folder / OPTIMUM, "".join(("alpha,l1\n", *(f"{alpha:.6g},{l1:.6g}\n" for alpha, l1 in rows))))


def write_page(folder: Path, missing: int, usable: tuple[float, float], lost: float, guessing: float) -> None:
    """Write the picture and the text that belong to the folder's CSV; `guessing` is the error of who guesses."""
    with (folder / CSV).open(encoding="utf-8", newline="") as file:
        rows = [{**row, DEAD: _dead(row, guessing)} for row in csv.DictReader(file)]
    curve: list[Cells] = []
    if (folder / OPTIMUM).is_file():
        with (folder / OPTIMUM).open(encoding="utf-8", newline="") as file:
            curve = list(csv.DictReader(file))
    write_whole(folder / PICTURE, _picture(rows, curve, usable))
    write_whole(folder / TEXT, _text(rows, missing, usable, lost))


def _panels(rows: Sequence[Cells]) -> dict[str, list[Line]]:
    """Group the first seed's cells: by batch normalisation, and where networks share an axis by those.

    The network that has the most cells is that of the first panels.
    """
    first = min((row["seed"] for row in rows), default="0")
    own = [row for row in rows if row["seed"] == first and row["l1"]]
    axes = sorted({_axis(row)[:AXES] for row in own}, key=lambda axis: (float(axis[2]), int(axis[3]), axis[0]))
    cells = {axis: sorted((row for row in own if _axis(row)[:AXES] == axis), key=_alpha) for axis in axes}
    common = Counter(axis[0] for axis in axes).most_common(1)[0][0] if axes else ""
    panels: dict[str, list[Line]] = {f"batch normalisation {kind}": [] for kind in KINDS}
    styles = sorted({axis[2:] for axis in axes}, key=lambda key: (float(key[0]), int(key[1])))
    for axis in axes:
        model, batch_norm, rate, epochs = axis
        if model == common:
            line = Line(f"rate {rate}, {epochs} epochs", styles.index(axis[2:]), cells[axis])
            panels[f"batch normalisation {batch_norm}"].append(line)
    shared = {axis[1:] for axis in axes if axis[0] != common}
    for others in sorted(shared):
        models = [axis for axis in axes if axis[1:] == others]
        panels[f"width: {others[0]}, rate {others[1]}, {others[2]} epochs"] = [
            Line(axis[0], len(styles) + number, cells[axis]) for number, axis in enumerate(models)
        ]
    return panels


def _picture(rows: Sequence[Cells], curve: Sequence[Cells], usable: tuple[float, float]) -> bytes:
    from matplotlib.figure import Figure

    panels = _panels(rows)
    figure = Figure(figsize=(4.3 * len(panels), 6.4), dpi=160, layout="constrained", facecolor="white")
    axes = figure.subplots(2, len(panels), sharex=True, sharey="row")
    shown: dict[str, Any] = {}
    for column, (title, lines) in enumerate(panels.items()):
        above, below = axes[0][column], axes[1][column]
        above.axhspan(*usable, color="#e6e5df", zorder=0)
        # The curve is of the common network's original; the panels behind the first have other networks as well.
        if curve and column < len(KINDS):
            points = ([float(row[name]) for row in curve] for name in ("alpha", "l1"))
            above.plot(*points, color="#5b6270", linestyle="--", linewidth=1.2, label="least loss (closed form)")
        above.set_title(title, loc="left", fontsize=10, fontweight="bold")
        for line in lines:
            look = {
                "color": COLOURS[line.style % len(COLOURS)], "marker": MARKERS[line.style % len(MARKERS)],
                "markersize": 4.5, "linewidth": 1.2, "label": line.name,
            }  # fmt: skip
            alphas = [_alpha(row) for row in line.cells]
            above.plot(alphas, [float(row["l1"]) for row in line.cells], **look)
            below.plot(alphas, [100 * float(row["error"]) for row in line.cells], **look)
        handles, names = above.get_legend_handles_labels()
        shown |= {name: handle for name, handle in zip(names, handles, strict=True) if name not in shown}
        below.set_xlabel("alpha", fontsize=9)
        below.set_xlim(-0.05, 1.05 * max(map(_alpha, rows)))
    axes[0][0].set_ylabel("l1 to plain QAT (at 0: to another seed)", fontsize=9)
    axes[1][0].set_ylabel("owner's error (%)", fontsize=9)
    figure.legend(shown.values(), shown, loc="outside lower left", ncols=4, frameon=False, fontsize=8.5)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _text(rows: Sequence[Cells], missing: int, usable: tuple[float, float], lost: float) -> str:
    low, high = usable
    known = [row for row in rows if row["l1"]]
    floors = {_axis(row): float(row["l1"]) for row in known if float(row["alpha"]) == 0}
    inside = [
        row
        for row in known
        if float(row["alpha"]) > 0
        and max(low, floors.get(_axis(row), 0.0)) <= float(row["l1"]) <= high
        and float(row["error"]) - float(row["plain_error"]) < lost
    ]
    told = f"{len(known)} cells are measured" + (
        f", {missing} that are known to be needed are missing" if missing else ""
    )
    head = (
        "# What alpha does\n\n"
        f"Made by `studies/divqat_map.py` from `studies/divqat-map.yaml`: {told}. "
        f"{len(inside)} have an l1 from {low:g} to {high:g}, and above that of another seed, at less than "
        f"{100 * lost:g} points of accuracy lost. "
        "l1: to the plain quantization-aware model of the same seed, at alpha 0 to one of another seed; KL: to the "
        "original, in nats; errors in %. The dashed line is the l1 of the least loss, image by image, in closed form, "
        "of the original that most cells start from: what the loss asks for, which a training from the original's "
        "weights need not reach.\n\n"
        "![What alpha does](map.png)\n\n"
    )
    names = (*AXIS_NAMES, "Alpha", "Seed", "l1", "KL", "Owner", "Plain", "Soft thief", "Hard thief")
    lines = [f"| {' | '.join(names)} |", _rule(names)]
    for row in rows:
        shares = [_percent(row[name]) for name in ("error", "plain_error", "thief_soft", "thief_hard")]
        shares[0] += row[DEAD]
        cells = [*(row[name] for name in COLUMNS[: AXES + 2]), _decimals(row["l1"]), _decimals(row["kl"]), *shares]
        lines.append(f"| {' | '.join(cells)} |")
    return head + _edges(rows, high, lost) + _thefts(rows, high, lost) + "\n".join(["## Every cell\n", *lines]) + "\n"


def _edges(rows: Sequence[Cells], high: float, lost: float) -> str:
    """Say for each axis of the first seed which alphas stand on both sides of the cliff."""
    names = (*AXIS_NAMES, "Last before", "l1", "Points lost", "First beyond", "l1", "Points lost")
    lines = [f"| {' | '.join(names)} |", _rule(names)]
    found: dict[tuple[str, ...], list[Cells]] = {}
    first = min((row["seed"] for row in rows), default="0")
    for row in rows:
        if row["seed"] == first and float(row["alpha"]) > 0:
            found.setdefault(_axis(row)[:AXES], []).append(row)
    for axis, own in found.items():
        beyond = min((row for row in own if not _stands(row, high, lost)), key=_alpha, default=None)
        before = [row for row in own if beyond is None or _alpha(row) < _alpha(beyond)]
        sides = [_side(max(before, key=_alpha, default=None)), _side(beyond)]
        lines.append(f"| {' | '.join((*axis, *sides))} |")
    told = (
        f"## The cliff\n\nBefore it an alpha moves the answers by an l1 of at most {high:g} and costs less than "
        f"{100 * lost:g} points of accuracy.\n\n"
    )
    return told + "\n".join(lines) + "\n\n" if found else ""


def _rule(names: Sequence[str]) -> str:
    return "|" + "--|" * 2 + "--:|" * (len(names) - 2)


def _stands(row: Cells, high: float, lost: float) -> bool:
    return bool(row["l1"]) and float(row["l1"]) <= high and float(row["error"]) - float(row["plain_error"]) < lost


def _alpha(row: Cells) -> float:
    return float(row["alpha"])


def _side(row: Cells | None) -> str:
    if row is None:
        return "- | - | -"
    points = f"{100 * (float(row['error']) - float(row['plain_error'])):.1f}" if row["l1"] else "-"
    return f"{row['alpha']} | {_decimals(row['l1'])} | {points}{row[DEAD]}"


def _thefts(rows: Sequence[Cells], high: float, lost: float) -> str:
    """Say what each alpha before the cliff adds to the attacker's error, in points over the seeds."""
    plain = {_axis(row): row for row in rows if _alpha(row) == 0 and _is_stolen(row)}
    found: dict[tuple[str, ...], list[Cells]] = {}
    fallen: list[str] = []
    lost_seeds: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        diverged = not row["l1"]
        if _alpha(row) == 0 or not (diverged or _is_stolen(row)) or _axis(row) not in plain:
            continue
        if diverged or not _stands(row, high, lost):
            lost_seeds[*_axis(row)[:AXES], row["alpha"]] += 1
            error = f"an owner's error of {_percent(row['error'])} %{row[DEAD]}"
            fallen.append(f"{_place(row)}: {'its training diverged' if diverged else error}")
        else:
            found.setdefault((*_axis(row)[:AXES], row["alpha"]), []).append(row)
    if not found:
        return ""
    names = (*AXIS_NAMES, "Alpha", "Seeds", "Owner's error", "Attacker, soft labels", "hard labels")
    lines = ["## What it buys\n", f"| {' | '.join(names)} |", _rule(names)]
    for key, own in found.items():
        columns = [_added(own, plain, name) for name in ("error", "thief_soft", "thief_hard")]
        whole = len(own) + lost_seeds[key]
        seeds = f"{len(own)} of {whole}" if lost_seeds[key] else f"{whole}"
        lines.append(f"| {' | '.join((*key, seeds, *columns))} |")
    told = (
        "\n\nPoints over alpha 0 of the same seed; brackets: the 95 % interval of Student's t over the seeds. Where a "
        "seed is beyond the cliff, those that are left are chosen by the outcome, and their interval is no evidence."
    )
    gone = f" Left out, as they are beyond the cliff for their seed: {'; '.join(fallen)}." if fallen else ""
    return "\n".join(lines) + told + gone + "\n\n"


def _is_stolen(row: Cells) -> bool:
    """Say whether both thieves are finished."""
    return bool(row["thief_soft"] and row["thief_hard"])


def _place(row: Cells) -> str:
    where = f"of {row['model']} at rate {row['learning_rate']}, {row['epochs']} epochs, batch norm {row['batch_norm']}"
    return f"alpha {row['alpha']} {where}, seed {row['seed']}"


def _added(own: Sequence[Cells], plain: Mapping[tuple[str, ...], Cells], name: str) -> str:
    mean = spread([100 * (float(row[name]) - float(plain[_axis(row)][name])) for row in own])
    if mean.low is None or mean.high is None:
        return f"{mean.value:+.1f} (one seed)"
    return f"{mean.value:+.1f} [{mean.low:+.1f}, {mean.high:+.1f}]"


def _axis(row: Cells) -> tuple[str, ...]:
    return tuple(row[name] for name in (*COLUMNS[:AXES], "seed"))


def _dead(row: Cells, guessing: float) -> str:
    return " (collapsed)" if row["error"] and float(row["error"]) >= guessing else ""


def _percent(share: str) -> str:
    return f"{100 * float(share):.1f}" if share else ""


def _decimals(value: str) -> str:
    return f"{float(value):.3f}" if value else "diverged"
