"""Data-free extraction of a float victim, of its int8 build, and behind defences: digits, three seeds.

    python benchmarks/datafree_digits.py [--seeds 0 1 2] [--victims float int8 defended grey] [--size 16] \
        [--workers 1] [--store FOLDER] [--out benchmarks/datafree_digits.json]

Every attack is a step of a store, so that a run that was stopped resumes; rows of an earlier run's file are kept if
their recipe is the same. The attacks are those of `edgerift extract --data digits --attack NAME`, on smaller images.
Attacks with finite differences are run on the build at epsilon 0.001, as published, and at 1. The defences answer
zeros, of which l1 on recovered logits takes the logarithm; an attacker who notices uses KL instead. All of these query
in colour, as the published attacks do (`--in-colour`); the `grey` victims are int8 builds that are queried with grey
images only, like the digits.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, Literal, NamedTuple

from edgerift import zoo
from edgerift.adapt import AdaptRecipe
from edgerift.cli._datafree import DataFreeOptions, data_free_budget, data_free_thief
from edgerift.cli._defences import read_defence
from edgerift.cli._theft import TheftOptions
from edgerift.deploy import BuildRecipe
from edgerift.extract import AttackName, DataFreeRecipe
from edgerift.images import ImagesSettings, resolve
from edgerift.run import Place, Processes, run_steps
from edgerift.steps import Store, silent
from edgerift.train import TrainRecipe, TrainSettings

ATTACKS: tuple[AttackName, ...] = ("dfme", "maze", "maze-dfme", "disguide", "disguide-hard")
COARSE = ("rounding:decimals=1", "top-k:k=3", "label-only")


class Case(NamedTuple):
    """A victim and an attack; None stands for the attack's own setting."""

    attack: AttackName
    victim: Literal["float", "int8", "grey"]
    epsilon: float | None = None
    defence: str | None = None
    loss: Literal["l1", "kl"] | None = None


def cases() -> dict[str, list[Case]]:
    """List the attacks on each kind of victim."""
    differing = [name for name in ATTACKS if not name.startswith("disguide")]
    return {
        # Float victims first: that the clone of an undefended one learns is what the rest is compared with.
        "float": [Case(name, "float") for name in ATTACKS],
        "int8": [Case(name, "int8") for name in ATTACKS] + [Case(name, "int8", 1.0) for name in differing],
        "defended": [
            Case("dfme", "int8", 1.0, defence, loss)
            for defence in (None, *COARSE)
            for loss in (None, "kl")
            if defence is not None or loss is not None
        ],
        "grey": [Case("dfme", "grey"), Case("maze", "grey", 1.0), Case("disguide", "grey")],
    }


def described(case: Case, size: int, seed: int) -> tuple[dict[str, Any], DataFreeRecipe]:
    """Describe an attack, with its row in the table."""
    images = resolve(ImagesSettings(source="digits", size=size, seed=seed))
    original = TrainRecipe(
        images=images,
        architecture=zoo.Architecture(name="resnet8", classes=10, size=size),
        settings=TrainSettings(epochs=10, batch_size=64, seed=seed),
        init_seed=seed,
    )
    program = AdaptRecipe(original=original, images=images, method="ptq", target="mobile")
    build = BuildRecipe(program=program, runtime="executorch")
    change = () if case.loss is None else (f"loss={case.loss}",)
    options, stealing = DataFreeOptions(attack=case.attack, epsilon=case.epsilon, change=change), TheftOptions()
    attack = data_free_thief(options, stealing, images, "resnet8", seed=seed, device="auto")
    epsilon = None if attack.differences is None else attack.differences.epsilon
    recipe = DataFreeRecipe(
        victim=original if case.victim == "float" else build,
        defences=() if case.defence is None else (read_defence(case.defence),),
        images=images,
        budget=data_free_budget(stealing, images, attack),
        attack=attack,
        pixels="float" if case.victim == "float" else "whole",
        in_colour=case.victim != "grey",
    )
    return {**case._asdict(), "epsilon": epsilon, "loss": attack.loss, "seed": seed}, recipe


def earlier_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows of an earlier run; none where there was none."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def measured(recipe: DataFreeRecipe, store: Store) -> dict[str, Any]:
    """Run an attack that has not run yet, and return its figures."""
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
    """Print the progress of the steps."""
    print(f"{task}: {done} of {total} {note}", flush=True)


def main() -> None:
    """Run the missing attacks, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    kinds = cases()
    parser.add_argument("--victims", nargs="+", choices=kinds, default=list(kinds))
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("datafree-digits-store"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/datafree_digits.json"))
    given = parser.parse_args()
    wanted = [case for kind in kinds if kind in given.victims for case in kinds[kind]]
    thefts = [described(case, given.size, seed) for case in wanted for seed in given.seeds]
    planned = {recipe.digest(): (facts, recipe) for facts, recipe in thefts}
    # The row of an attack that has changed since is computed again.
    current = {place_of(facts): digest for digest, (facts, _) in planned.items()}
    found = {
        row["recipe"]: row
        for row in earlier_rows(given.out)
        if current.get(place_of(row), row["recipe"]) == row["recipe"]
    }
    lacking = [digest for digest in planned if digest not in found]
    place = Place(store=given.store, threads=1)
    run_steps([planned[digest][1] for digest in lacking], Store(given.store), Processes(place, given.workers), tell)
    for digest in lacking:
        facts, recipe = planned[digest]
        found[digest] = {**facts, **measured(recipe, Store(given.store)), "recipe": digest}
    rows = list(found.values())
    given.out.write_text(json.dumps({"size": given.size, "rows": rows}, indent=2) + "\n")
    print(
        f"{'attack':<14}{'loss':<14}{'victim':<7}{'defence':<20}{'epsilon':>8}{'spent':>9}{'clone errs':>12}   by seed"
    )
    for key, of_key in by_case(rows).items():
        epsilon = "" if key.epsilon is None else f"{key.epsilon:g}"
        errors = [row["adversary_error"] for row in of_key]
        print(
            f"{key.attack:<14}{key.loss:<14}{key.victim:<7}{key.defence or '-':<20}{epsilon:>8}{of_key[0]['spent']:>9,}"
            f"{statistics.fmean(errors):>12.1%}   {', '.join(f'{error:.1%}' for error in errors)}"
        )


def place_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Identify the attack of a row."""
    return *(row[name] for name in Case._fields), row["seed"]


def by_case(rows: list[dict[str, Any]]) -> dict[Case, list[dict[str, Any]]]:
    """Group the rows of the seeds of a case."""
    found: dict[Case, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(Case(*place_of(row)[:-1]), []).append(row)
    return found


if __name__ == "__main__":
    main()
