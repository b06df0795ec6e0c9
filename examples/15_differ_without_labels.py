"""Find images on which an original and its build answer differently, without labels, beside random changes.

Usage: python examples/15_differ_without_labels.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import edgerift as er


def main() -> None:
    """Print what each kind of change finds, its control, and with the labels who was wrong."""
    train, test = er.images.load("digits", size=16)
    original = er.zoo.create("lenet", classes=10, size=16, seed=0)
    original = er.train.fit(original, train, epochs=8, batch_size=32, learning_rate=0.05, seed=0)
    program = er.adapt.ptq(original, train, target="server")
    few = test.select(range(60))
    with TemporaryDirectory() as folder:
        build = er.deploy.build(program, "onnxruntime", Path(folder) / "model.onnx", images=test.images)
        pair = er.Pair(original, program, build)
        for constraint in ("box", "light", "occlusion", "blackout"):
            settings = er.differ.DifferSettings(constraint=constraint, epsilon=16, step=2)
            found = er.differ.differ(pair, few.images, settings)
            control = er.differ.differ_at_random(pair, few.images, settings)
            print(f"{constraint:<10} found {found.rate}, random {control.rate.value:.1%}")

        searched = er.differ.differ(pair, few.images, er.differ.DifferSettings(epsilon=16, step=2, coverage=0.1))
        part = searched.part(few.labels)
        print(f"neurons covered: {part.coverage:.1%}")
        print(
            f"of {part.found.successes} differences the build is wrong in {part.build_wrong}, "
            f"the original in {part.original_wrong}, both in {part.both_wrong}"
        )


if __name__ == "__main__":
    main()
