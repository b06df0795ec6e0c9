"""Linear pairs, whose evasive images are known exactly, and stand-ins for a build.

A linear model's logits are (weight . grey levels + bias) / 255. Whole weights and biases that end in .5 keep every
difference of logits half a unit away from a tie, which is far more than float32 rounds.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from edgerift.deploy import Fingerprint, twin_scores
from edgerift.evade import Pair, Steering
from edgerift.images import ImageSet


class StandInBuild:
    """A build that answers with any function of uint8 images, and keeps what it was asked."""

    runtime = "stand-in"
    path = Path("stand-in.bin")

    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        self.answer = answer
        self.asked: list[Tensor] = []

    def predict(self, images: Tensor) -> Tensor:
        self.asked.append(images.clone())
        return self.answer(images)

    def fingerprint(self) -> Fingerprint:
        return Fingerprint(runtime=self.runtime, version="0", sha256="", processor="", instructions="")

    def integer_macs(self) -> float:
        return 1.0


def linear_model(weight: Tensor, bias: Tensor) -> nn.Module:
    """Make a model of whole weights `[K,D]` a grey level and biases `[K]`."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data = weight.float()
    layer.bias.data = bias.float() / 255
    return nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False)


def margin_model(weight: Tensor, bias: float) -> nn.Module:
    """Make a model of two classes: class 1 leads by weight `[D]` . grey levels + bias, over 255."""
    return linear_model(torch.stack([torch.zeros_like(weight), weight]), torch.tensor([0.0, bias]))


def pair_of(original: nn.Module, adapted: nn.Module) -> tuple[Pair, Steering]:
    """Put a model in the build's place, and steer by both models as they are."""
    return Pair(original, None, StandInBuild(lambda images: twin_scores(adapted, images))), Steering(
        original, (adapted,)
    )


def image_set(images: Tensor, labels: Tensor | None = None, classes: int = 2, *, in_colour: bool = False) -> ImageSet:
    """Make a set of images whose labels are 1 unless given."""
    labels = torch.ones(len(images), dtype=torch.int64) if labels is None else labels
    names = tuple(f"class {number}" for number in range(classes))
    return ImageSet("made", images, labels, names, "made", in_colour=in_colour)


def near_images(count: int, size: int, seed: int, spread: int = 15) -> Tensor:
    """Make uint8 images around one that has pixels at both ends of the range."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randint(-20, 276, (1, 3, size, size), generator=generator)
    noise = torch.randint(-spread, spread + 1, (count, 3, size, size), generator=generator)
    return (centre + noise).clamp(0, 255).to(torch.uint8)
