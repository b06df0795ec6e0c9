"""Files from others that are made to break their reader: one line each, and no memory taken for what is not there."""

import io
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from edgerift.errors import DataError
from edgerift.images import load

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 0, 1])


def array(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def headed(text: str, values: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """Write an array of numpy's format with any header."""
    header = text.encode("latin1")
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    return b"\x93NUMPY" + version + length + header + values


def header(descr: str = "'|u1'", shape: str = "(4, 8, 8, 3)", fortran: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def with_images(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    return archive({"images.npy": content, "labels.npy": array(LABELS)}, method)


def with_labels(content: bytes, name: str = "images.npy") -> bytes:
    return archive({name: array(IMAGES), "labels.npy": content})


def patched(content: bytes, offset: int, form: str, value: int) -> bytes:
    """Change a field of every entry of an archive: in its own header and in the list at the end."""
    changed = bytearray(content)
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        start = changed.find(signature)
        while start >= 0:
            struct.pack_into(form, changed, start + offset + shift, value)
            start = changed.find(signature, start + 4)
    return bytes(changed)


def twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for values in (IMAGES, IMAGES[::-1]):
            file.writestr("images.npy", array(values))
        file.writestr("labels.npy", array(LABELS))
    return buffer.getvalue()


WHOLE = with_images(array(IMAGES))
BOMB = 3 * 2**25

HOSTILE = {
    "encrypted": (patched(WHOLE, 6, "<H", 1), "'images.npy' is encrypted"),
    "an unknown compression": (patched(WHOLE, 8, "<H", 99), "'images.npy' is compressed in way 99"),
    "bzip2": (archive({"images.npy": array(IMAGES)}, zipfile.ZIP_BZIP2), "is compressed in way 12"),
    "a bomb": (with_images(headed(header(shape=f"({BOMB // 192}, 8, 8, 3)"), bytes(BOMB))), "unpacks to 100663"),
    "a huge shape": (with_images(headed(header(shape=f"({10**12}, 8, 8, 3)"))), "does not fill its"),
    "a shape beyond 64 bits": (with_images(headed(header(shape=f"({'9' * 40},)"))), "does not fill its"),
    "a negative shape": (with_images(headed(header(shape="(-4, 8, -8, 3)"), bytes(768))), "whole numbers from 0 up"),
    "a shape of truth": (with_images(headed(header(shape="(True,)"), b"x")), "whole numbers from 0 up"),
    "a shape of text": (with_images(headed(header(shape="'four'"))), "no whole .npz file"),
    "values missing": (with_images(array(IMAGES)[:-9]), "does not fill its"),
    "values too many": (with_images(array(IMAGES) + b"more"), "does not fill its"),
    "a size that is not true": (patched(with_images(array(IMAGES), 0), 22, "<I", 2**20), "no whole .npz file"),
    "a checksum that is not true": (patched(WHOLE, 14, "<I", 1), "Bad CRC-32"),
    "a header that does not end": (with_images(b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b" " * 9999), "no whole .npz file"),
    "a header of brackets": (with_images(headed("(" * 9000)), "no whole .npz file"),
    "a header of minus signs": (with_images(headed("-" * 9000 + "1")), "no whole .npz file"),
    "a header of nothing": (with_images(headed("")), "no whole .npz file"),
    "a header of other keys": (with_images(headed("{'descr': '|u1'}\n")), "no whole .npz file"),
    "a header that is code": (with_images(headed(header(descr="print('marker')"))), "no whole .npz file"),
    "a header of bytes": (with_images(headed("\xff\xfe\x00'")), "no whole .npz file"),
    "a later version": (with_images(headed(header(), IMAGES.tobytes(), b"\x03\x00")), "header of version 3.0"),
    "an unknown version": (with_images(headed(header(), IMAGES.tobytes(), b"\x09\x00")), "header of version 9.0"),
    "an unknown type": (with_images(headed(header(descr="'zz'"))), "no whole .npz file"),
    "a type of types": (with_images(headed(header(descr="[('a', '|u1'), ('b', '<f8')]"))), "and text are read"),
    "a type of arrays": (with_images(headed(header(descr="('|u1', (1000000000,))"))), "no whole .npz file"),
    "text of no length": (with_images(headed(header(descr="'<U0'", shape=f"({10**12},)"))), "and text are read"),
    "objects": (with_images(headed(header(descr="'|O'", shape="(4,)"), bytes(32))), "whole numbers and text are read"),
    "pickled objects": (with_images(b"\x80\x04]\x94."), "no whole .npz file"),
    "no array": (with_images(b"images"), "no whole .npz file"),
    "no dimension": (with_images(array(np.uint8(3))), "images of 'set.npz' are uint8 []"),
    "labels of no dimension": (with_labels(array(np.int64(3))), "labels of 'set.npz' are int64 []"),
    "floating-point images": (with_images(array(IMAGES.astype(np.float32))), "float32 [4, 8, 8, 3]; they are uint8"),
    "dates for labels": (with_labels(array(LABELS.astype("M8[D]"))), "whole numbers and text are read"),
    "nested names": (with_labels(array(LABELS), "a/images.npy"), "no array images; it has labels, a/images"),
    "a name on the way up": (with_labels(array(LABELS), "../images.npy"), "no array images"),
    "no suffix": (archive({"images": b"", "images.npy": array(IMAGES)}), "the array 'images' 2 times"),
    "a name of two lines": (archive({"ima\nges.npy": array(IMAGES)}), "it has ima\\nges"),
    "the same name twice": (twice(), "the array 'images' 2 times"),
    "an empty archive": (archive({}), "no array images and labels; it has none"),
    "an array of no archive": (array(IMAGES), "no whole .npz file"),
    "no archive": (b"x" * 999, "no whole .npz file"),
    "an archive cut in its list": (WHOLE[:-30], "no whole .npz file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_npz(kind: str) -> None:
    content, expected = HOSTILE[kind]
    Path("set.npz").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            load("set.npz")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert expected in str(caught.value)
    assert str(caught.value).isprintable()
    assert most < 2**24


def test_what_is_whole_is_read_in_either_order() -> None:
    Path("set.npz").write_bytes(with_images(array(np.asfortranarray(IMAGES))))
    train, test = load("set.npz", test_fraction=0.5)
    assert {image.numpy().tobytes() for part in (train, test) for image in part.images} == {
        image.transpose(2, 0, 1).tobytes() for image in IMAGES
    }


def png_of(width: int, height: int) -> bytes:
    """Write a PNG that says it has so many pixels and holds none of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    start = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png_of(8193, 8192), "it has 8193x8192 pixels, and 67108864 are allowed"),
        (png_of(12_000, 12_000), "pixels"),
        (png_of(2**31 - 1, 2**31 - 1), "pixels"),
        (png_of(0, 8), "cannot be decoded"),
        (EPS, "it is none of AVIF, BMP"),
        (b"", "it is none of AVIF, BMP"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
    ],
    ids=["beyond", "far beyond", "beyond all", "no width", "a program", "nothing", "a beginning"],
)
def test_hostile_images(content: bytes, expected: str, class_folders: Callable[..., None]) -> None:
    class_folders(Path("set"), {"cat": IMAGES[:2], "dog": IMAGES[2:]})
    Path("set/dog/0.png").write_bytes(content)
    with pytest.raises(DataError) as caught:
        load("set", size=8)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("'set/dog/0.png' cannot be decoded")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("levels", "expected"), [([0, 200, 255], "16-bit grey levels end at 255"), ([0, 256, 65535], "")]
)
def test_sixteen_bits_that_would_all_be_black(levels: list[int], expected: str) -> None:
    for name, number in (("cat", 0), ("cat", 1), ("dog", 0), ("dog", 1)):
        pixels = np.full((3, 3), levels, np.uint16)
        pixels[0, 0] += 256 * number if not expected else number
        Path(f"set/{name}").mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(f"set/{name}/{number}.png")
    if expected:
        with pytest.raises(DataError, match=expected):
            load("set", test_fraction=0.5)
    else:
        train, _ = load("set", test_fraction=0.5)
        assert train.images[0, :, 1].tolist() == [[0, 1, 255]]


class TestParquet:
    @pytest.fixture(autouse=True)
    def _write(self, parquet: Callable[..., Path]) -> None:
        parquet(Path("set/test.parquet"), IMAGES[:2], {"label": [0, 1]})
        self.parquet = parquet

    def said(self) -> str:
        with pytest.raises(DataError) as caught:
            load("set")
        assert str(caught.value).isprintable()
        return str(caught.value)

    def test_a_row_group_that_unpacks_to_too_much(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from edgerift.images import _table

        self.parquet(Path("set/train.parquet"), [IMAGES[0].repeat(9, 0).repeat(9, 1)], {"label": [0]})
        monkeypatch.setattr(_table, "MOST_BYTES", 2**7)
        assert "GiB of images in one row group; 0 GiB are allowed" in self.said()

    def test_few_large_cells_are_read_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from edgerift.images import _table

        self.parquet(Path("set/train.parquet"), IMAGES, {"label": [0, 1, 1, 0]})
        monkeypatch.setattr(_table, "BYTES_AT_ONCE", 1)
        table = _table.ParquetTable("it", [Path("set/train.parquet")])
        assert [len(rows.files) for rows in table.rows()] == [1, 1, 1, 1]
        assert load("set").train.labels.tolist() == [0, 1, 1, 0]

    @pytest.mark.parametrize("text", [b"no json", b"[" * 10**5, b'{"info": {"features": {"label": []}}}', b"\xff"])
    def test_class_names_that_are_none(self, text: bytes) -> None:
        import pyarrow
        import pyarrow.parquet

        self.parquet(Path("set/train.parquet"), IMAGES, {"label": [0, 1, 1, 0]})
        table = pyarrow.parquet.read_table("set/train.parquet").replace_schema_metadata({b"huggingface": text})
        pyarrow.parquet.write_table(table, "set/train.parquet", store_schema=False)
        assert load("set").train.classes == ("0", "1")

    def test_any_damage_ends_in_one_line(self) -> None:
        file = self.parquet(Path("set/train.parquet"), IMAGES, {"label": [0, 1, 1, 0]})
        said = damaged(file, "set", 60)
        assert len(said) > 10
        assert all(line.isprintable() for line in said)


def damaged(file: Path, source: str, times: int) -> list[str]:
    """Change a few bytes of a file many times, and collect what is said where it cannot be read."""
    whole, random, said = file.read_bytes(), np.random.default_rng(0), []
    for _ in range(times):
        content = bytearray(whole)
        for place in random.integers(0, len(content), random.integers(1, 4)):
            content[place] ^= int(random.integers(1, 256))
        file.write_bytes(content)
        try:
            load(source, test_fraction=0.5)
        except DataError as error:
            said.append(str(error))
    return said


def test_any_damage_of_an_npz_ends_in_one_line() -> None:
    Path("set.npz").write_bytes(WHOLE)
    said = damaged(Path("set.npz"), "set.npz", 200)
    assert len(said) > 100
    assert all(line.isprintable() for line in said)


def test_an_unreadable_file_is_named(monkeypatch: pytest.MonkeyPatch, class_folders: Callable[..., None]) -> None:
    class_folders(Path("set"), {"cat": IMAGES[:2], "dog": IMAGES[2:]})
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == Path("set/dog/0.png"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"'set/dog/0\.png' cannot be read \(Permission denied\)"):
        load("set")
