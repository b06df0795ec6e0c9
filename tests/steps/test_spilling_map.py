"""A map that keeps its newest keys in memory and the others in a file: what a dictionary would say, in any order."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgerift.steps import SpillingMap
from edgerift.steps import _spilling_map as module


def keys(count: int, first: int = 0) -> list[bytes]:
    """Keys whose first bytes, which choose the place, are often the same."""
    return [bytes([number % 7]) * 8 + number.to_bytes(8, "big") for number in range(first, first + count)]


@contextmanager
def small(path: Path, recent: int = 8) -> Iterator[SpillingMap]:
    with pytest.MonkeyPatch.context() as patch, closing(SpillingMap(path, recent)) as made:
        patch.setattr(module, "_FIRST_PLACES", 16)
        patch.setattr(module, "_MOVED", 8)
        patch.setattr(module, "_LOOKED_AT", 4)
        yield made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 1))
def test_it_says_what_a_dictionary_says(tmp_path: Path, actions: list[int], often: int) -> None:
    known: dict[bytes, int] = {}
    unsettled: list[bytes] = []
    with small(tmp_path) as made:
        for number, action in enumerate(actions):
            if action == 3 and unsettled:
                lost = unsettled[len(unsettled) // 2 :]
                made.forget(lost)
                unsettled = unsettled[: len(unsettled) // 2]
                known = {key: value for key, value in known.items() if key not in lost}
                continue
            new = keys(action + 1, 10 * number)
            made.add(new, range(10 * number, 10 * number + len(new)))
            known |= dict(zip(new, range(10 * number, 10 * number + len(new)), strict=True))
            unsettled += new
            if often or action == 0:
                made.settle()
                unsettled = []
            asked = [*known, *keys(3, 100_000)]
            assert made.find(asked) == [known.get(key, -1) for key in asked]
        assert len(made) == len(known)


def test_the_file_has_no_name_and_the_numbers_are_whole(tmp_path: Path) -> None:
    with small(tmp_path) as made:
        numbers = [0, 1, 2**40, 2**62]
        for start in range(3):
            made.add(keys(4, 4 * start), numbers)
        made.settle()
        assert made._recent == {}
        assert not list(tmp_path.iterdir())
        assert made.find(keys(12)) == 3 * numbers
        assert made.find([]) == []


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with small(tmp_path) as made:
        made.add(keys(8), range(8))
        made.settle()
        made.add(keys(8, 8), range(8, 16))
        monkeypatch.setattr(module.os, "posix_fallocate", full)
        with pytest.raises(OSError, match="full"):
            made.settle()
        assert made.find(keys(16)) == list(range(16))
        monkeypatch.undo()
        made.settle()
        assert made.find(keys(17)) == [*range(16), -1]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="counts pages as Linux does")
def test_memory_stays_as_it_is(tmp_path: Path) -> None:
    """The second half of 160,000 keys takes less than a twentieth of what a dictionary has for them."""

    def resident() -> int:
        text = Path("/proc/self/smaps_rollup").read_text()
        return int(text.partition("Pss:")[2].split()[0])

    with closing(SpillingMap(tmp_path)) as made:
        sizes = []
        for start in range(0, 160_000, 4000):
            new = [os.urandom(16) for _ in range(4000)]
            made.add(new, range(start, start + 4000))
            made.settle()
            sizes.append(resident())
        assert len(made) == 160_000
    assert sizes[-1] - sizes[19] < 80_000 * 180 / 1024 / 20
