"""Overhead of the oracle over a bare build, and of DivQAT over a step of quantization-aware training.

    python benchmarks/extract.py [--original original.safetensors] [--turns 9] [--images 4096] [--out FILE]

Every figure is a ratio of CPU times within one turn, and the median over the turns; the contenders of a turn run one
after the other on one thread. The oracle writes its ledger to disk. The victim is a build of the given original (by
default an untrained resnet8, with the same arithmetic), and the images are random.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from stopwatch import in_turns, ratios
from torch.nn import functional as F

from edgerift import Oracle, adapt, defend, deploy, zoo
from edgerift.adapt import Divqat
from edgerift.adapt._convert import quantize
from edgerift.adapt._hardened import defence_loss
from edgerift.deploy import Build, Provenance, trainable_twin
from edgerift.images import ImageSet, to_float
from edgerift.train import TrainSettings, run

DEFENCES = {
    "no defence": (),
    "Reverse Sigmoid": (defend.ReverseSigmoid(),),
    "Deception": (defend.Deception(beta=0.9),),
    "Gaussian noise": (defend.GaussianNoise(sigma=0.1),),
}


def random_images(count: int, size: int, classes: int) -> ImageSet:
    """Make images of random pixels and random labels."""
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        name="random",
        images=torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8),
        labels=torch.randint(classes, (count,), generator=generator),
        classes=tuple(str(number) for number in range(classes)),
        fingerprint="random",
    )


def throughput(build: Build, images: ImageSet, turns: int, folder: Path) -> dict[str, dict[str, float]]:
    """Compare queries to an oracle, which has not seen the images before, with queries to the bare build."""
    asked = images.images

    def ask(name: str, turn: list[int]) -> None:
        turn[0] += 1
        path = folder / f"{name.replace(' ', '-')}-{turn[0]}.bin"
        with Oracle(build, budget=len(asked), defence=DEFENCES[name], ledger=path) as oracle:
            oracle.ask(asked)
        path.unlink()

    works: dict[str, Any] = {"bare": lambda: build.predict(asked).softmax(1)}
    works |= {name: lambda name=name, turn=[0]: ask(name, turn) for name in DEFENCES}
    spent, _ = in_turns(works, turns)
    return {
        "images_per_second": {name: len(asked) / min(times) for name, times in spent.items()},
        "throughput_over_bare": {name: 1 / ratio for name, ratio in ratios(spent, "bare").items()},
    }


def steps(original: zoo.Classifier, batch: int, turns: int) -> dict[str, float]:
    """Compare one epoch of five steps of the trainable twin under both losses, and of the original in float."""
    settings = TrainSettings(epochs=1, batch_size=batch, learning_rate=0.001, device="cpu")
    images = random_images(5 * batch, original.architecture.size, original.architecture.classes)
    converted = quantize(
        copy.deepcopy(original),
        [to_float(images.images[:64])],
        target="mobile",
        classes=len(images.classes),
        shape=images.shape,
        provenance=Provenance(method="benchmark"),
    )
    student = trainable_twin(converted.program, converted.weights)
    trained = copy.deepcopy(original).requires_grad_(True)
    divqat = defence_loss(original, Divqat(alpha=0.1), settings)

    def plain(model: torch.nn.Module, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(model(pixels), labels)

    works: dict[str, Any] = {
        "qat": lambda: run(student, images, None, settings, loss=plain),
        "divqat": lambda: run(student, images, None, settings, loss=divqat),
        "float": lambda: run(trained, images, None, settings, loss=plain),
    }
    spent, _ = in_turns(works, turns)
    return ratios(spent, "qat")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("extract.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    original = zoo.create("resnet8", 10) if options.original is None else zoo.load(options.original)
    images = random_images(options.images, original.architecture.size, original.architecture.classes)
    found: dict[str, Any] = {"model": original.architecture.name, "turns": options.turns, "images": options.images}
    with tempfile.TemporaryDirectory() as folder:
        program = adapt.ptq(original, images, target="mobile", calibration_images=256)
        build = deploy.build(program, "executorch", Path(folder) / "model.pte")
        found["oracle"] = throughput(build, images, options.turns, Path(folder))
    found["step_over_qat_step"] = {str(batch): steps(original, batch, options.turns) for batch in (32, 128)}
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    for name, ratio in found["oracle"]["throughput_over_bare"].items():
        print(f"{name:20} {found['oracle']['images_per_second'][name]:10.0f} images/s  {ratio:.3f} of the bare build")
    for batch, row in found["step_over_qat_step"].items():
        print(f"batch {batch}: a DivQAT step is {row['divqat']:.2f}, a float step {row['float']:.2f} of a QAT step")


if __name__ == "__main__":
    main()
