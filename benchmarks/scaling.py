"""How the cost of an attack grows with images, pixels, classes, epsilon, steps and workers, one thread each.

    python benchmarks/scaling.py [--images 16] [--turns 3] [--out benchmarks/scaling.json] [--page docs/performance.md]
        [--only workers]

An untrained ResNet-8 and its int8 build on ONNX Runtime are attacked by the default preset, every image to the last
step. One thing changes at a time from the base: 32 pixels, 10 classes, epsilon 8, 20 steps. Seconds are CPU time of one
image, everything included but making the pair; of workers they are time on the clock, for a search in four shards whose
pair each worker opens. The rows take turns, and a figure is the median over them. `slope` is the exponent by which the
time of all images grows from the row before, 1 where it doubles with the quantity. The table is printed, written as
JSON and put into the page between its two marks; rows that are not measured stay as the file has them.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from edgerift import adapt, deploy, evade, zoo
from edgerift.images import ImageSet, ImagesSettings, resolve
from edgerift.run import Place, Processes, run_steps
from edgerift.steps import Store

MARKS: Final = ("<!-- scaling: begin -->", "<!-- scaling: end -->")
BASE: Final = {"pixels": 32, "classes": 10, "epsilon": 8, "steps": 20}
#: What changes from row to row; a value of `images` is a multiple of those that are given.
CHANGES: Final = {
    "pixels": (32, 64, 128, 224),
    "classes": (10, 100, 1000),
    "epsilon": (2, 8, 32),
    "steps": (20, 40),
    "images": (1, 2, 4),
    "workers": (1, 2),
}
#: How many images workers attack in one step, and how many such steps there are.
SHARD, SHARDS = 128, 4


@dataclass(frozen=True)
class Row:
    """What one image costs where `what` has a value, its range over the turns, and its growth from the row before."""

    what: str
    value: int
    seconds: float
    slope: float | None
    least: float
    most: float
    turns: int


def noise(pixels: int, classes: int, count: int) -> ImageSet:
    """Make images without a meaning: a network's cost does not depend on it."""
    draws = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (count, 3, pixels, pixels), generator=draws, dtype=torch.uint8)
    names = tuple(str(number) for number in range(classes))
    return ImageSet("noise", pictures, torch.arange(count) % classes, names, f"noise {pixels} {classes}")


@functools.cache
def pair_of(folder: Path, pixels: int, classes: int) -> evade.Pair:
    """Make an original and its build."""
    torch.manual_seed(0)
    original = zoo.create("resnet8", classes, size=pixels)
    program = adapt.ptq(original, noise(pixels, classes, 16), target="server", calibration_images=16)
    path = folder / f"{pixels}-{classes}.onnx"
    return evade.Pair(original, program, deploy.build(program, runtime="onnxruntime", path=path))


def seconds_of(folder: Path, pixels: int, classes: int, epsilon: int, steps: int, count: int) -> float:
    """Attack images, after two that warm everything up, and return the CPU seconds of one."""
    pair, pictures = pair_of(folder, pixels, classes), noise(pixels, classes, count)
    attack = evade.preset("default", epsilon, steps).replace(stop="never")
    evade.search(pair, pictures.select(range(2)), attack.replace(steps=2), eligible_only=False)
    began = time.process_time()
    evade.search(pair, pictures, attack, eligible_only=False)
    return (time.process_time() - began) / count


def search_of(folder: Path) -> evade.EvadeRecipe:
    """Describe a search by workers: the pair and its images as files. The labels are the original's own answers."""
    pair, pictures = pair_of(folder, BASE["pixels"], BASE["classes"]), noise(BASE["pixels"], 10, 2 * SHARD * SHARDS)
    labels = deploy.twin_scores(pair.original, pictures.images).argmax(1)
    arrays = {"images": pictures.images, "labels": labels, "test_images": pictures.images, "test_labels": labels}
    np.savez(folder / "noise.npz", classes=np.arange(10).astype(str), **{name: a.numpy() for name, a in arrays.items()})
    zoo.save(pair.original, folder / "original.safetensors")
    assert pair.program is not None
    pair.program.save(folder / "program.safetensors")
    described = evade.PairSettings(
        original=adapt.given_original(folder / "original.safetensors"),
        program=deploy.given_program(folder / "program.safetensors"),
        build=deploy.given_build(folder / f"{BASE['pixels']}-{BASE['classes']}.onnx"),
    )
    return evade.EvadeRecipe(
        pair=described,
        images=resolve(ImagesSettings(source=str(folder / "noise.npz"))),
        attack=evade.preset("default", BASE["epsilon"], BASE["steps"]).replace(stop="never"),
        count=SHARD * SHARDS,
        shard=SHARD,
    )


