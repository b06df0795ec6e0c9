"""Search for images that only the build gets wrong, with three attacks at equal gradient calls.

Usage: python examples/04_evade.py
"""

import tempfile
from pathlib import Path

import edgerift as er


def main() -> None:
    """Print the success rates of the attacks, and whether the last one is significantly better on the same images."""
    train, test = er.images.load("digits")
    original = er.zoo.create("lenet", classes=10, seed=0)
    original = er.train.fit(original, train, epochs=5, batch_size=32, learning_rate=0.05, seed=0)
    program = er.adapt.ptq(original, train, target="mobile")
    few = test.select(range(100))

    with tempfile.TemporaryDirectory() as folder:
        build = er.deploy.build(program, "executorch", Path(folder) / "model.pte")
        pair = er.Pair(original, program, build)
        found = {name: er.evade.search(pair, few, name, stop="never") for name in ("pgd", "diva-2022", "default")}

    best = found["default"]
    print(f"{len(best)} images attacked; {best.dropped.total} dropped because one of the models gets them wrong anyway")
    print(f"{'attack':<10} {'evasive at any iterate':<40} {'at the last':>12} {'p against default':>18}")
    for name, result in found.items():
        only_best, only_other = (best.evasive & ~result.evasive).sum(), (result.evasive & ~best.evasive).sum()
        p = er.measure.mcnemar(int(only_best), int(only_other))
        assert result.rate_last is not None
        print(f"{name:<10} {result.rate!s:<40} {result.rate_last.value:>12.1%} {p:>18.2g}")


if __name__ == "__main__":
    main()
