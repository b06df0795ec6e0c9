"""What the tests of `evade` share: a real program, its build and images that it gets right."""

from collections.abc import Callable

import pytest
import torch
from linear_pair import image_set
from made_networks import random_images
from program_maker import ProgramMaker
from torch import nn

from edgerift.deploy import RUNTIMES, build, quiet, twin, twin_scores
from edgerift.evade import Pair
from edgerift.images import ImageSet


def small_network(maker: ProgramMaker) -> str:
    """Two convolutions and a linear layer to five classes, every value on a grid."""
    relu = "aten.relu.default"
    first = maker.rounded(maker.call(relu, maker.convolution(maker.rounded("image"), 4, kernel=3, stride=2, padding=1)))
    second = maker.rounded(maker.call(relu, maker.convolution(first, 8, kernel=3, stride=2, padding=1)))
    flat = maker.rounded(maker.call("aten.flatten.using_ints", second, 1), grid=maker.grid(second))
    return maker.rounded(maker.linear(flat, 5))


class NoisyCopy(nn.Module):
    """An original for a program: its twin without the rounding of the logits, moved by a small linear model."""

    def __init__(self, adapted: nn.Module, size: int) -> None:
        super().__init__()
        self.adapted = adapted
        self.other = nn.Linear(3 * size * size, 5)
        generator = torch.Generator().manual_seed(3)
        self.other.weight.data = torch.randn(self.other.weight.shape, generator=generator) / 100
        self.other.bias.data.zero_()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.adapted(images) + self.other(images.flatten(1) - 0.5)
        return scores


@pytest.fixture(scope="session")
def real_pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Pair, ImageSet]]:
    """Make a pair on a real runtime, and images with the labels that its original gives them; once for each runtime."""
    known: dict[str, tuple[Pair, ImageSet]] = {}

    def make(runtime: str) -> tuple[Pair, ImageSet]:
        if runtime not in known:
            with quiet():
                import torchao.quantization.pt2e  # noqa: F401
            maker = ProgramMaker(size=8)
            program = maker.program(small_network(maker))
            built = build(program, runtime, tmp_path_factory.mktemp("pair") / f"model{RUNTIMES[runtime].suffix}")
            pair = Pair(NoisyCopy(twin(program), 8), program, built)
            images = random_images(60, size=8)
            known[runtime] = pair, image_set(images, twin_scores(pair.original, images).argmax(1), classes=5)
        return known[runtime]

    return make
