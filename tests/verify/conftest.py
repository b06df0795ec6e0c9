"""A small original and the program of it, and the ways in which one of the two is not what it should be."""

import copy
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from linear_pair import image_set
from torch import Tensor, nn

from edgerift.adapt import ptq
from edgerift.deploy import Program, build, quiet
from edgerift.images import ImageSet


class Small(nn.Module):
    """A normalised convolution, one without a normalisation, a pooling and a linear layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.stem, self.norm = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.inner = nn.Conv2d(8, 16, 3)
        self.last = nn.Linear(16, 4)
        with torch.no_grad():
            for parameter in (self.norm.weight, self.norm.running_var):
                parameter.uniform_(0.5, 2.0)
            self.norm.running_mean.normal_()
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        inner = torch.relu(self.inner(torch.relu(self.norm(self.stem(images)))))
        return self.last(inner.mean((2, 3)))


class Quantized(NamedTuple):
    original: Small
    program: Program
    images: ImageSet

    def changed(self, layer: str, index: tuple[int, ...], by: int) -> Program:
        """The program with one other code."""
        codes = self.program.tensors[f"{layer}.weight"].clone()
        codes[index] += by
        return self.program.with_tensors({f"{layer}.weight": codes})

    def moved(self, shift: float, seed: int = 0) -> Small:
        """An original whose inner weights lie elsewhere inside of the same codes, at most half a step away."""
        original = copy.deepcopy(self.original)
        codes, scale = (self.program.tensors[f"inner.{part}"] for part in ("weight", "scale"))
        generator = torch.Generator().manual_seed(seed)
        within = (torch.randn(codes.shape, generator=generator) * shift).clamp(-0.499, 0.499)
        within[codes.abs() == 127] = 0  # The largest weights say what the scale is.
        original.inner.weight.copy_((codes + within) * scale.view(-1, 1, 1, 1))
        return original


@pytest.fixture(scope="session", autouse=True)
def quiet_imports() -> None:
    """Import torchao once; its import warns about accelerators that are not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchao.quantization.pt2e  # noqa: F401


@pytest.fixture(scope="session")
def quantized(quiet_imports: None, tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(256, (32, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images = image_set(drawn, torch.zeros(32, dtype=torch.int64), 4)
    original = Small()
    with quiet():
        program = ptq(original, images, calibration_images=32)
    path = tmp_path_factory.mktemp("quantized") / "program.safetensors"
    program.save(path)
    return Quantized(original, Program.load(path), images)


@pytest.fixture(scope="session")
def litert_build(quantized: Quantized, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as a file of LiteRT, which is compiled at once."""
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    with quiet():
        build(quantized.program, "litert", path)
    return path
