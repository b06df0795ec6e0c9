import io

import numpy as np
import PIL.Image
import pytest

from edgerift.images import extent
from edgerift.images._pixels import EXIF_ORIENTATION, IMAGES_AT_ONCE, decode, resize_pixels

GREY = np.array([[0, 60], [128, 255]], dtype=np.uint8)
COLOUR = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20


def encoded(image: PIL.Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def palette(transparency: bytes | int | None = None) -> bytes:
    image = PIL.Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8), "L").convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    options = {} if transparency is None else {"transparency": transparency}
    return encoded(image, **options)


LOOKED_UP = np.array([[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]])
THREE = np.repeat(GREY[:, :, None], 3, axis=2)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(encoded(PIL.Image.fromarray(COLOUR)), COLOUR, id="colour"),
        pytest.param(encoded(PIL.Image.fromarray(GREY)), THREE, id="greyscale"),
        pytest.param(encoded(PIL.Image.fromarray(GREY.astype(np.uint16) * 257)), THREE, id="sixteen-bit greyscale"),
        pytest.param(encoded(PIL.Image.fromarray(GREY.astype(np.int32) * 257), "TIFF"), THREE, id="32-bit greyscale"),
        pytest.param(encoded(PIL.Image.fromarray(GREY > 100)), (THREE > 100) * 255, id="black and white"),
        pytest.param(encoded(PIL.Image.fromarray(np.dstack([COLOUR, GREY]))), COLOUR, id="transparent colour"),
        pytest.param(encoded(PIL.Image.fromarray(np.dstack([GREY, GREY]))), THREE, id="transparent greyscale"),
        pytest.param(palette(), LOOKED_UP, id="palette"),
        pytest.param(palette(0), LOOKED_UP, id="palette with a transparent entry"),
        pytest.param(palette(b"\x00\x80\xff"), LOOKED_UP, id="palette with opacities"),
    ],
)
def test_every_kind_of_image_becomes_colour(file: bytes, expected: np.ndarray) -> None:
    pixels, before = decode(file, None)
    assert pixels.dtype == np.uint8
    assert before == (2, 2)
    np.testing.assert_array_equal(pixels, np.asarray(expected).transpose(2, 0, 1))


def test_a_photograph_is_turned_upright() -> None:
    tags = PIL.Image.Exif()
    tags[EXIF_ORIENTATION] = 6  # The camera was held so that the picture has to be turned right by a quarter.
    file = encoded(PIL.Image.fromarray(COLOUR), exif=tags)
    np.testing.assert_array_equal(decode(file, None)[0], np.rot90(COLOUR, -1).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("size", "expected"), [(None, (8, 6)), ((8, 6), (8, 6)), (4, (4, 4)), (16, (16, 16)), ((3, 9), (3, 9))]
)
def test_an_image_is_scaled_to_the_size(size: int | tuple[int, int] | None, expected: tuple[int, int]) -> None:
    flat = PIL.Image.new("RGB", (6, 8), (7, 130, 255))
    pixels, before = decode(encoded(flat), size)
    assert before == (8, 6)
    assert pixels.shape == (3, *expected)
    assert {tuple(pixel) for pixel in pixels.reshape(3, -1).T.tolist()} == {(7, 130, 255)}


@pytest.mark.parametrize(
    "image",
    [
        PIL.Image.fromarray(np.ones((2, 2), dtype=np.float32)),
        PIL.Image.fromarray(np.full((2, 2), 70_000, dtype=np.int32)),
        PIL.Image.fromarray(np.full((2, 2), -1, dtype=np.int32)),
    ],
)
def test_pixels_that_are_no_grey_levels_are_refused(image: PIL.Image.Image) -> None:
    with pytest.raises(ValueError, match="grey levels"):
        decode(encoded(image, "TIFF"), None)


@pytest.mark.parametrize(
    ("count", "height", "width", "size"),
    [
        (0, 4, 4, 8),
        (1, 5, 5, 5),
        (3, 7, 9, 4),
        (3, 9, 7, 31),
        (2, 8, 5, (6, 3)),
        (2, 8, 8, (5, 12)),
        (2, 8, 8, (8, 5)),
        (IMAGES_AT_ONCE + 2, 3, 2, 5),
    ],
)
def test_images_scaled_together_are_those_scaled_alone(
    count: int, height: int, width: int, size: int | tuple[int, int]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (count, 3, height, width), dtype=np.uint8)
    alone = [decode(encoded(PIL.Image.fromarray(image.transpose(1, 2, 0))), size)[0] for image in images]
    together = resize_pixels(images, size)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(together, np.array(alone, dtype=np.uint8).reshape(count, 3, *extent(size)))
