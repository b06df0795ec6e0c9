"""The replay memory against a plain list, through kills and on a full disk."""

import errno
import os
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgerift.errors import StoreError
from edgerift.extract import _replay as replay_module
from edgerift.extract._replay import Replay

CPU = torch.device("cpu")
BATCHES = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def batch(first: int, count: int, *, is_float: bool = False) -> tuple[Tensor, Tensor]:
    """Make images and answers that carry their number, from `first` on."""
    return carrying(torch.arange(first, first + count), is_float=is_float)


def carrying(chosen: Tensor, *, is_float: bool) -> tuple[Tensor, Tensor]:
    images = torch.zeros(len(chosen), 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0], images[:, 2, 1, 1] = (chosen % 256).byte(), (chosen // 256).byte()
    answers = torch.stack([chosen.float(), 1 / (1 + chosen.float())], 1)
    return (images.float() / 7 if is_float else images), answers


def numbers(drawn: tuple[Tensor, Tensor], *, is_float: bool = False) -> list[int]:
    """Read the numbers of images, which have to be those of their answers."""
    found = drawn[1][:, 0].int()
    for part, expected in zip(drawn, carrying(found, is_float=is_float), strict=True):
        assert torch.equal(part, expected)
    return found.tolist()


def held(memory: Replay, *, is_float: bool = False) -> set[int]:
    """Draw so often that each image comes: a miss of one in fifty has a chance below 1e-8."""
    return set(numbers(memory.draw(1200, torch.Generator().manual_seed(0)), is_float=is_float))


def fill(memory: Replay, sizes: list[int], *, is_float: bool = False) -> int:
    for size in sizes:
        memory.add(*batch(memory.added, size, is_float=is_float))
    return memory.added


@settings(max_examples=60, deadline=None)
@given(capacity=st.integers(1, 20), sizes=BATCHES, is_float=st.booleans())
def test_the_last_images_are_held(capacity: int, sizes: list[int], is_float: bool) -> None:
    memory, listed = Replay(capacity, CPU), list[int]()
    for size in sizes:
        listed = [*listed, *range(memory.added, memory.added + size)][-capacity:]
        memory.add(*batch(memory.added, size, is_float=is_float))
        assert len(memory) == len(listed)
        assert held(memory, is_float=is_float) == set(listed)
    assert memory.added == sum(sizes)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    capacity=st.integers(1, 20), before=BATCHES, after=st.lists(st.integers(1, 9), max_size=6), is_float=st.booleans()
)
def test_a_run_that_was_killed_draws_what_another_draws(
    tmp_path: Path, capacity: int, before: list[int], after: list[int], is_float: bool
) -> None:
    """After its checkpoint the killed run may have written as many images as the slack is long."""
    path = tmp_path / "replay"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_module, "SLACK", 9 if is_float else max(sum(after), 9))
        patch.setattr(replay_module, "_ROWS_AT_ONCE", 4)
        slack = sum(after)
        whole = Replay(capacity, CPU)
        fill(whole, before, is_float=is_float)
        killed = Replay(capacity, CPU, path, slack)
        fill(killed, before, is_float=is_float)
        killed.flush()
        size = path.stat().st_size
        fill(killed, after, is_float=is_float)
        resumed = Replay(capacity, CPU, path, slack)
        resumed.restore(sum(before), *batch(0, 1, is_float=is_float))
        for memory in (whole, resumed):
            assert (memory.added, len(memory)) == (sum(before), min(capacity, sum(before)))
        for _ in range(3):
            drawn = [memory.draw(40, torch.Generator().manual_seed(5)) for memory in (whole, resumed)]
            assert numbers(drawn[0], is_float=is_float) == numbers(drawn[1], is_float=is_float)
            for memory in (whole, resumed):
                fill(memory, [3, 5], is_float=is_float)
        assert path.stat().st_size == size


@pytest.mark.parametrize("size", [11, 25, 40])
def test_of_a_batch_that_is_larger_than_the_memory_the_last_images_stay(size: int, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_module, "SLACK", 2)
        for path in (None, tmp_path / "replay"):
            memory = Replay(10, CPU, path)
            fill(memory, [3, size])
            assert held(memory) == set(range(size - 7, size + 3))
        resumed = Replay(10, CPU, tmp_path / "replay")
        resumed.restore(size + 3, *batch(0, 1))
        assert held(resumed) == set(range(size - 7, size + 3))


