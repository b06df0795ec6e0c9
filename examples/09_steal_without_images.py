"""Clone a build without any images: finite differences of int8 answers, and an attack that needs none.

Usage: python examples/09_steal_without_images.py
"""

import tempfile
from pathlib import Path

import torch

import edgerift as er

SIZE = 8


def main() -> None:
    """Print how well finite differences follow the slopes at each epsilon, and what DisGUIDE's clones have learned."""
    torch.set_num_threads(1)
    train, test = er.images.load("digits", size=SIZE)
    original = er.zoo.create("resnet8", classes=10, size=SIZE, seed=0)
    original = er.train.fit(original, train, epochs=10, batch_size=64, seed=0)
    program = er.adapt.ptq(original, train, target="mobile")

    with tempfile.TemporaryDirectory() as folder:
        build = er.deploy.build(program, "executorch", Path(folder) / "model.pte")
        show_masking(program, build)
        victim = er.Oracle(build, budget=16_000)
        clone = er.extract.data_free(
            victim,
            "disguide",
            classes=10,
            size=SIZE,
            student="resnet8",
            batch_size=32,
            latent=64,
            width=32,
            rehearsal={"steps": 3, "capacity": 16_000},
            seed=1,
            points=4,
        )
        print("\nDisGUIDE, without finite differences:")
        for point in clone.curve:
            print(f"{point.queries:>7,} queries: the clones' loss on new images is {point.clone_loss:.2f}")
        stolen = er.deploy.twin_scores(clone.model, test.images)
        error = er.measure.accuracy(stolen, test.labels).complement
        same = er.measure.agreement(build.predict(test.images), stolen)
        print(f"the clone's error is {error.value:.1%}, its agreement with the build {same.value:.1%}")


def show_masking(program: er.deploy.Program, build: er.deploy.Build) -> None:
    """Compare the build's differences with the slopes of its program without rounding, at generated images."""
    smooth = er.deploy.unrounded_twin(program)
    generator = er.extract.Generator(latent=64, size=SIZE, width=32)
    clone = er.zoo.create("resnet8", classes=10, size=SIZE, seed=2).eval()

    def answer(images: torch.Tensor) -> torch.Tensor:
        return er.extract.posteriors(build, images.mul(255).round().to(torch.uint8))

    print("epsilon   zero differences   correlation with the slopes   size over the slopes'")
    for epsilon in (1e-3, 1e-2, 0.1, 1.0, 5.0):
        differences = er.extract.Differences(epsilon=epsilon)
        found = er.extract.masking(answer, smooth, clone, generator, differences=differences, loss="l1", latent=64)
        print(f"{epsilon:>7g} {found.zero_share:>18.1%} {found.correlation or 0:>29.2f} {found.ratio or 0:>23.1f}")


if __name__ == "__main__":
    main()
