"""Search with an objective of your own, and save the successes as PNG files that replay.

Usage: python examples/05_own_objective.py
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor

import edgerift as er


def divergence(original: Tensor, builds: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Compute KL(p_original || p_build), one value per image: any disagreement counts, whichever model is right."""
    first, second = original.log_softmax(1), builds[0].log_softmax(1)
    return (first.exp() * (first - second)).sum(1)


def main() -> None:
    """Search with the divergence, write the successes of the default attack, and re-check them from their files."""
    train, test = er.images.load("digits")
    original = er.zoo.create("lenet", classes=10, seed=0)
    original = er.train.fit(original, train, epochs=5, batch_size=32, learning_rate=0.05, seed=0)
    program = er.adapt.ptq(original, train, target="mobile")

    with tempfile.TemporaryDirectory() as folder:
        build = er.deploy.build(program, "onnxruntime", Path(folder) / "model.onnx")
        pair = er.Pair(original, program, build)
        few = test.select(range(100))
        found = er.evade.search(pair, few, objective=divergence, epsilon=16, steps=30, start="random")
        print(f"by divergence: {found.rate}")

        best = er.evade.search(pair, few, epsilon=16)
        print(f"by the default attack: {best.rate}")
        for row in torch.nonzero(best.evasive)[:3, 0].tolist():
            path = Path(folder) / f"{int(best.index[row])}.png"
            path.write_bytes(er.evade.png_bytes(best.images[row]))
            image = er.evade.read_png(path)[None]
            answers = pair.original_scores(image).argmax(1), pair.build_scores(image).argmax(1)
            print(f"{path.name}: label {int(best.labels[row])}, original {int(answers[0])}, build {int(answers[1])}")


if __name__ == "__main__":
    main()
