"""The gap that pruning and distillation open, before and after quantization; its control is further training.

Usage: python examples/14_prune_and_distil.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import edgerift as er


def main() -> None:
    """Print each small model's accuracy, and how many images evade: the original right, the small model wrong."""
    train, test = er.images.load("digits", size=16)
    original = er.zoo.create("resnet8", classes=10, size=16, seed=0)
    original = er.train.fit(original, train, epochs=8, batch_size=64, seed=0)
    floats = {
        "fine-tuned": er.adapt.finetune(original, train, epochs=2, batch_size=64),
        "pruned": er.adapt.prune(original, train, sparsity=0.8, epochs=2, batch_size=64),
        "distilled": er.adapt.distil(
            original, train, student="lenet", temperature=4, hard=0.1, epochs=12, batch_size=32, learning_rate=0.01
        ),
    }
    few, attack = test.select(range(60)), er.evade.preset("default", epsilon=8, steps=10)
    print(f"{'model':<24} {'accuracy':>9}  evasive")
    with TemporaryDirectory() as folder:
        for name, small in floats.items():
            pair, steering = er.evade.float_pair(original, small)
            found = er.evade.search(pair, few, attack, steering=steering)
            right = er.measure.accuracy(er.deploy.twin_scores(small, test.images), test.labels)
            print(f"{name:<24} {right.value:>9.1%}  {found.rate}")

            program = er.adapt.ptq(small, train, target="server")
            path = Path(folder) / f"{name}.onnx"
            build = er.deploy.build(program, "onnxruntime", path, images=test.images)
            found = er.evade.search(er.Pair(original, program, build), few, attack)
            right = er.measure.accuracy(build.predict(test.images), test.labels)
            print(f"{name + ', quantized':<24} {right.value:>9.1%}  {found.rate}")

    zeros = er.adapt.sparsity(floats["pruned"])
    print(f"zeros by layer of the pruned model: {min(zeros.values()):.1%} to {max(zeros.values()):.1%}")


if __name__ == "__main__":
    main()
