"""Compare the attacks on one pair at equal gradient calls: how many of the same images evade the build.

Trains resnet8, adapts it to int8 by QAT (and by PTQ), builds it for ExecuTorch, and attacks the same correctly
classified test images with every preset, with smaller and larger budgets, and with the float control instead of the
build. All steps are kept in the store, so a run that was stopped resumes. Writes a table and `benchmarks/evasion.json`.

    python benchmarks/evasion.py --data cifar10 --data-root DIR --store DIR
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from edgerift import zoo
from edgerift.adapt import AdaptRecipe, FinetuneRecipe
from edgerift.audit import attack_part, comparison
from edgerift.deploy import BuildRecipe
from edgerift.evade import Attack, EvadeRecipe, Evasion, PairSettings, presets
from edgerift.images import ImagesSettings, open_splits, resolve
from edgerift.steps import Store, default_root
from edgerift.train import TrainRecipe, TrainSettings

BASELINE = "diva-2022"


def budgets(epsilon: int) -> dict[str, Attack]:
    """Describe the attacks with other budgets than 20 gradient calls at `epsilon`."""
    others = {
        f"{name}, {steps} steps": presets(epsilon, steps)[name]
        for name in ("diva-2022", "default")
        for steps in (5, 10, 40)
    }
    others["diva-2022, 100 steps"] = presets(epsilon, 100)["diva-2022"]
    starting = presets(epsilon, 10)["diva-2022"]
    others["diva-2022, 2 random starts of 10"] = starting.replace(restarts=2, start="random")
    for small in (1, 2, 4):
        for name in ("pgd", "diva-2022", "pair-margin-shrinking", "default"):
            others[f"{name}, epsilon {small}"] = presets(small)[name]
    return others


def pair_of(original: TrainRecipe, images: ImagesSettings, method: str) -> PairSettings:
    """Describe the pair that one method makes of an original."""
    program = AdaptRecipe.model_validate({"original": original, "images": images, "method": method})
    return PairSettings(original=original, program=program, build=BuildRecipe(program=program, runtime="executorch"))


def row_of(found: Evasion, name: str, baseline: Evasion | None) -> dict[str, Any]:
    """Measure one attack, and compare it with the baseline where both attacked the same images."""
    part = attack_part(found).model_dump(mode="json", exclude={"by_class"})
    against = None
    if baseline is not None and torch.equal(found.index, baseline.index):
        against = comparison(name, found, BASELINE, baseline).model_dump(mode="json")
    return {"name": name, **part, "against_diva_2022": against}


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Print a table of attacks."""
    heads = ("attack", "gradients", "evasive, any iterate", "at the last", "top-5", "build fooled", "p against DIVA")
    table = Table(*heads, title=title)
    for row in rows:
        attack, evasive, against = row["attack"], row["evasive"], row["against_diva_2022"]
        table.add_row(
            row["name"],
            str(attack["steps"] * attack["restarts"]),
            f"{evasive['value']:.1%} [{evasive['low']:.1%}, {evasive['high']:.1%}]",
            f"{row['evasive_last']['value']:.1%}",
            f"{row['evasive_top5']['value']:.1%}" if row["evasive_top5"] else "",
            f"{row['fooled']['value']:.1%}",
            f"{against['p']:.1g}" if against else "",
        )
    console = Console()
    console.width = max(console.width, 140)
    console.print(table)


def main() -> None:
    """Run every attack, print the tables and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--store", type=Path, default=default_root())
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if options.data_root:
        os.environ["EDGERIFT_DATA"] = str(options.data_root)
    images = resolve(ImagesSettings(source=options.data, size=32))
    classes = len(open_splits(images).test.classes)
    original = TrainRecipe(
        images=images,
        architecture=zoo.Architecture(name="resnet8", classes=classes),
        settings=TrainSettings(epochs=options.epochs),
    )
    store = Store(options.store)

    def found(pair: PairSettings, attack: Attack) -> Evasion:
        described = EvadeRecipe(pair=pair, images=images, attack=attack.replace(stop="never"), count=options.count)
        print("attacking", attack.model_dump_json(), flush=True)
        return described.open(store, lambda *_: None)

    qat, ptq = pair_of(original, images, "qat"), pair_of(original, images, "ptq")
    control = qat.replace(control=FinetuneRecipe(original=original, images=images))
    baseline = found(qat, presets()[BASELINE])
    chosen = ("pgd", "diva-2022", "pair-margin", "pair-margin-shrinking", "default")
    tables = {
        "QAT": {name: row_of(found(qat, attack), name, baseline) for name, attack in presets().items()},
        "QAT, other budgets": {name: row_of(found(qat, attack), name, baseline) for name, attack in budgets(8).items()},
        "PTQ": {name: row_of(found(ptq, presets()[name]), name, None) for name in chosen},
        "The original trained further in float, in the place of the build": {
            name: row_of(found(control, presets()[name]), name, None) for name in ("pgd", BASELINE, "default")
        },
    }
    for title, rows in tables.items():
        show(f"{options.data}, resnet8, {title}", list(rows.values()))
    result = {"data": options.data, "count": options.count, "tables": {t: list(r.values()) for t, r in tables.items()}}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
