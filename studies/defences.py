"""The second paper's table I in full, measured: every defence as strong as an l1 of 0.6 allows, on CIFAR-10.

    EDGERIFT_DATA=DIR python studies/defences.py --store STORE [--profile small]

One seed. Each defence of the answers is made as strong as its mean l1 distance on the validation images allows; DivQAT,
which does not get there without a collapse, has the alpha of the study `divqat`. Each victim is then attacked with soft
and with hard labels by KnockoffNets with images of CIFAR-100. `result.json` and `tables.md` are written into the folder
`--out` after each victim, so that a run that was stopped shows what it has; started again with the same store it
resumes.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from edgerift import zoo
from edgerift.adapt import Allowance, QatSettings
from edgerift.defend import defended
from edgerift.deploy import BuildRecipe
from edgerift.extract import HELD_BACK, Knockoff, QuerySettings, open_victim, posteriors
from edgerift.harden import HardenRecipe
from edgerift.images import ImagesSettings, open_splits, resolve
from edgerift.measure import Interval, agreement, posterior_l1
from edgerift.settings import Settings
from edgerift.steps import Store, write_whole
from edgerift.train import TrainRecipe, TrainSettings

OUT: Final = Path(__file__).resolve().parent.parent / "docs" / "studies" / "defences"
RESULT: Final = "result.json"
L1: Final = 0.6
#: The alpha that the study `divqat` chose for this original.
ALPHA: Final = 0.5
ROWS: Final = ("qat", "rs", "dcp", "mad", "grad2", "am", "mad-argmax", "divqat")
#: The number of answers timed, and of those before them that are not.
TIMED: Final = 200
WARM: Final = 20
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
        queries=queries,
        budget=profile.budget,
        attack=Knockoff(
            student="resnet8",
            training=training.replace(epochs=profile.clone_epochs, batch_size=64, seed=seed + 1),
            seed=seed + 1,
        ),
    )


class Row(Settings):
    """What one defence costs its owner and its attacker; times are medians, in milliseconds, of single answers."""

    title: str
    place: str
    network_bytes: int
    shipped_bytes: int
    answer_milliseconds: float
    defence_milliseconds: float | None
    l1: float
    changed: float
    owner: Interval
    soft: Interval
    hard: Interval


class Costs(Settings):
    """All rows by variant, and what they share."""

    model: str
    data: str
    target: str
    l1: float
    alpha: float
    tested: int
    queries: str
    budget: int
    student: str
    epochs: int
    rows: dict[str, Row]


def measured(described: HardenRecipe, name: str, store: Store) -> Row:
    """Make a variant, steal it with soft and with hard labels, and measure it on the test images."""
    maker, test = described.victims, open_splits(described.images).test
    variant = maker.made(name, store, tell)
    assert isinstance(variant.victim, BuildRecipe)
    build, plain = (open_victim(one, store, tell) for one in (variant.victim, maker.victim("qat")))
    clean, reference = posteriors(build, test.images), posteriors(plain, test.images)
    given = defended(clean, variant.defences, test.images)
    soft, hard = (described.stealing(variant, labels).theft(store, tell) for labels in ("soft", "hard"))
    network = sum(defence.network_bytes(len(test.classes), test.shape) for defence in variant.defences)
    artefact = store.get(variant.victim, tell) / variant.victim.artefact
    sits = [*(["training"] if variant.strength is not None else []), *(["answers"] if variant.defences else [])]
    return Row(
        title=variant.title,
        place=" and ".join(sits),
        network_bytes=network,
        shipped_bytes=artefact.stat().st_size + network,
        answer_milliseconds=median_time(lambda place: posteriors(build, test.images[place])),
        defence_milliseconds=median_time(lambda place: defended(clean[place], variant.defences, test.images[place]))
        if variant.defences
        else None,
        l1=posterior_l1(given, reference).value,
        changed=agreement(given, reference).complement.value,
        owner=soft.defender_error,
        soft=soft.adversary_error,
        hard=hard.adversary_error,
    )


def median_time(work: Callable[[slice], object]) -> float:
    """Time a work on single images: the median in milliseconds."""
    times = []
    for place in range(-WARM, TIMED):
        began = time.perf_counter()
        work(slice(abs(place), abs(place) + 1))
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[WARM:])


def page(found: Costs) -> str:
    """Write the table as Markdown."""
    lines = [
        [
            "victim", "defence sits in", "auxiliary network", "shipped (kB)", "network (ms)", "defence adds (ms)", "l1",
            "labels changed (%)", "owner's error (%)", "attacker's error, soft labels (%)",
            "attacker's error, hard labels (%)",
        ],
        ["---", "---", "---", *["--:"] * 8],
        *(_cells(name, row) for name, row in found.rows.items()),
    ]  # fmt: skip
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    missing = [name for name in ROWS if name not in found.rows]
    told = f"\n\nNot measured: {', '.join(missing)}." if missing else ""
    return f"""# What every defence costs and buys: {found.model} on {found.data}