def test_a_memory_with_a_file_draws_as_one_without(tmp_path: Path) -> None:
    with_file, without = Replay(10, CPU, tmp_path / "replay"), Replay(10, CPU)
    for memory in (with_file, without):
        fill(memory, [7, 7, 7])
    first, second = (memory.draw(30, torch.Generator().manual_seed(1)) for memory in (with_file, without))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize("added", [5, 50, 53])
def test_draws_are_uniform(added: int) -> None:
    memory = Replay(50, CPU)
    fill(memory, [added])
    drawn = numbers(memory.draw(100 * len(memory), torch.Generator().manual_seed(0)))
    counts = torch.bincount(torch.tensor(drawn) - (added - len(memory)), minlength=len(memory))
    assert len(counts) == len(memory)
    # Each count is binomial around 100; their sum of squares over 100 is chi-square.
    chi_square = ((counts - 100).double().square() / 100).sum().item()
    assert abs(chi_square - len(memory)) < 4 * (2 * len(memory)) ** 0.5 + 4


def test_memory_and_file_stay_as_large_as_they_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "SLACK", 8)
    path = tmp_path / "replay"
    memory = Replay(20, CPU, path)
    fill(memory, [8])
    sizes = [value.numel() for value in vars(memory).values() if isinstance(value, Tensor)]
    assert sizes == [20 * 12, 20 * 2]
    assert path.stat().st_size == 28 * (12 + 8)
    fill(memory, [8] * 40)
    assert [value.numel() for value in vars(memory).values() if isinstance(value, Tensor)] == sizes
    assert path.stat().st_size == 28 * (12 + 8)


def test_images_are_held_however_they_lie_in_memory(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (6, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    answers = torch.rand(2, 6, generator=torch.Generator().manual_seed(0)).T
    memory = Replay(6, CPU, tmp_path / "replay")
    memory.add(images.to(memory_format=torch.channels_last), answers)
    resumed = Replay(6, CPU, tmp_path / "replay")
    resumed.restore(6, images[:1], answers[:1])
    for each in (memory, resumed):
        drawn = each.draw(50, torch.Generator().manual_seed(0))
        rows = (drawn[1][:, None] == answers).all(2).int().argmax(1)
        assert torch.equal(drawn[1], answers[rows])
        assert torch.equal(drawn[0], images[rows])


@pytest.mark.parametrize("damage", ["gone", "short", "long", "empty"])
def test_a_file_that_is_gone_or_has_another_size_is_an_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "replay"
    fill(Replay(5, CPU, path), [4])
    if damage == "gone":
        path.unlink()
    else:
        os.truncate(path, {"short": path.stat().st_size - 1, "long": path.stat().st_size + 1, "empty": 0}[damage])
    with pytest.raises(StoreError, match="gone or damaged; delete the checkpoint") as error:
        Replay(5, CPU, path).restore(4, *batch(0, 1))
    assert "\n" not in str(error.value)


def test_nothing_remembered_needs_no_file(tmp_path: Path) -> None:
    memory = Replay(5, CPU, tmp_path / "replay")
    memory.restore(0, *batch(0, 1))
    memory.flush()
    assert len(memory) == 0
    assert not (tmp_path / "replay").exists()


def test_a_new_run_does_not_read_an_old_file(tmp_path: Path) -> None:
    path = tmp_path / "replay"
    fill(Replay(5, CPU, path), [5])
    shutil.copy(path, tmp_path / "old")
    memory = Replay(5, CPU, path)
    memory.add(*batch(100, 2))
    assert held(memory) == {100, 101}
    assert path.read_bytes() != (tmp_path / "old").read_bytes()


def test_a_full_disk_is_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a signal, as a file that is mapped into memory gives."""
    memory = Replay(5, CPU, tmp_path / "replay")
    fill(memory, [4])

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for module, name in ((replay_module, "write_all"), (os, "fsync")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, refuse)
            with pytest.raises(StoreError, match=r"the replay memory .* \(No space left on device\)") as error:
                fill(memory, [1]) and memory.flush()
        assert "\n" not in str(error.value)
        assert "answer" not in str(error.value)
