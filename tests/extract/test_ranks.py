"""An attack on several devices: two processes of this machine, which work as one."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_ranks
import torch
from small_ranks import NAMES, RANKS
from small_thefts import ATTACKS, CLASSES, ITERATIONS, SIZE, LinearVictim
from torch import nn

from edgerift.errors import BudgetError, InputError, MissingRuntimeError, RecipeError
from edgerift.extract import DataFree, Oracle, data_free
from edgerift.extract._launch import launch
from edgerift.extract._ranks import Ranks
from edgerift.steps import silent

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let two processes do everything once."""
    pytest.importorskip("lightning_fabric")
    folder = tmp_path_factory.mktemp("ranks")
    told: list[tuple[Any, ...]] = []

    def progress(*given: Any) -> None:
        told.append(given)

    launch(small_ranks.everything, folder, devices=RANKS, device=CPU, progress=progress)
    assert told == [("primitives", 1, 1, "told by 0")]
    return folder


def read(path: Path) -> Any:
    return torch.load(path, weights_only=True)


class TestPrimitives:
    def test_the_mean_gradient_of_the_shares_is_that_of_the_batch(self, found: Path) -> None:
        layer, inputs, targets = small_ranks.linear_batch()
        (layer(inputs) - targets).square().mean().backward()
        for rank in range(RANKS):
            gradients = read(found / f"primitives-{rank}.pt")["gradients"]
            for gradient, weight in zip(gradients, layer.parameters(), strict=True):
                assert weight.grad is not None
                torch.testing.assert_close(gradient, weight.grad)

    def test_running_statistics_are_averaged_and_counts_are_kept(self, found: Path) -> None:
        _, inputs, _ = small_ranks.linear_batch()
        norms = [nn.BatchNorm1d(3) for _ in range(RANKS)]
        for rank, norm in enumerate(norms):
            norm(inputs[rank::RANKS])
        for rank in range(RANKS):
            mean, variance, batches = read(found / f"primitives-{rank}.pt")["statistics"]
            torch.testing.assert_close(mean, torch.stack([norm.running_mean for norm in norms]).mean(0))
            torch.testing.assert_close(variance, torch.stack([norm.running_var for norm in norms]).mean(0))
            assert batches == 1

    def test_counts_add_up_exactly_and_the_first_one_decides(self, found: Path) -> None:
        for rank in range(RANKS):
            noted = read(found / f"primitives-{rank}.pt")
            assert noted["total"] == 2 * 10**9 + 1
            assert noted["agreed"] is True

    def test_one_process_alone_needs_nobody(self) -> None:
        ranks = Ranks()
        tensor = torch.ones(2)
        ranks.average([tensor])
        ranks.wait()
        assert (ranks.rank, ranks.world_size, ranks.total(7)) == (0, 1, 7)
        assert ranks.agreed(True)
        assert not ranks.agreed(False)
        assert tensor.tolist() == [1, 1]


