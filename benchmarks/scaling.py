"""How the cost of an attack grows with images, pixels, classes, epsilon and steps, on one thread.

    python benchmarks/scaling.py [--images 16] [--out benchmarks/scaling.json] [--page docs/performance.md]

An untrained ResNet-8 and its int8 build on ONNX Runtime are attacked by the default preset, every image to the last
step. One thing changes at a time from the base: 32 pixels, 10 classes, epsilon 8, 20 steps. Seconds are CPU time of one
image, everything included but making the pair; `slope` is the exponent by which they grow from the row before, 1 where
the cost doubles with the quantity. The table is printed, written as JSON and put into the page between its two marks.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import platform
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from edgerift import adapt, deploy, evade, zoo
from edgerift.images import ImageSet

MARKS: Final = ("<!-- scaling: begin -->", "<!-- scaling: end -->")
BASE: Final = {"pixels": 32, "classes": 10, "epsilon": 8, "steps": 20}
#: What changes from row to row; a value of `images` is a multiple of those that are given.
CHANGES: Final = {
    "pixels": (32, 64, 128, 224),
    "classes": (10, 100, 1000),
    "epsilon": (2, 8, 32),
    "steps": (20, 40),
    "images": (1, 2),
}


@dataclass(frozen=True)
class Row:
    """What one image costs where `what` has a value, and the exponent of its growth from the row before."""

    what: str
    value: int
    seconds: float
    slope: float | None
    peak_mib: float


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


def rows_of(folder: Path, images: int) -> list[Row]:
    """Measure all rows; small ones with more images, so that the clock's grain does not matter."""
    rows: list[Row] = []
    for what, values in CHANGES.items():
        before: tuple[int, float] | None = None
        for value in values:
            setting = BASE | ({} if what == "images" else {what: value})
            times = value if what == "images" else 1
            count = times * max(4, images * BASE["pixels"] // setting["pixels"])
            seconds = seconds_of(folder, **setting, count=count)
            total = seconds * times
            slope = None if before is None else math.log(total / before[1]) / math.log(value / before[0])
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append(Row(what, count if what == "images" else value, seconds, slope, peak))
            before = value, total
    return rows


def table(rows: list[Row]) -> str:
    """Write the rows as a table in Markdown."""
    lines = ["| | | CPU ms per image | grows by the power |", "|---|--:|--:|--:|"]
    for row in rows:
        slope = "" if row.slope is None else f"{row.slope:.2f}"
        lines.append(f"| {row.what} | {row.value:,} | {row.seconds * 1e3:,.0f} | {slope} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("scaling.json"))
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(Path(folder), given.images)
    document: dict[str, Any] = {"machine": platform.machine(), "torch": torch.__version__, "base": BASE}
    document |= {"rows": [asdict(row) for row in rows]}
    given.out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    text = table(rows)
    print(text)
    if given.page is not None:
        content = given.page.read_text(encoding="utf-8")
        first, last = (content.index(mark) for mark in MARKS)
        given.page.write_text(f"{content[:first]}{MARKS[0]}\n{text}\n{content[last:]}", encoding="utf-8")


if __name__ == "__main__":
    main()