The DivQAT paper's table I, measured: one seed, target {found.target}. Defences of the answers are as strong as a mean
l1 distance of {found.l1} to the answers of plain quantization-aware training (QAT) on the validation images allows; l1
and all errors are those on {found.tested:,} test images, with exact 95 % intervals. DivQAT has alpha {found.alpha}, as
the study `divqat` chose: the next larger alphas that it tried collapse. The attacker is KnockoffNets with only
{found.budget:,} images of {found.queries} (the paper: 50,000), a {found.student} and {found.epochs} epochs: all
clones are poor, and differences between defences smaller than they would be. MAD looks at images with a network of
random weights, as in its paper; GRAD2 with the original, where its paper trains a clone; Adaptive Misinformation has a
network that was trained without outliers and a victim that was trained without outlier exposure, as in the code of
later papers, and is weaker for it. Its network is trained to be wrong, and answers most queries of another kind: a
clone with an error above 90 %, worse than guessing, has learned that, and an attacker who looks at the answers can use
it or leave these answers out.

Latency is the time for a single image, the median of {TIMED} in one process: `network (ms)` of the int8 build with
its softmax, `defence adds (ms)` of what the defence does to that answer then, its auxiliary network included. An
auxiliary network runs in float, and its size counts as shipped.

Made by `python studies/defences.py`.

{table}{told}

{verdict(found.rows)}
"""


def verdict(rows: dict[str, Row]) -> str:
    """Say which defences differ from the undefended victim by more than both intervals leave open."""
    plain = rows["qat"]

    def beyond(measure: Callable[[Row], Interval]) -> str:
        own = measure(plain)
        worse = [row for row in rows.values() if measure(row).low > own.high]
        worse.sort(key=lambda row: -measure(row).value)
        told = [f"{row.title} ({100 * (measure(row).value - own.value):+.1f} points)" for row in worse]
        return ", ".join(told) or "none"

    return (
        f"Beyond the intervals of both, the attacker's error is higher than at the undefended {plain.title} with soft "
        f"labels for: {beyond(lambda row: row.soft)}; with hard labels for: {beyond(lambda row: row.hard)}. The "
        f"owner's own error is higher for: {beyond(lambda row: row.owner)}. The intervals are of the test images; "
        "that another seed would train other clones is not in them."
    )


def _cells(name: str, row: Row) -> list[str]:
    network = f"{NETWORKS[name]}, {row.network_bytes / 1000:,.0f} kB" if row.network_bytes else "none"
    return [
        row.title,
        row.place or "-",
        network,
        f"{row.shipped_bytes / 1000:,.0f}",
        f"{row.answer_milliseconds:.3f}",
        "-" if row.defence_milliseconds is None else f"{row.defence_milliseconds:.3f}",
        f"{row.l1:.3f}",
        f"{100 * row.changed:.1f}",
        _share(row.owner),
        _share(row.soft),
        _share(row.hard),
    ]


def _share(share: Interval) -> str:
    return f"{100 * share.value:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def tell(task: str, done: int, total: int, note: str = "") -> None:
    """Print the progress of the steps."""
    if done == total:
        print(f"{task}: {total} {note}", flush=True)


def main() -> None:
    """Run what is missing, and write the result and the table after each victim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--profile", choices=PROFILES, default="cifar10")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    store, chosen, profile = Store(given.store), recipe(PROFILES[given.profile], given.seed), PROFILES[given.profile]
    splits, rows = open_splits(chosen.images), dict[str, Row]()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in ROWS:
        rows[name] = measured(chosen, name, store)
        found = Costs(
            model="resnet8",
            data=profile.data,
            target=chosen.target,
            l1=L1,
            alpha=ALPHA,
            tested=len(splits.test),
            queries=profile.queries or "collages",
            budget=profile.budget,
            student=chosen.attack.student,
            epochs=profile.clone_epochs,
            rows=rows,
        )
        write_whole(given.out / RESULT, found.model_dump_json(indent=1) + "\n")
        write_whole(given.out / "tables.md", page(found))
    print(page(found))


if __name__ == "__main__":
    main()
