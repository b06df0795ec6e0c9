"""What thieves without images take from a float victim and from its int8 build: digits, three seeds.

    python benchmarks/datafree_digits.py [--seeds 0 1 2] [--victims float int8] [--size 16] [--workers 1] \
        [--store FOLDER] [--out benchmarks/datafree_digits.json]

Every theft is a step of a store, so that a run that was stopped goes on where it was; rows of the same recipe that
stand in the file of an earlier run are kept. The settings are those that `edgerift extract --data digits --attack NAME`
has; the attacks that take finite differences are run on the build at epsilon 0.001, as published, and at 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from edgerift import zoo
from edgerift.adapt import AdaptRecipe
from edgerift.cli._datafree import DataFreeOptions, data_free_budget, data_free_thief
from edgerift.cli._theft import TheftOptions
from edgerift.deploy import BuildRecipe
from edgerift.extract import DataFreeRecipe
from edgerift.images import ImagesSettings, resolve
from edgerift.recipes import silent
from edgerift.store import Store
from edgerift.study import Place, Processes, run_steps
from edgerift.train import TrainRecipe, TrainSettings

ATTACKS = ("dfme", "maze", "maze-dfme", "disguide", "disguide-hard")


def thefts(size: int, seed: int) -> list[tuple[dict[str, Any], DataFreeRecipe]]:
    """Describe the thefts of one seed, each with what a table says of it."""
    images = resolve(ImagesSettings(source="digits", size=size, seed=seed))
    original = TrainRecipe(
        images=images,
        architecture=zoo.Architecture(name="resnet8", classes=10, size=size),
        settings=TrainSettings(epochs=10, batch_size=64, seed=seed),
        init_seed=seed,
    )
    program = AdaptRecipe(original=original, images=images, method="ptq", target="mobile")
    build = BuildRecipe(program=program, runtime="executorch")
    found = []
    for name in ATTACKS:
        for victim, epsilon in (("float", None), ("int8", None), ("int8", 1.0)):
            if epsilon is not None and name.startswith("disguide"):
                continue
            options = DataFreeOptions(attack=name, epsilon=epsilon)
            stealing = TheftOptions()
            attack = data_free_thief(options, stealing, images, "resnet8", seed=seed, device="auto")
            facts = {"attack": name, "victim": victim, "seed": seed}
            facts["epsilon"] = None if attack.differences is None else attack.differences.epsilon
            recipe = DataFreeRecipe(
                victim=original if victim == "float" else build,
                images=images,
                budget=data_free_budget(stealing, images, attack),
                attack=attack,
                pixels="float" if victim == "float" else "whole",
            )
            found.append((facts, recipe))
    return found


def earlier_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of an earlier run; none where there was none."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def measured(recipe: DataFreeRecipe, store: Store) -> dict[str, Any]:
    """Steal what is not stolen yet, and give its figures."""
    theft = recipe.theft(store, silent)
    last = theft.curve[-1]
    masking = None if last.measured is None else last.measured.masking
    return {
        "spent": theft.spent,
        "defender_error": theft.defender_error.value,
        "adversary_error": theft.adversary_error.value,
        "disagreement": theft.disagreement.value,
        "zero_share": last.zero_share,
        "correlation": None if masking is None else masking.correlation,
    }


def tell(task: str, done: int, total: int, note: str = "") -> None:
    """Print how far the steps are."""
    print(f"{task}: {done} of {total} {note}", flush=True)


def main() -> None:
    """Steal what is not stolen yet, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--victims", nargs="+", choices=("float", "int8"), default=["float", "int8"])
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("datafree-digits-store"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/datafree_digits.json"))
    given = parser.parse_args()
    described = [theft for seed in given.seeds for theft in thefts(given.size, seed)]
    # Float victims first: that the clone of an undefended one learns is what the rest is compared with.
    described.sort(key=lambda theft: theft[0]["victim"] != "float")
    planned = {recipe.digest(): (facts, recipe) for facts, recipe in described if facts["victim"] in given.victims}
    found = {row["recipe"]: row for row in earlier_rows(given.out)}
    lacking = [digest for digest in planned if digest not in found]
    place = Place(store=given.store, threads=1)
    run_steps([planned[digest][1] for digest in lacking], Store(given.store), Processes(place, given.workers), tell)
    for digest in lacking:
        facts, recipe = planned[digest]
        found[digest] = {**facts, **measured(recipe, Store(given.store)), "recipe": digest}
    rows = list(found.values())
    given.out.write_text(json.dumps({"size": given.size, "rows": rows}, indent=2) + "\n")
    print(f"{'attack':<14}{'victim':<7}{'epsilon':>8}{'spent':>9}{'clone errs':>12}   seed by seed")
    for key in dict.fromkeys((row["attack"], row["victim"], row["epsilon"]) for row in rows):
        of_key = [row for row in rows if (row["attack"], row["victim"], row["epsilon"]) == key]
        errors = [row["adversary_error"] for row in of_key]
        epsilon = "" if key[2] is None else f"{key[2]:g}"
        listed = ", ".join(f"{error:.1%}" for error in errors)
        print(
            f"{key[0]:<14}{key[1]:<7}{epsilon:>8}{of_key[0]['spent']:>9,}{statistics.fmean(errors):>12.1%}   {listed}"
        )


if __name__ == "__main__":
    main()
