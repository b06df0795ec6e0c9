"""Train an original on real digits, adapt it to int8, build it for a phone's runtime, and count what changed.

Usage: python examples/01_train_and_adapt.py
"""

import tempfile
from pathlib import Path

import edgerift as er


def main() -> None:
    """Go from images to a build, and compare the build with the original on the test images."""
    train, test = er.images.load("digits")
    original = er.zoo.create("lenet", classes=10, seed=0)
    original = er.train.fit(original, train, epochs=4, batch_size=32, learning_rate=0.05, seed=0)
    program = er.adapt.qat(original, train, target="mobile", epochs=1, seed=0)

    with tempfile.TemporaryDirectory() as folder:
        build = er.deploy.build(program, runtime="executorch", path=Path(folder) / "model.pte")
        before = er.deploy.twin_scores(original, test.images)
        after = er.measure.predict_all(build.predict, test)
        share = build.integer_macs()

    counted = er.measure.quadrants(before, after, test.labels)
    print(f"original    {er.measure.accuracy(before, test.labels)}")
    print(f"executorch  {er.measure.accuracy(after, test.labels)}")
    print(f"multiply-accumulates in integer kernels: {share:.1%}")
    print(f"only the original right: {counted.only_original_right}, only the build right: {counted.only_build_right}")


if __name__ == "__main__":
    main()
