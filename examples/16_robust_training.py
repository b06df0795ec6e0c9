"""Train an original against an adversary, and judge its build by attacks that took no part in the training.

Usage: python examples/16_robust_training.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import edgerift as er


def main() -> None:
    """Print the accuracy of each build, and the share of images that are wrong or evade under the strongest attacks."""
    train, test = er.images.load("digits", size=16)
    few = test.select(range(30))
    attacks = {name: er.evade.preset(name, epsilon=16, steps=20) for name in ("apgd", "square", "default")}
    print(f"{'trained':<10} {'accuracy':>9} {'wrong: apgd':>12} {'square':>7} {'union':>6} {'evasive: default':>17}")
    with TemporaryDirectory() as folder:
        for name in ("plainly", "fast", "pgd-7", "trades"):
            adversary = None if name == "plainly" else er.train.adversary(name, epsilon=16)
            original = er.zoo.create("lenet", classes=10, size=16, seed=0)
            original = er.train.fit(
                original, train, epochs=5, batch_size=32, learning_rate=0.05, seed=0, adversary=adversary
            )
            program = er.adapt.ptq(original, train, target="server")
            build = er.deploy.build(program, "onnxruntime", Path(folder) / f"{name}.onnx", images=test.images)
            pair = er.Pair(original, program, build)
            found = {key: er.evade.search(pair, few, attack, stop="never") for key, attack in attacks.items()}
            right = er.measure.accuracy(build.predict(test.images), test.labels)
            wrong = {key: result.fooled.float().mean() for key, result in found.items()}
            union = (found["apgd"].fooled | found["square"].fooled | found["default"].fooled).float().mean()
            print(
                f"{name:<10} {right.value:>9.1%} {wrong['apgd']:>12.1%} {wrong['square']:>7.1%} {union:>6.1%} "
                f"{found['default'].rate.value:>17.1%}"
            )


if __name__ == "__main__":
    main()
