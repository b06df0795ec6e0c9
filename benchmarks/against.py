"""This tree against another commit: what starting, searching, training, the demo and a long process cost, in one run.

    python benchmarks/against.py --baseline COMMIT [--rows command-line search pgd engine training demo memory] \
        [--turns 5] [--pairs FOLDER --data-root DIR [--images 500]] [--networks resnet8 resnet18 mobilenet_v2] \
        [--name against] [--out benchmarks/NAME.json] [--page docs/performance.md]

Rows that are not asked for stay as the file has them, and in `search` and `pgd` those of other `--networks`. `search`
and `engine` need `--pairs` and `--data-root`; see against_search.py.

The commit is checked out beside this tree, in a folder of its own, and both sides run with the same Python and the same
packages, by turns, with one thread. Times are CPU time of the whole process, the kernel's and its children's included,
and medians over the turns. `ratio` is new over old; where a row says `over`, it is a share of that. The table is
printed, written as JSON, and put into the page between the two marks of its `--name`: a machine of another kind has a
table of its own.

A part of the table is a function that yields rows, registered in `PARTS` by its name.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from against_compute import engine, pgd, search, training
from sides import NETWORKS, Given, Row, Side

from edgerift.train import fastest_precision

HERE: Final = Path(__file__).resolve().parent

#: What the command line is asked, by its name in the table.
ANSWERS: Final = {
    "edgerift --version": ["--version"],
    "edgerift --help": ["--help"],
    "edgerift audit --help": ["audit", "--help"],
    "edgerift audit --epoch 3": ["audit", "--epoch", "3"],
    "edgerift adit": ["adit"],
}


Part = Callable[[Side, Side, int], Iterator[Row]]


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check a commit out beside this tree, as long as the context lasts."""
    git = ["git", "-C", str(HERE.parent)]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)


def command_line(old: Side, new: Side, turns: int) -> Iterator[Row]:
    """Measure what the command line takes to answer, over the import of PyTorch."""
    imports = {f"import {name}": ["-c", f"import {name}"] for name in ("torch", "edgerift")}
    spent: dict[str, list[list[float]]] = {name: [] for name in (*imports, *ANSWERS)}
    for _ in range(turns + 1):
        for name, arguments in imports.items():
            spent[name].append([side.run(*arguments)[0] for side in (old, new)])
        for name, arguments in ANSWERS.items():
            spent[name].append([side.run(*side.program, *arguments, allowed=(0, 2))[0] for side in (old, new)])
    # The first turn compiles the modules.
    medians = {
        name: [statistics.median(side) for side in zip(*taken[1:], strict=True)] for name, taken in spent.items()
    }
    torch = medians.pop("import torch")[1]
    for name, (before, after) in medians.items():
        yield Row(name, "s", before, after, after / torch, 0.15, "import torch", {"import torch": torch})


def demo(old: Side, new: Side, turns: int) -> Iterator[Row]:
    """Measure `make demo` without its installation, once on each side, and compare what the gates say."""
    del turns
    spent: list[float] = []
    found: dict[str, dict[str, Any]] = {}
    for name, side in (("old", old), ("new", new)):
        out = side.folder / "demo"
        call = ["audit", "--out", str(out), "--store", str(out / ".store")]
        spent.append(side.run(*side.program, *call, allowed=(0, 1))[0])
        audit = json.loads((out / "audit.json").read_text(encoding="utf-8"))
        found[name] = {rule["rule"]: [rule["measured"], rule["holds"]] for rule in audit["gate"]}
        found[name]["stages"] = audit["times"]
    yield Row("make demo", "s", spent[0], spent[1], spent[1] / spent[0], 0.6, notes=found)


def memory(old: Side, new: Side, turns: int) -> Iterator[Row]:
    """Measure the resident memory of a process after 300 small steps of studies, over that after 30.

    The first versions have not what runs the steps; theirs is not measured.
    """
    del turns
    curves: dict[str, Any] = {}
    for name, side in (("old", old), ("new", new)):
        if (side.sources / "edgerift" / "run").is_dir():
            _, told = side.run(str(HERE / "memory.py"), "--curve", "study")
            curves[name] = json.loads(told.splitlines()[-1])
    growth = {name: curve["last"] / curve["early"] for name, curve in curves.items()}
    what, own = "resident memory, 300 study steps over 30", growth["new"]
    yield Row(what, "", growth.get("old"), own, own, 1.2, "30 steps", curves)


#: The parts by name; each yields rows of both sides.
PARTS: Final[dict[str, Part]] = {
    "command-line": command_line,
    "search": search,
    "pgd": pgd,
    "engine": engine,
    "training": training,
    "demo": demo,
    "memory": memory,
}

#: The parts of which `--networks` chooses rows, and those that are measured once.
BY_NETWORK: Final = ("search", "pgd")
ONCE: Final = ("demo", "memory")


def table(rows: list[Row]) -> str:
    """Write the rows as a table in Markdown."""
    lines = ["| | baseline | this tree | ratio | over | target | |", "|---|--:|--:|--:|---|--:|---|"]
    for row in rows:
        met = "met" if row.is_met else "missed"
        before = "not measured" if row.old is None else f"{row.old:.3g} {row.unit}"
        lines.append(
            f"| {row.what} | {before} | {row.new:.3g} {row.unit} | {row.ratio:.2f} | {row.over} | {row.target:.2f} "
            f"| {met} |"
        )
    return "\n".join(lines)


def put_into(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of a page that bear a name."""
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    content = page.read_text(encoding="utf-8")
    if first not in content or last not in content:
        raise SystemExit(f"{page} has no marks {first} and {last}")
    page.write_text(
        content.partition(first)[0] + f"{first}\n{text}\n{last}" + content.partition(last)[2], encoding="utf-8"
    )


def main() -> None:
    """Measure both sides, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", required=True, metavar="COMMIT")
    parser.add_argument("--rows", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--name", default="against", help="the table's name: of its file and of its marks on the page")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--pairs", type=Path, help="a folder of pairs, as against_search.py takes it")
    parser.add_argument("--data-root", type=Path, help="where the images of CIFAR-10 are")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    given = parser.parse_args()
    out = given.out or HERE / f"{given.name}.json"
    kept = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    parts = kept.get("rows", {}) if kept.get("baseline") == given.baseline else {}
    material = Given(given.pairs, given.data_root, given.images, tuple(given.networks))
    with checked_out(given.baseline) as tree, tempfile.TemporaryDirectory() as folder:
        sides = []
        for name, root in (("old", tree), ("new", HERE.parent)):
            (Path(folder) / name).mkdir()
            sides.append(Side(root / "src", Path(folder) / name, material))
        for name in given.rows:
            # One by one: a run that is stopped keeps the parts that it has measured.
            known = {row["what"]: row for row in parts.get(name, [])} if name in BY_NETWORK else {}
            turns = 1 if name in ONCE else given.turns
            conditions = {"turns": turns, "fastest training": fastest_precision("cpu")}
            rows = (replace(row, notes={**row.notes, **conditions}) for row in PARTS[name](*sides, turns))
            known.update((row.what, asdict(row)) for row in rows)
            parts[name] = list(known.values())
            document = {"baseline": given.baseline, "machine": platform.machine(), "rows": parts}
            out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    text = table([Row(**row) for name in PARTS if name in parts for row in parts[name]])
    print(text)
    if given.page is not None:
        put_into(given.page, given.name, text)


if __name__ == "__main__":
    main()
