"""What the tests of `certify` share: tiny pairs whose boxes can be searched whole, and a small residual one."""

from collections.abc import Callable

import pytest
import torch
from linear_pair import StandInBuild, image_set
from torch import Tensor, nn

from edgerift.adapt import ptq
from edgerift.deploy import quiet, twin, twin_scores
from edgerift.evade import Pair
from edgerift.images import ImageSet


class TwinBuild(StandInBuild):
    """A program's twin in the build's place, which computes as ExecuTorch does to the bit."""

    runtime = "executorch"


def adapted(original: nn.Module, images: Tensor, classes: int, *, in_colour: bool = False) -> Pair:
    """Quantize an original and put its twin in the build's place."""
    with quiet():
        labels = torch.zeros(len(images), dtype=torch.int64)
        program = ptq(original, image_set(images, labels, classes, in_colour=in_colour), calibration_images=len(images))
    follows = twin(program, "xnnpack")
    return Pair(original, program, TwinBuild(lambda shown: twin_scores(follows, shown, batch=65536)))


def all_images() -> Tensor:
    """Every image of one grey pixel beside another, uint8 `[65536,1,1,2]`: the place is 256 times the first."""
    levels = torch.arange(256, dtype=torch.uint8)
    return torch.cartesian_prod(levels, levels).view(-1, 1, 1, 2)


def two_pixels(seed: int) -> nn.Module:
    """Two inputs, three hidden neurons, two classes, whose plane of decision crosses the images."""
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        scores = layers(torch.rand(500, 1, 1, 2))
        layers[3].bias[1] -= (scores[:, 1] - scores[:, 0]).median()
    return layers.eval()


class Residual(nn.Module):
    """A normalised convolution, a block with a shortcut, a pooling and a linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.inner = nn.Conv2d(4, 4, 3, padding=1)
        self.pool, self.last = nn.MaxPool2d(2), nn.Linear(4, classes)

    def forward(self, images: Tensor) -> Tensor:
        first = torch.relu(self.norm(self.stem(images - 0.5)))
        joined = self.pool(torch.relu(self.inner(first) + first))
        return self.last(joined.mean((2, 3)))


@pytest.fixture(scope="session")
def whole_pair() -> Callable[[int], Pair]:
    """Make the pair of a network of two pixels by its seed, once."""
    known: dict[int, Pair] = {}

    def make(seed: int) -> Pair:
        if seed not in known:
            known[seed] = adapted(two_pixels(seed), all_images()[::97], 2)
        return known[seed]

    return make


@pytest.fixture(scope="session")
def residual_pair() -> tuple[Pair, ImageSet]:
    """Make a small residual pair, and colour images with the labels that its original gives them."""
    torch.manual_seed(0)
    original = Residual(4)
    images = torch.randint(0, 256, (48, 3, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        original(images / 255)  # In training mode, so that its statistics are those of the images.
        original.eval()
        scores = original(images / 255)
        original.last.bias -= scores.mean(0)
    pair = adapted(original, images, 4, in_colour=True)
    return pair, image_set(images, pair.original_scores(images).argmax(1), 4, in_colour=True)
