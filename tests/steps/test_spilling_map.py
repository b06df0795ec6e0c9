"""A map that keeps its newest keys in memory and the others in a file: what a dictionary would say, in any order."""

import hashlib
import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgerift.errors import StoreError
from edgerift.steps import SpillingMap


def keys(count: int, first: int = 0) -> list[bytes]:
    """Keys that begin alike."""
    return [bytes([number % 7]) * 8 + number.to_bytes(8, "big") for number in range(first, first + count)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 1))
def test_it_says_what_a_dictionary_says(tmp_path: Path, actions: list[int], often: int) -> None:
    known: dict[bytes, int] = {}
    unsettled: list[bytes] = []
    with closing(SpillingMap(tmp_path, 8)) as made:
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


def test_new_keys_are_seldom_looked_for_in_the_file_and_known_ones_always_found(tmp_path: Path) -> None:
    names = [hashlib.md5(str(number).encode(), usedforsecurity=False).digest() for number in range(20_000)]
    with closing(SpillingMap(tmp_path, 500)) as made:
        for start in range(0, 10_000, 500):
            made.add(names[start : start + 500], range(start, start + 500))
            made.settle()
        assert made.find(names) == [*range(10_000), *[-1] * 10_000]
        assert made.absent(names) == set(names[10_000:])
        asked: list[str] = []
        assert made._settled is not None
        made._settled.set_trace_callback(asked.append)
        for start in range(10_000, 20_000, 10):
            assert made.absent(names[start : start + 10]) == set(names[start : start + 10])
        assert len(asked) <= 50


def test_the_file_has_no_name_and_the_numbers_are_whole(tmp_path: Path) -> None:
    with closing(SpillingMap(tmp_path, 8)) as made:
        numbers = [0, 1, 2**40, 2**62]
        for start in range(3):
            made.add(keys(4, 4 * start), numbers)
        made.settle()
        assert made._recent == {}
        assert not list(tmp_path.iterdir())
        assert made.find(keys(12)) == 3 * numbers
        assert made.find([]) == []


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    with closing(SpillingMap(tmp_path, 600)) as made:
        made.add(keys(600), range(600))
        made.settle()
        assert made._settled is not None
        pages = made._settled.execute("PRAGMA page_count").fetchone()[0]
        made._settled.execute(f"PRAGMA max_page_count={pages}")
        made.add(keys(600, 600), range(600, 1200))
        for _ in range(2):
            with pytest.raises(StoreError, match="is full"):
                made.settle()
            assert made.find(keys(1200)) == list(range(1200))
            assert len(made) == 1200
        made._settled.execute("PRAGMA max_page_count=1000000")
        made.settle()
        assert made._recent == {}
        assert made.find(keys(1201)) == [*range(1200), -1]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with closing(SpillingMap(tmp_path / "none", 1)) as made:
        made.add(keys(1), [5])
        with pytest.raises(StoreError, match="takes no more keys"):
            made.settle()
        assert made.find(keys(2)) == [5, -1]


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
