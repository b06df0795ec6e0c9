"""The smallest number of bit flips that destroys a build, judged on several runtimes: chosen flips and random ones.

    python benchmarks/flips.py --original original.safetensors --data cifar10 --data-root DIR [--methods ptq qat]
        [--runtimes executorch onnxruntime] [--trials 3] [--count 2000] [--out benchmarks/flips.json]

Every build is made from the same original. The twin that steers is that of the converted graph; each flipped build
answers test images on its runtime, none of which steered. Finished searches are kept in the store.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from edgerift import images
from edgerift.adapt import AdaptRecipe, given_original
from edgerift.deploy import RUNTIMES
from edgerift.flips import FlipSettings, FlipsRecipe
from edgerift.steps import Store, default_root


def found(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Search on every runtime after every method, and summarise."""
    store = Store(arguments.store or default_root())
    described = images.resolve(images.ImagesSettings(source=arguments.data, size=arguments.size))
    original = given_original(arguments.original)
    rows = []
    for method in arguments.methods:
        for runtime in arguments.runtimes:
            target = RUNTIMES[runtime].targets[0]
            program = AdaptRecipe.model_validate(
                {"original": original, "images": described, "method": method, "target": target}
            )
            recipe = FlipsRecipe(
                program=program,
                original=original,
                images=described,
                runtime=runtime,
                settings=FlipSettings(trials=arguments.trials, flips=arguments.flips),
                count=arguments.count,
            )
            report = recipe.open(store, lambda task, done, total, note="": None)
            rows.append({"method": method, "target": target, **report.model_dump(mode="json")})
            print(table(rows[-1:]), flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Write the rows as a table in Markdown."""
    lines = [
        "| build | accuracy | flips, by trial | accuracy after | random flips: accuracy |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        needed = ", ".join(str(trial["needed"] or f"not in {len(trial['flips'])}") for trial in row["trials"])
        after = ", ".join(f"{100 * trial['accuracy']['value']:.1f} %" for trial in row["trials"])
        random = ", ".join(f"{part['flips']}: {100 * part['accuracy']['value']:.1f} %" for part in row["random"])
        before = f"{100 * row['accuracy']['value']:.1f} %"
        lines.append(
            f"| {row['method']} for {row['target']}, {row['runtime']} | {before} | {needed} | {after} | {random} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the options, search, and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, required=True)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--runtimes", nargs="+", default=["executorch", "onnxruntime"])
    parser.add_argument("--methods", nargs="+", default=["ptq"], choices=["ptq", "qat"])
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--flips", type=int, default=50)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.data_root is not None:
        os.environ["EDGERIFT_DATA"] = str(arguments.data_root)
    rows = found(arguments)
    print(table(rows))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
