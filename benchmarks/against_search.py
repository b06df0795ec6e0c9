"""The search of this tree against that of another commit: CPU time and successes on the same images, in turns.

    python benchmarks/against_search.py --baseline COMMIT --pairs FOLDER --data-root DIR \
        [--networks resnet8:64 resnet18:16:100 mobilenet_v2:16] [--images 500] [--turns 3] [--attacks default pgd]

`FOLDER/NETWORK` holds `original.safetensors`, `program.safetensors` and `model.pte`, as `edgerift adapt --data cifar10
--runtime executorch --out FOLDER/NETWORK` of the older commit writes them. A network is given with its batch size and,
if it differs from `--images`, the number of images to attack. Each side is a process of its own with one thread, which
keeps freed memory as the command line does, and both take turns; a ratio is the median over the turns of the new CPU
time over the old one in the same turn. Successes are counted in the last turn: on how many images each side has one,
and on how many only one side.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgerift.measure import mcnemar

HERE = Path(__file__).resolve().parent
NETWORKS = ("resnet8:64", "resnet18:16", "mobilenet_v2:16")


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Unpack the sources of a commit, as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        content = subprocess.run(["git", "archive", commit, "src"], cwd=HERE.parent, check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", folder], input=content.stdout, check=True)
        yield Path(folder) / "src"


class Side:
    """A worker with the sources of one side; it takes a turn whenever it is asked to."""

    def __init__(self, sources: Path, arguments: list[str]) -> None:
        """Start it; it prepares while the other side starts."""
        environment = {**os.environ, "PYTHONPATH": str(sources), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(HERE / "against_search_worker.py"), *arguments]
        pipe = subprocess.PIPE
        self._worker = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)

    def turn(self, attack: str) -> dict[str, Any]:
        """Run one attack; returns its CPU time, its successes and its queries."""
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        print(attack, file=self._worker.stdin, flush=True)
        for line in self._worker.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise SystemExit("a side has stopped; what it said stands above")

    def close(self) -> None:
        """End the worker."""
        assert self._worker.stdin is not None
        self._worker.stdin.close()
        self._worker.wait()


def compared(old: Side, new: Side, attack: str, turns: int) -> dict[str, Any]:
    """Let both sides take turns at one attack, after a first one that does not count."""
    rows = [(old.turn(attack), new.turn(attack)) for _ in range(turns + 1)][1:]
    before, after = rows[-1]
    one, other = set(before["evasive"]), set(after["evasive"])
    return {
        "ratio": statistics.median(second["seconds"] / first["seconds"] for first, second in rows),
        "seconds": [statistics.median(row[side]["seconds"] for row in rows) for side in (0, 1)],
        "images": before["images"],
        "evasive": [len(one), len(other)],
        "only one side": [len(one - other), len(other - one)],
        "p": mcnemar(len(one - other), len(other - one)),
        **{name: [before[name], after[name]] for name in ("gradient calls", "build queries", "original queries")},
        "void": [before["void"], after["void"]],
        "precision": after["precision"],
        "repeats": all(row[1]["evasive"] == after["evasive"] for row in rows),
    }


def attack_rows(
    before: Path, after: Path, arguments: list[str], attacks: list[str], turns: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compare the attacks of two sources on one pair; `arguments` are the worker's."""
    old, new = Side(before, arguments), Side(after, arguments)
    try:
        for attack in attacks:
            yield attack, compared(old, new, attack, turns)
    finally:
        old.close()
        new.close()


def search_rows(baseline: str, pairs: Path, root: Path, networks: list[str], **chosen: Any) -> dict[str, Any]:
    """Compare the attacks on every network; see the module."""
    found: dict[str, Any] = {}
    with checked_out(baseline) as sources:
        for network in networks:
            name, batch, *few = network.split(":")
            arguments = [str(pairs / name), str(root), *(few or [str(chosen["images"])]), batch]
            for attack, row in attack_rows(sources, HERE.parent / "src", arguments, chosen["attacks"], chosen["turns"]):
                found[f"{name}, batch {batch}, {attack}"] = row
                print(f"{name}, batch {batch}, {attack}: {json.dumps(row)}", flush=True)
    return found


def main() -> None:
    """Compare, print the rows, and write them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--attacks", nargs="*", default=["default"])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    rows = search_rows(
        *(given.baseline, given.pairs, given.data_root, given.networks),
        images=given.images,
        turns=given.turns,
        attacks=given.attacks,
    )
    if given.out is not None:
        given.out.write_text(json.dumps({"baseline": given.baseline, "results": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
