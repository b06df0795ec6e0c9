"""Clone a build by querying it, with and without a defence, and with an attacker who inverts the defence.

Usage: python examples/06_steal.py
"""

import tempfile
from pathlib import Path
from typing import Any

import edgerift as er


def main() -> None:
    """Print how good the defended answers are for their users, and what clones learned from them."""
    train, test = er.images.load("digits", size=16)
    original = er.zoo.create("lenet", classes=10, size=16, seed=0)
    original = er.train.fit(original, train, epochs=8, batch_size=32, learning_rate=0.05, seed=0)
    program = er.adapt.ptq(original, train, target="mobile")
    queries = er.images.collages(train, 800, seed=1)
    defence = er.defend.ReverseSigmoid(beta=0.7)
    attackers: dict[str, tuple[tuple[er.defend.Defence, ...], dict[str, Any]]] = {
        "no defence": ((), {}),
        "reverse sigmoid": ((defence,), {}),
        "reverse sigmoid, hard labels": ((defence,), {"labels": "hard"}),
        "reverse sigmoid, undone": ((defence,), {"undo": (defence,)}),
    }

    with tempfile.TemporaryDirectory() as folder:
        build = er.deploy.build(program, "executorch", Path(folder) / "model.pte")
        clean = er.extract.posteriors(build, test.images)
        print(f"{'':<28} {'answers moved':>13} {'owner error':>11} {'clone error':>11} {'agreement':>9}")
        for name, (chain, counter) in attackers.items():
            oracle = er.Oracle(build, budget=800, defence=chain)
            clone = er.extract.knockoff(oracle, queries, "lenet", epochs=12, learning_rate=0.05, seed=1, **counter)
            answers = er.defend.defended(clean, chain)
            stolen = er.deploy.twin_scores(clone.model, test.images)
            moved = er.measure.posterior_l1(answers, clean).value
            owner = er.measure.accuracy(answers, test.labels).complement
            adversary = er.measure.accuracy(stolen, test.labels).complement
            same = er.measure.agreement(answers, stolen)
            print(f"{name:<28} {moved:>13.3f} {owner.value:>11.1%} {adversary.value:>11.1%} {same.value:>9.1%}")


if __name__ == "__main__":
    main()