@pytest.mark.parametrize("name", NAMES)
class TestThefts:
    def test_all_processes_have_the_same_networks(self, name: str, found: Path) -> None:
        first, second = (read(found / f"{name}-whole-{rank}.pt") for rank in range(RANKS))
        for part in ("model", "generator"):
            for key, tensor in first[part].items():
                assert torch.equal(tensor, second[part][key]), key

    def test_each_asks_its_share_of_other_images(self, name: str, found: Path) -> None:
        share = ATTACKS[name].queries * ITERATIONS // RANKS
        for rank in range(RANKS):
            noted = read(found / f"{name}-whole-{rank}.pt")
            assert noted["spent"] == noted["answered"] == share
        ledgers = [(found / f"{name}-whole" / f"ledger-{rank}.stream").read_bytes() for rank in range(RANKS)]
        records = [ledger.partition(b"\n")[2] for ledger in ledgers]
        assert len(records[0]) == len(records[1]) > 0
        # Twenty-four bytes a batch: how many images, and the checksums of these and of their answers.
        pairs = zip(
            *([record[start : start + 24] for start in range(0, len(record), 24)] for record in records), strict=True
        )
        assert all(one != other for one, other in pairs)

    def test_one_that_was_stopped_ends_as_if_it_was_not(self, name: str, found: Path) -> None:
        for rank in range(RANKS):
            whole, parts = (read(found / f"{name}-{kind}-{rank}.pt") for kind in ("whole", "parts"))
            for part in ("model", "generator"):
                for key, tensor in whole[part].items():
                    assert torch.equal(tensor, parts[part][key]), key
            assert parts["curve"] == whole["curve"]
            # What was answered before the stop is not paid for again: the victim is asked about the last iteration.
            assert parts["spent"] == whole["spent"]
            assert parts["answered"] == ATTACKS[name].queries // RANKS

    def test_the_curve_is_that_of_all_processes(self, name: str, found: Path) -> None:
        first, second = (read(found / f"{name}-whole-{rank}.pt")["curve"] for rank in range(RANKS))
        assert first == second
        assert [point["queries"] for point in first] == [ATTACKS[name].queries * ITERATIONS * n // 2 for n in (1, 2)]


def test_a_kill_after_which_one_process_has_settled_and_the_other_has_not(found: Path) -> None:
    for rank in range(RANKS):
        whole, torn = (read(found / f"disguide-{kind}-{rank}.pt") for kind in ("whole", "torn"))
        assert all(torch.equal(tensor, torn["model"][key]) for key, tensor in whole["model"].items())
        assert torn["spent"] == whole["spent"]
        # The first half was asked about before the kill.
        assert torn["answered"] == whole["answered"] // 2


class TestNumberOfDevices:
    def test_a_fabric_of_more_processes_is_an_error(self, found: Path) -> None:
        for rank in range(RANKS):
            assert "devices=1, and 2 processes run the attack" in (found / f"error-{rank}").read_text()

    def test_unequal_budgets_are_an_error_in_every_process(self, found: Path) -> None:
        for rank in range(RANKS):
            assert f"a budget of {1000 + rank} here and another" in (found / f"unequal-{rank}").read_text()

    def test_devices_without_a_fabric_are_an_error(self) -> None:
        with pytest.raises(InputError, match=r"devices=2, and 1 processes run the attack; .* DataFreeRecipe"):
            data_free(Oracle(LinearVictim(), budget=999), ATTACKS["dfme"], classes=CLASSES, size=SIZE, devices=2)

    def test_a_batch_that_cannot_be_shared_is_an_error(self) -> None:
        with pytest.raises(RecipeError, match="3 devices share each batch evenly"):
            DataFree(name="dfme", batch_size=64, devices=3)

    def test_more_gpus_than_there_are_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("lightning_fabric")
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(MissingRuntimeError, match="devices=2, and this machine has 1"):
            launch(small_ranks.fail, 0, "bug", devices=2, device=torch.device("cuda"), progress=silent)

    def test_without_fabric_the_error_tells_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "lightning_fabric", None)
        with pytest.raises(MissingRuntimeError, match=r"pip install 'edgerift\[devices\]'"):
            launch(small_ranks.fail, 0, "bug", devices=2, device=CPU, progress=silent)


class TestFailures:
    def test_an_error_of_one_process_ends_all_and_is_raised(self) -> None:
        pytest.importorskip("lightning_fabric")
        with pytest.raises(BudgetError, match="too dear") as error:
            launch(small_ranks.fail, 1, "edgerift", devices=RANKS, device=CPU, progress=silent)

        assert isinstance(error.value.__cause__, OSError)
        assert error.value.__cause__.errno == 28

    @pytest.mark.slow
    def test_a_bug_is_raised_with_its_traceback(self) -> None:
        pytest.importorskip("lightning_fabric")
        with pytest.raises(Exception, match="ZeroDivisionError: a bug"):
            launch(small_ranks.fail, 0, "bug", devices=RANKS, device=CPU, progress=silent)

    @pytest.mark.skipif(sys.platform != "linux", reason="whether a process lives is read from /proc")
    def test_the_processes_end_with_a_parent_that_is_killed(self, tmp_path: Path) -> None:
        pytest.importorskip("lightning_fabric")
        parent = subprocess.Popen([sys.executable, small_ranks.__file__, tmp_path])
        notes = [tmp_path / f"process-{rank}" for rank in range(RANKS)]
        wait_until(lambda: all(note.exists() and note.read_text() for note in notes))
        parent.kill()
        parent.wait()
        wait_until(lambda: not any(is_alive(int(note.read_text())) for note in notes))


def wait_until(happened: Callable[[], bool]) -> None:
    ends = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < ends
        time.sleep(0.1)


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that nobody has collected yet does not."""
    status = Path(f"/proc/{process}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
