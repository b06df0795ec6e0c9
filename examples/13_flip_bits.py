"""Flip the few bits of a pruned build that hurt it most, beside as many random ones, and see a flip in a checksum.

Usage: python examples/13_flip_bits.py
"""

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import edgerift as er

FLIPS = 8


def main() -> None:
    """Print the accuracy of a pruned build on ONNX Runtime before and after chosen and random flips."""
    train, test = er.images.load("digits", size=16)
    original = er.zoo.create("lenet", classes=10, size=16, seed=0)
    original = er.train.fit(original, train, epochs=8, batch_size=32, learning_rate=0.05, seed=0)
    pruned = er.adapt.prune(original, train, sparsity=0.5, epochs=3, batch_size=32)
    program = er.adapt.ptq(pruned, train, target="server")

    few = train.select(range(128))
    found = islice(er.flips.search_bits(program, few.images, few.labels), FLIPS)
    flips = {
        "none": (),
        "chosen": tuple(one.flip for one in found),
        "random": er.flips.random_flips(program, FLIPS, seed=0),
    }
    with TemporaryDirectory() as folder:
        for name, chosen in flips.items():
            flipped = er.flips.flipped(program, chosen)
            build = er.deploy.build(flipped, "onnxruntime", Path(folder) / f"{name}.onnx", images=test.images)
            right = er.measure.accuracy(build.predict(test.images), test.labels)
            print(f"{name:<8} {len(chosen):>2} flips {right.value:>7.1%}")

    before, after = (er.deploy.code_checksums(er.flips.flipped(program, flips["chosen"][:number])) for number in (0, 1))
    print(f"one flip changes the checksum of {[layer for layer in before if before[layer] != after[layer]]}")


if __name__ == "__main__":
    main()
