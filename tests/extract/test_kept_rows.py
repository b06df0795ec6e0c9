"""A ledger whose answers stay in its file: the same as one that has them in memory."""

from pathlib import Path

import pytest
import torch
from counted_victim import CountedVictim, distinct_images

from edgerift.errors import BudgetError, StoreError
from edgerift.extract import Oracle, image_keys
from edgerift.steps import SpillingMap


@pytest.fixture(autouse=True)
def _few_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    init = SpillingMap.__init__
    monkeypatch.setattr(SpillingMap, "__init__", lambda self, folder, recent=8: init(self, folder, recent))


def test_answers_are_those_of_memory_before_and_after_a_restart(tmp_path: Path) -> None:
    images, victim = distinct_images(60), CountedVictim()
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    with Oracle(victim, budget=60) as memory:
        expected = memory.ask(images)
    for turn in range(2):
        with Oracle(victim, budget=60, ledger=tmp_path / "ledger", in_memory=False) as oracle:
            assert oracle.spent == 60 * turn
            for places in (slice(0, 5), slice(3, 30), slice(0, 60)):
                assert torch.equal(oracle.ask(images[places]), expected[places])
            assert torch.equal(oracle.ask(images[order]), expected[order])
            twice = torch.cat([images[7:9], images[7:8]])
            assert torch.equal(oracle.ask(twice), expected[[7, 8, 7]])
            assert oracle.look_up(image_keys(torch.cat([images, distinct_images(61)[60:]]))).new == [60]
            with pytest.raises(BudgetError):
                oracle.ask(distinct_images(61))
    # The file is that of a ledger in memory, and each opens it.
    with Oracle(victim, budget=60, ledger=tmp_path / "ledger") as oracle:
        assert torch.equal(oracle.ask(images), expected)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")) == ["ledger"]


def test_a_charge_that_fails_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, victim = distinct_images(30), CountedVictim()
    with Oracle(victim, budget=30, ledger=tmp_path / "ledger", in_memory=False) as oracle:
        first = oracle.ask(images[:12])
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", _fail)
            with pytest.raises(StoreError):
                oracle.ask(images[10:20])
        assert oracle.spent == 12
        assert oracle.look_up(image_keys(images[:20])).new == list(range(12, 20))
        assert torch.equal(oracle.ask(images)[:12], first)
        assert oracle.spent == 30


def _fail(_: int) -> None:
    raise OSError(5, "broken")


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    with Oracle(CountedVictim(), budget=30, ledger=tmp_path / "ledger", in_memory=False) as oracle:
        oracle.ask(distinct_images(3))
    with pytest.raises(StoreError, match="is closed"):
        oracle.ask(distinct_images(3))
