"""What closes the gap on a data set: means without and behind a guard, by epsilon, over seeds.

    python benchmarks/harden_evasion.py --data cifar10 --data-root DIR --store STORE [--seeds 0 1 2] [--out FILE]

Every row is attacked on test images by an attacker who knows the guard and the build's twin, and pooled over the seeds,
each of which has an original of its own. The table is printed and written to FILE after each trial, so that a run that
was stopped shows what it has; started again with the same store it resumes. `--small` is a profile of minutes, to try
the whole way.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgerift import images, zoo
from edgerift.adapt import QatSettings
from edgerift.harden import MEANS, EvasionHardenRecipe, TrialPart
from edgerift.images import ImagesSettings
from edgerift.measure import Interval, Rate
from edgerift.steps import Store, silent, write_whole
from edgerift.train import TrainRecipe, TrainSettings

#: The rows: the means, and whether they are behind a guard.
ROWS: Final = (
    ("qat", False),
    ("qat", True),
    ("ptq", False),
    ("ptq", True),
    ("consistency", False),
    ("consistency", True),
    ("evasion", False),
    ("evasion", True),
    ("adversarial", True),
    ("robust", False),
    ("robust", True),
)


class Profile(NamedTuple):
    """How much is trained and attacked."""

    epochs: int
    adapt_epochs: int
    count: int
    epsilons: tuple[int, ...]


FULL: Final = Profile(epochs=20, adapt_epochs=3, count=200, epsilons=(1, 2, 4, 8))
SMALL: Final = Profile(epochs=2, adapt_epochs=1, count=24, epsilons=(2,))


def recipe(described: ImagesSettings, profile: Profile, options: argparse.Namespace, seed: int) -> EvasionHardenRecipe:
    """Describe the search on one seed, whose models and trials the rows are."""
    architecture = zoo.Architecture(name=options.model, classes=len(images.class_names(described)), size=32)
    training = TrainSettings(epochs=profile.epochs, seed=seed, precision=options.precision)
    adapting = TrainSettings(epochs=profile.adapt_epochs, learning_rate=options.adapt_learning_rate, seed=seed)
    return EvasionHardenRecipe(
        original=TrainRecipe(images=described, architecture=architecture, settings=training, init_seed=seed),
        images=described,
        settings=QatSettings(train=adapting),
        epsilon=options.epsilon,
        count=profile.count,
        judging=options.attack,
    )


def trials(options: argparse.Namespace, store: Store) -> Iterator[tuple[str, bool, TrialPart]]:
    """Measure row by row, every seed of one before the next."""
    profile = SMALL if options.small else FULL
    for name, is_guarded in ROWS:
        for seed in options.seeds:
            described = images.resolve(ImagesSettings(source=options.data, size=32, seed=seed))
            whole = recipe(described, profile, options, seed)
            made = whole.made(MEANS[name])
            assert made is not None
            wanted = options.coverage if is_guarded else None
            trial = whole.trial(MEANS[name], made, wanted, test=True).replace(epsilons=profile.epsilons)
            yield name, is_guarded, trial.open(store, silent)


def pooled(parts: list[Interval]) -> dict[str, float]:
    """Pool a share over the seeds, whose images and originals differ."""
    rate = Rate(sum(one.successes for one in parts), sum(one.trials for one in parts))
    return {"value": rate.value, "low": rate.low, "high": rate.high, "trials": rate.trials}


def row(name: str, is_guarded: bool, found: list[TrialPart]) -> dict[str, Any]:
    """Summarise one row over the seeds that are measured."""
    abstained = [one.abstained for one in found if one.abstained is not None]
    return {
        "means": name,
        "title": MEANS[name].title + (" + guard" if is_guarded else ""),
        "seeds": len(found),
        "coverage": pooled([one.coverage for one in found]),
        "accuracy": pooled([one.accuracy for one in found]),
        "evasive": {str(one.epsilon): pooled([part.at(one.epsilon) for part in found]) for one in found[0].reach},
        "forced_abstention": pooled(abstained) if abstained else None,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Write the rows as Markdown, shares in percent with their interval."""
    epsilons = list(rows[0]["evasive"])
    headings = ["means", "seeds", "coverage", "accuracy", *(f"evasive, epsilon {one}" for one in epsilons), "abstains"]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    for one in rows:
        cells = [one["coverage"], one["accuracy"], *one["evasive"].values(), one["forced_abstention"]]
        lines.append([one["title"], str(one["seeds"]), *map(written, cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written(share: dict[str, float] | None) -> str:
    """Write a share in percent."""
    if share is None:
        return "-"
    return f"{100 * share['value']:.1f} [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"


def main() -> None:
    """Measure all rows, and write the table after each trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epsilon", type=int, default=2, help="that of the trainings, in grey levels")
    parser.add_argument("--coverage", type=float, default=0.95)
    parser.add_argument("--attack", default="pair-attack-1")
    parser.add_argument("--adapt-learning-rate", type=float, default=0.003)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("evasion.json"))
    options = parser.parse_args()
    if options.data_root is not None:
        os.environ["EDGERIFT_DATA"] = str(options.data_root)
    found: dict[tuple[str, bool], list[TrialPart]] = {}
    for name, is_guarded, trial in trials(options, Store(options.store)):
        found.setdefault((name, is_guarded), []).append(trial)
        rows = [row(*key, parts) for key, parts in found.items()]
        write_whole(
            options.out, json.dumps({"settings": vars(options) | {"store": None}, "rows": rows}, indent=2, default=str)
        )
        print(table(rows), flush=True)


if __name__ == "__main__":
    main()
