"""The sheet of what a generator makes."""

from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn

from edgerift.extract import Generator
from edgerift.extract._generator import squashed
from edgerift.extract._samples import draw_samples


def test_each_image_has_its_place(tmp_path: Path) -> None:
    generator = Generator(6, 4, width=4).eval()
    draw_samples(generator, 6, tmp_path / "sheet.png")
    sheet = np.asarray(PIL.Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (8 * 66, 8 * 66, 3)
    with torch.no_grad():
        images = squashed(generator(torch.randn(64, 6, generator=torch.Generator().manual_seed(0))))
    expected = images.mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    for number in (0, 1, 8, 63):
        row, column = divmod(number, 8)
        tile = sheet[66 * row : 66 * (row + 1), 66 * column : 66 * (column + 1)]
        assert (tile[[0, -1]] == 255).all()
        # An image of 4 pixels a side is enlarged sixteen times.
        np.testing.assert_array_equal(tile[1:-1:16, 1:-1:16], expected[number])
        np.testing.assert_array_equal(tile[16:-1:16, 16:-1:16], expected[number])
    draw_samples(generator, 6, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "sheet.png").read_bytes()


class Constant(nn.Module):
    """Makes images of one colour, larger than what is enlarged."""

    def forward(self, latent: Tensor) -> Tensor:
        return torch.zeros(len(latent), 3, 72, 72)


def test_large_images_stay_as_they_are(tmp_path: Path) -> None:
    draw_samples(Constant(), 2, tmp_path / "sheet.png")  # type: ignore[arg-type]
    sheet = np.asarray(PIL.Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (8 * 74, 8 * 74, 3)
    assert (sheet[1:73, 1:73] == 128).all()
