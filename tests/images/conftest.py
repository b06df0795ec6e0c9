"""Small image sets on the disk, made from numbers."""

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(autouse=True)
def clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGERIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGERIFT_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def png() -> Callable[[Pixels], bytes]:
    """Encode uint8 pixels [H,W] or [H,W,C]."""

    def encode(pixels: Pixels) -> bytes:
        buffer = io.BytesIO()
        PIL.Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    return encode


@pytest.fixture
def pixels() -> Callable[..., Pixels]:
    """Draw random colour images [N,H,W,3]."""

    def draw(count: int, height: int = 8, width: int | None = None, seed: int = 0) -> Pixels:
        generator = np.random.default_rng(seed)
        return generator.integers(0, 256, (count, height, width or height, 3), dtype=np.uint8)

    return draw


@pytest.fixture
def parquet(png: Callable[[Pixels], bytes]) -> Callable[..., Path]:
    """Write a Parquet file as the hub keeps them, with class names in its metadata where they are given."""

    def write(
        path: Path,
        images: Iterable[Pixels | bytes | None],
        columns: Mapping[str, list[Any]],
        names: list[str] | None = None,
        image_column: str = "image",
    ) -> Path:
        import datasets

        cells = [
            {"bytes": image if isinstance(image, bytes) else png(image), "path": None} if image is not None else None
            for image in images
        ]
        table = datasets.Dataset.from_dict({image_column: cells, **columns})
        table = table.cast_column(image_column, datasets.Image(decode=False))
        if names is not None:
            table = table.cast_column("label", datasets.ClassLabel(names=names))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            table.to_parquet(file)
        return path

    return write


@pytest.fixture
def class_folders(png: Callable[[Pixels], bytes]) -> Callable[..., None]:
    """Write images into `folder/<class>/<number>.png`."""

    def write(folder: Path, images: Mapping[str, Iterable[Pixels]]) -> None:
        for name, members in images.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(members):
                (folder / name / f"{number}.png").write_bytes(png(image))

    return write
