import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgerift.errors import StoreError
from edgerift.images import ImageSet, load
from edgerift.images._cache import cached, default_cache

STUCK = """
import time
from pathlib import Path
from edgerift.images._cache import cached

def build(folder):
    (folder / "data").write_text("part")
    Path("begun").touch()
    time.sleep(600)

cached(Path("cache"), "key", build)
"""


@pytest.fixture
def source(tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]) -> str:
    parquet(tmp_path / "set/train.parquet", pixels(5), {"label": [0, 1, 0, 1, 0], "track": [1, 2, 3, 4, 5]})
    parquet(tmp_path / "set/test.parquet", pixels(2), {"label": [0, 1]})
    return "set"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Count the images that are decoded."""
    from edgerift.images import _decoding

    count: list[bool] = []
    decode = _decoding.decode

    def counting(*arguments: Any) -> Any:
        count.append(True)
        return decode(*arguments)

    monkeypatch.setattr(_decoding, "decode", counting)
    return count


def same(one: ImageSet, other: ImageSet) -> bool:
    groups = (one.groups is None and other.groups is None) or torch.equal(one.groups, other.groups)
    return torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels) and groups


def test_images_are_decoded_once(source: str, decoded: list[bool]) -> None:
    first = load(source)
    assert len(decoded) == 7
    second = load(source)
    assert len(decoded) == 7
    assert all(same(one, other) for one, other in zip(first, second, strict=True))
    load(source, size=4)
    assert len(decoded) == 14


def test_what_a_user_writes_into_a_tensor_does_not_reach_the_cache(source: str) -> None:
    first = load(source).train
    kept = first.images.clone()
    first.images.zero_()
    assert torch.equal(load(source).train.images, kept)


@pytest.mark.parametrize("name", ["train_images.npy", "train_labels.npy", "train_groups.npy", "entry.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_a_damaged_entry_is_built_again(name: str, damage: str, source: str, decoded: list[bool]) -> None:
    whole = load(source)
    kept = replace(whole.train, images=whole.train.images.clone())
    (file,) = default_cache().rglob(name)
    content = bytearray(file.read_bytes())
    file.unlink()
    if damage == "truncated":
        file.write_bytes(content[:-3])
    if damage == "flipped":
        content[-3] ^= 255
        file.write_bytes(content)
    again = load(source)
    assert len(decoded) == 14
    assert same(again.train, kept)
    load(source)
    assert len(decoded) == 14


def test_a_killed_process_leaves_nothing_and_of_many_one_builds() -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", STUCK], env=environment) as stuck:
        while not Path("begun").exists():
            time.sleep(0.02)
        stuck.kill()
    builds = []

    def build(folder: Path) -> dict[str, Any]:
        builds.append(sorted(folder.iterdir()))
        (folder / "data").write_text("whole")
        time.sleep(0.1)
        return {"done": True}

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: cached(Path("cache"), "key", build), range(3)))
    assert builds == [[]]
    assert [note for _, note in answers] == [{"done": True}] * 3
    assert (answers[0][0] / "data").read_text() == "whole"


def test_leftovers_of_a_kill_are_swept_away(tmp_path: Path) -> None:
    part = tmp_path / "images/key.part"
    part.mkdir(parents=True)
    (part / "stale").write_text("x")

    def build(folder: Path) -> dict[str, Any]:
        np.save(folder / "new.npy", np.arange(3))
        return {}

    folder, _ = cached(tmp_path, "key", build)
    assert sorted(file.name for file in folder.iterdir()) == ["entry.json", "new.npy"]
    assert not part.exists()


def test_a_cache_that_cannot_be_written_is_named(source: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file"):
        load(source, cache=tmp_path / "file")


def test_the_cache_has_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_cache() == tmp_path / "cache"
    monkeypatch.delenv("EDGERIFT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "edgerift"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache/edgerift"
