"""The ids of requests: remembered on disk, bounded, and whole after a write that was torn."""

from contextlib import closing
from pathlib import Path

import pytest
from served import images

from edgerift.errors import StoreError
from edgerift.serve._errors import RefusedError
from edgerift.serve._request_ids import RequestIds
from edgerift.steps import SpillingMap


def claims(ids: RequestIds, name: str, seed: int = 0) -> bool:
    try:
        ids.claim(name, images(1, seed))
    except RefusedError as error:
        return error.status != 409
    return True


def test_an_id_is_remembered_with_its_images(tmp_path: Path) -> None:
    path = tmp_path / "a.ids"
    with closing(RequestIds(path)) as ids:
        assert claims(ids, "q")
        assert claims(ids, "q")
        assert not claims(ids, "q", seed=1)
        assert claims(ids, "", 2)
        assert claims(ids, "", 3)
        assert path.stat().st_size == 32
        # While the first is open: what a killed process leaves is there already.
        with closing(RequestIds(path)) as again:
            assert not claims(again, "q", seed=1)


def test_a_torn_record_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.ids"
    with closing(RequestIds(path)) as ids:
        claims(ids, "q")
    with path.open("ab") as file:
        file.write(b"torn")
    with closing(RequestIds(path)) as ids:
        assert claims(ids, "r")
        assert path.stat().st_size == 64
    with closing(RequestIds(path)) as ids:
        assert not claims(ids, "r", seed=1)
        assert not claims(ids, "q", seed=1)


def test_as_many_are_remembered_as_was_said(tmp_path: Path) -> None:
    path = tmp_path / "a.ids"
    with closing(RequestIds(path, most=4)) as ids:
        for number in range(100):
            assert claims(ids, f"q{number}")
            assert path.stat().st_size <= 32 * 9
    with closing(RequestIds(path, most=4)) as again:
        assert not claims(again, "q99", seed=1)
        assert claims(again, "q90", seed=1)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read or written"):
        RequestIds(tmp_path / "none" / "a.ids")


def test_ids_that_are_no_longer_in_memory_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init = SpillingMap.__init__
    monkeypatch.setattr(SpillingMap, "__init__", lambda self, folder, recent=4: init(self, folder, recent))
    path = tmp_path / "a.ids"
    for _ in range(2):
        with closing(RequestIds(path, most=50)) as ids:
            for number in range(60):
                assert claims(ids, f"q{number}")
            for number in range(60):
                assert not claims(ids, f"q{number}", seed=1)
            assert path.stat().st_size == 60 * 32
    with closing(RequestIds(None, most=4)) as ids:
        assert all(claims(ids, f"q{number}") for number in range(9))
        assert not claims(ids, "q8", seed=1)
        assert claims(ids, "q0", seed=1)
