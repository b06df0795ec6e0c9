"""The second paper's table I in full, measured: every defence as strong as an l1 of 0.6 allows, on CIFAR-10.

    EDGERIFT_DATA=DIR python studies/defences.py --store STORE [--profile small]

One seed. Each defence of the answers is made as strong as its mean l1 distance on the validation images allows; DivQAT,
which does not get there without a collapse, has the alpha of the study `divqat`. Each victim is then attacked with soft
and with hard labels by KnockoffNets with images of CIFAR-100. `result.json` and `tables.md` are written into the folder
`--out`. A run that was stopped resumes.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Final, NamedTuple

from edgerift import zoo
from edgerift.adapt import Allowance, QatSettings
from edgerift.extract import HELD_BACK, Knockoff, QuerySettings
from edgerift.harden import Hardening, HardenRecipe, VariantPart
from edgerift.images import ImagesSettings, resolve
from edgerift.measure import Interval
from edgerift.steps import Store, write_whole
from edgerift.train import TrainRecipe, TrainSettings

OUT: Final = Path(__file__).resolve().parent.parent / "docs" / "studies" / "defences"
RESULT: Final = "result.json"
L1: Final = 0.6
#: The alpha that the study `divqat` chose for this original.
ALPHA: Final = 0.5
ROWS: Final = ("rs", "dcp", "mad", "mad-argmax", "grad2", "am", "divqat")
#: What the auxiliary network of a defence is.
NETWORKS: Final = {"mad": "random weights", "mad-argmax": "random weights", "grad2": "the original", "am": "trained"}


class Profile(NamedTuple):
    """The data, how much is trained, and how much is queried."""

    data: str
    queries: str | None
    size: int
    epochs: int
    adapt_epochs: int
    budget: int
    clone_epochs: int
    precision: str


PROFILES: Final = {
    "cifar10": Profile("cifar10", "cifar100", 32, 10, 1, 3000, 4, "bfloat16"),
    # Seconds, to try the whole way.
    "small": Profile("digits", None, 16, 4, 1, 300, 2, "float32"),
}


def recipe(profile: Profile, seed: int) -> HardenRecipe:
    """Describe the comparison."""
    described = resolve(ImagesSettings(source=profile.data, size=profile.size, seed=seed))
    if profile.queries is None:
        queries = QuerySettings(images=described, collages=profile.budget, seed=seed)
    else:
        other = ImagesSettings(source=profile.queries, size=profile.size, validation_fraction=HELD_BACK, seed=seed)
        queries = QuerySettings(images=resolve(other), seed=seed)
    training = TrainSettings(precision=profile.precision)
    return HardenRecipe(
        original=TrainRecipe(
            images=described,
            architecture=zoo.Architecture(name="resnet8", classes=10, size=profile.size),
            settings=training.replace(epochs=profile.epochs, seed=seed),
            init_seed=seed,
        ),
        images=described,
        settings=QatSettings(train=training.replace(epochs=profile.adapt_epochs, learning_rate=0.001, seed=seed)),
        allowance=Allowance(l1=L1),
        alpha=ALPHA,
        rows=ROWS,
        queries=queries,
        budget=profile.budget,
        attack=Knockoff(
            student="resnet8",
            training=training.replace(epochs=profile.clone_epochs, batch_size=64, seed=seed + 1),
            seed=seed + 1,
        ),
    )


def page(found: Hardening) -> str:
    """Write the table as Markdown."""
    lines = [
        [
            "victim", "defence sits in", "auxiliary network", "network (ms)", "defence adds (ms)",
            "whole answer over QAT's", "l1", "labels changed (%)", "owner's error (%)",
            "attacker's error, soft labels (%)", "attacker's error, hard labels (%)",
        ],
        ["---", "---", "---", *["--:"] * 8],
        *(_row(found, name, part) for name, part in found.victim.items()),
    ]  # fmt: skip
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    attacker = found.thief
    epochs = attacker.attack.training.epochs
    return f"""# What every defence costs and buys: {found.model} on {found.data.name}

The DivQAT paper's table I in full, measured: one seed, target {found.target}. Defences of the answers are as
strong as a mean l1 distance of {found.allowance.l1} to the answers of plain quantization-aware training (QAT)
on the validation images allows; l1 and all errors are those on {found.data.test:,} test images, with exact 95 %
intervals. DivQAT has alpha {found.alpha}, as the study `divqat` chose: the next larger alphas that it tried
collapse. The attacker is KnockoffNets with {attacker.spent:,} images of {attacker.name}, a
{attacker.attack.student} and {epochs} epochs: fewer queries than in the
paper (50,000), so errors of clones are higher. MAD looks at images
with a network of random weights, as in its paper; GRAD2 with the original, where its paper trains a clone;
Adaptive Misinformation has a network that was trained without outliers and a victim that was trained without
outlier exposure, as in the code of later papers, and is weaker for it. Times are medians over single answers in
one process; an auxiliary network runs in float, and its size counts as shipped.

Made by `python studies/defences.py`.

{table}
"""


def _row(found: Hardening, name: str, part: VariantPart) -> list[str]:
    times = found.times.get(name)
    sits = ["training"] if part.strength is not None else []
    sits += ["answers"] if part.defences else []
    network = f"{NETWORKS[name]}, {part.network_bytes / 1000:,.0f} kB" if part.network_bytes else "none"
    return [
        part.title,
        " and ".join(sits) or "-",
        network,
        _number(times and times.answer_milliseconds, 3),
        _number(times and times.defence_milliseconds, 3),
        _number(times and times.slowdown, 2),
        f"{part.l1.value:.3f}",
        f"{100 * part.changed.value:.1f}",
        _share(part.defender_error),
        _share(part.adversary_error.soft),
        _share(part.adversary_error.hard),
    ]


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _share(share: Interval) -> str:
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def tell(task: str, done: int, total: int, note: str = "") -> None:
    """Print the progress of the steps."""
    if done == total:
        print(f"{task}: {total} {note}", flush=True)


def main() -> None:
    """Run what is missing, and write the result and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--profile", choices=PROFILES, default="cifar10")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    store, chosen = Store(given.store), recipe(PROFILES[given.profile], given.seed)
    found = chosen.open(store, tell)
    given.out.mkdir(parents=True, exist_ok=True)
    write_whole(given.out / RESULT, found.model_dump_json(indent=1) + "\n")
    write_whole(given.out / "tables.md", page(found))
    print(page(found))


if __name__ == "__main__":
    main()
