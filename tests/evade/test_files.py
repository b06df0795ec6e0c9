import contextlib
import io
import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from linear_pair import StandInBuild, margin_model
from PIL import Image

from edgerift.errors import DataError
from edgerift.evade import Pair, png_bytes, read_png
from edgerift.evade._files import judged_from_png
from edgerift.images import in_channels, is_grey

IMAGE = torch.randint(0, 256, (3, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_png_file_holds_the_image_to_the_grey_level(height: int, width: int, data: st.DataObject) -> None:
    channels = data.draw(st.sampled_from([1, 3]))
    content = data.draw(st.binary(min_size=channels * height * width, max_size=channels * height * width))
    image = torch.tensor(list(content), dtype=torch.uint8).view(channels, height, width)
    again = read_png(png_bytes(image))
    assert again.dtype == torch.uint8
    # A file does not tell an image in colour that happens to be grey from a grey one.
    assert len(again) == (1 if is_grey(image[None]) else 3)
    assert torch.equal(in_channels(again[None], channels)[0], image)


def test_channels_rows_and_columns_keep_their_places() -> None:
    with Image.open(io.BytesIO(png_bytes(IMAGE))) as decoded:
        assert decoded.size == (4, 5)
        assert decoded.getpixel((3, 1)) == tuple(IMAGE[:, 1, 3].tolist())


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    (tmp_path / "found.png").write_bytes(png_bytes(IMAGE))
    assert torch.equal(read_png(tmp_path / "found.png"), IMAGE)


def as_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(IMAGE.permute(1, 2, 0).numpy()).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"no image", as_jpeg(), png_bytes(IMAGE)[:8]], ids=lambda value: str(value[:4])
)
def test_what_is_no_png_file_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="these bytes is no readable PNG"):
        read_png(content)
    (tmp_path / "other.png").write_bytes(content)
    with pytest.raises(DataError, match=r"other\.png is no readable PNG"):
        read_png(tmp_path / "other.png")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.png"):
        read_png(tmp_path / "missing.png")


WHOLE = png_bytes(IMAGE)


def test_a_damaged_file_is_refused_or_read_as_an_image() -> None:
    """Every byte, changed in turn."""
    for place, change in itertools.product(range(len(WHOLE)), (1, 8, 64, 255)):
        damaged = bytearray(WHOLE)
        damaged[place] ^= change
        with contextlib.suppress(DataError):
            assert read_png(bytes(damaged)).dtype == torch.uint8


@given(st.integers(0, len(WHOLE) - 21))
def test_a_file_that_was_cut_off_is_refused(length: int) -> None:
    """Its last 20 bytes hold no pixels, and a file without them is read by every decoder."""
    with pytest.raises(DataError):
        read_png(WHOLE[:length])


def test_a_file_is_judged_alone_and_as_it_is_decoded() -> None:
    build = StandInBuild(lambda images: images.flatten(1)[:, :2].float())
    pair = Pair(margin_model(torch.ones(60), 0.5), None, build)
    original, scores = judged_from_png(pair, IMAGE, torch.tensor(1))
    assert scores.tolist() == IMAGE.flatten()[:2].tolist()
    assert original.tolist() == pair.original_scores(IMAGE[None])[0].tolist()
    assert [asked.shape for asked in build.asked] == [(1, 3, 5, 4)]
    assert torch.equal(build.asked[0][0], IMAGE)