def shared_seconds(folder: Path, workers: int) -> float:
    """Let processes of one thread each attack with a new store, and return the seconds of an image by the clock."""
    search = search_of(folder)
    with tempfile.TemporaryDirectory() as root:
        store = Store(Path(root))
        began = time.perf_counter()
        summary = run_steps([search], store, Processes(Place(store=store.root, threads=1), workers))
        seconds = time.perf_counter() - began
        assert not summary.failed, summary.failed
        assert len(list(store.root.glob("evade-shard-*"))) == SHARDS
    return seconds / (SHARD * SHARDS)


def measured(folder: Path, what: str, value: int, images: int) -> float:
    """Measure one row once."""
    if what == "workers":
        return shared_seconds(folder, value)
    setting = BASE | ({} if what == "images" else {what: value})
    return seconds_of(folder, **setting, count=images * (value if what == "images" else 1))


def turns_of(folder: Path, images: int, turns: int, kinds: list[str]) -> Iterator[list[Row]]:
    """Measure all rows by turns; yields after each turn what is known by then."""
    asked = [(what, value) for what in kinds for value in CHANGES[what]]
    times: dict[tuple[str, int], list[float]] = {row: [] for row in asked}
    for _ in range(turns):
        for row in asked:
            times[row].append(measured(folder, *row, images))
            print(*row, f"{times[row][-1]:.4f} s per image", flush=True)
        yield rows_of(times, images)


def rows_of(times: dict[tuple[str, int], list[float]], images: int) -> list[Row]:
    """Take the medians, and the growth from row to row."""
    rows: list[Row] = []
    for (what, value), found in times.items():
        seconds = statistics.median(found)
        before = rows[-1] if rows and rows[-1].what == what else None
        shown = value * images if what == "images" else value
        slope = None
        if before is not None:
            counted = shown / before.value if what == "images" else 1
            slope = math.log(counted * seconds / before.seconds) / math.log(shown / before.value)
        rows.append(Row(what, shown, seconds, slope, min(found), max(found), len(found)))
    return rows


def table(rows: list[Row]) -> str:
    """Write the rows as a table in Markdown."""
    lines = ["| | | ms per image | hours per 10,000 | grows by the power |", "|---|--:|--:|--:|--:|"]
    for row in rows:
        slope = "" if row.slope is None else f"{row.slope:.2f}"
        what = "workers, by the clock" if row.what == "workers" else row.what
        hours = row.seconds * 10_000 / 3600
        lines.append(f"| {what} | {row.value:,} | {row.seconds * 1e3:,.0f} | {hours:.2f} | {slope} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("scaling.json"))
    parser.add_argument("--page", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CHANGES, default=list(CHANGES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    kept = json.loads(given.out.read_text(encoding="utf-8"))["rows"] if given.out.is_file() else []
    with tempfile.TemporaryDirectory() as folder:
        for found in turns_of(Path(folder), given.images, given.turns, given.only):
            others = [Row(**row) for row in kept if row["what"] not in given.only and "turns" in row]
            rows = sorted(others + found, key=lambda row: list(CHANGES).index(row.what))
            document = {"machine": platform.machine(), "torch": torch.__version__, "base": BASE}
            document |= {"images": given.images, "rows": [asdict(row) for row in rows]}
            given.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            if given.page is not None:
                put_into(given.page, table(rows))
    print(table(rows))


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    content = page.read_text(encoding="utf-8")
    first, last = (content.index(mark) for mark in MARKS)
    page.write_text(f"{content[:first]}{MARKS[0]}\n{text}\n{content[last:]}", encoding="utf-8")


if __name__ == "__main__":
    main()
