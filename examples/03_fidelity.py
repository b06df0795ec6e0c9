"""Measure how far each runtime is from each twin: the twin of its own arithmetic should be bit-identical.

Usage: python examples/03_fidelity.py
"""

import tempfile
from pathlib import Path

import edgerift as er


def main() -> None:
    """Print, for two runtimes and two twins each, the share of equal logits and the largest difference."""
    train, test = er.images.load("digits")
    original = er.zoo.create("resnet8", classes=10, seed=0)
    original = er.train.fit(original, train, epochs=2, batch_size=32, learning_rate=0.05, seed=0)
    program = er.adapt.ptq(original, train, target="mobile")

    print(f"{'runtime':<12} {'twin':<12} {'equal logits':>12} {'largest LSB':>12} {'other label':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for runtime in ("executorch", "onnxruntime"):
            settings = er.deploy.RUNTIMES[runtime]
            build = er.deploy.build(program, runtime, Path(folder) / f"model{settings.suffix}")
            for arithmetic in ("graph", settings.arithmetic):
                twin = er.deploy.twin(program, arithmetic)
                found = er.deploy.fidelity(program, build, test.images, candidate=twin)
                numbers = f"{found.equal_logits:>12.2%} {found.max_lsb:>12.1f} {found.label_disagreement:>12.2%}"
                print(f"{runtime:<12} {arithmetic:<12} {numbers}")


if __name__ == "__main__":
    main()
