"""Attackers that know the defence, or make more of few queries: how well their clones agree with the victim.

    EDGERIFT_DATA=DIR python benchmarks/adaptive.py [--data mnist] [--network lenet] [--queries 1000] [--epochs 8] \
        [--seeds 0 1] [--out benchmarks/adaptive.json]

The victim is that of `clones.py`, and its defences are as strong as an l1 of 0.6 on test images allows. Each attacker
steals it behind each defence, with the same queries and the same first weights. Agreement is the share of test images
that the clone labels as the undefended victim does, and `off` the mean l1 distance of what the attacker has learned
from to the undefended answers: 0 where the defence was undone. The JSON is written after each attacker; a run that was
stopped, started again, does those that are missing.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any, Final

from clones import Bench, blank, labels, made_bench

import edgerift as er
from edgerift.defend import Defence, tuned
from edgerift.extract import posteriors
from edgerift.measure import posterior_l1

#: What a defence may change on average, in l1.
DISTANCE: Final = 0.6
THIEVES: Final[dict[str, dict[str, Any]]] = {
    "probabilities": {},
    "labels alone": {"labels": "hard"},
    "distortion 0.3": {"distortion": 0.3},
    "mixup 0.2": {"mixup": 0.2},
    "undone by a network": {"undo": True},
    "undone by a table": {"undo": True, "undo_by": "table"},
    "undone by a network, 2 shadow models": {"undo": True, "shadows": 2},
    "undone by a table, 2 shadow models": {"undo": True, "undo_by": "table", "shadows": 2},
}


def tuned_defences(bench: Bench) -> dict[str, tuple[Defence, ...]]:
    """Make each defence as strong as the distance allows on 1,000 test images."""
    shown = bench.test.images[:1000]
    answers, found = posteriors(bench.victim, shown), dict[str, tuple[Defence, ...]](none=())
    for name in ("reverse-sigmoid", "deception", "mad"):
        fields: dict[str, Any] = {"surrogate": bench.network} if name == "mad" else {}
        made = tuned(name, answers, DISTANCE, images=shown, **fields)
        assert made is not None
        found[name] = (made,)
    return found


def stolen(
    bench: Bench, seed: int, epochs: int, defences: tuple[Defence, ...], thief: dict[str, Any]
) -> dict[str, float]:
    """Steal the victim behind its defences, and measure the clone."""
    fields = {"epochs": epochs, **thief, "undo": defences if thief.get("undo") else ()}
    with er.Oracle(bench.victim, budget=len(bench.queries), defence=defences) as oracle:
        clone = er.extract.knockoff(oracle, bench.queries, blank(bench, seed), seed=seed, **fields)
    clean = posteriors(bench.victim, clone.questions.images)
    told = labels(bench.victim, bench.test)
    alike = float((labels(clone.model, bench.test) == told).double().mean())
    return {"agreement": round(alike, 4), "off": round(posterior_l1(clone.answers, clean).value, 4)}


def possible(defences: tuple[Defence, ...], thief: dict[str, Any]) -> bool:
    """Tell whether there is a defence to undo, and what it takes to undo it; augmentation is tried without one."""
    if not thief.get("undo"):
        return not defences or not {"distortion", "mixup"} & thief.keys()
    return bool(defences) and ("shadows" in thief or not any(defence.sees for defence in defences))


def main() -> None:
    """Print what each attacker has, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--network", default="lenet")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--trained-on", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = {name: getattr(given, name) for name in ("data", "network", "queries", "trained_on", "epochs")}
    found = json.loads(given.out.read_text()) if given.out is not None and given.out.exists() else {}
    rows: dict[str, dict[str, float]] = (
        found.get("rows", {}) if {**found, "rows": None} == {**chosen, "rows": None} else {}
    )
    for seed in given.seeds:
        bench = made_bench(given.data, given.network, given.queries, seed, given.trained_on)
        for against, defences in tuned_defences(bench).items():
            for name, thief in THIEVES.items():
                key = f"{against}; {name}; {seed}"
                if key in rows or not possible(defences, thief):
                    continue
                rows[key] = stolen(bench, seed, given.epochs, defences, thief)
                print(f"{key:<60}{rows[key]['agreement']:.2%}  off by {rows[key]['off']:.3f}", flush=True)
                if given.out is not None:
                    given.out.write_text(json.dumps({**chosen, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
