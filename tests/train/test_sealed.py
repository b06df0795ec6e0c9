"""Checkpoint files: what was written comes back, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgerift.errors import StoreError
from edgerift.train import read_sealed, write_sealed

MARK = "edgerift-test-1"
CONTENT: dict[str, Any] = {"key": "k", "number": 3, "state": {"weight": torch.arange(12.0).view(3, 4)}}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sealed") / "checkpoint"
    write_sealed(path, MARK, CONTENT)
    return path


def test_what_was_written_comes_back(written: Path, tmp_path: Path) -> None:
    found = read_sealed(written, MARK)
    assert found is not None
    assert (found["key"], found["number"]) == ("k", 3)
    assert torch.equal(found["state"]["weight"], CONTENT["state"]["weight"])
    assert read_sealed(tmp_path / "none", MARK) is None


@settings(max_examples=200, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_noticed(written: Path, place: float, bit: int) -> None:
    content = bytearray(written.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    damaged = written.with_name("flipped")
    damaged.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged .*; delete it to start again") as error:
        read_sealed(damaged, MARK)
    assert "\n" not in str(error.value)


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_noticed(written: Path, share: float) -> None:
    content = written.read_bytes()
    damaged = written.with_name("cut")
    damaged.write_bytes(content[: int(share * len(content))])
    with pytest.raises(StoreError, match="is damaged"):
        read_sealed(damaged, MARK)


def test_another_format_is_told(written: Path) -> None:
    with pytest.raises(StoreError, match="does not begin with 'edgerift-other-1'"):
        read_sealed(written, "edgerift-other-1")


class _Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("it ran",)


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bomb"
    write_sealed(path, MARK, {"key": _Bomb()})
    with pytest.raises(StoreError, match="is damaged"):
        read_sealed(path, MARK)
    assert capsys.readouterr().out == ""
