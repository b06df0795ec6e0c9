"""Data-free attacks that are killed: they go on to the same clone and pay for nothing twice."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_thefts
import torch
from small_thefts import (
    ATTACKS,
    ITERATIONS,
    POSITIVES,
    SLACK,
    LinearVictim,
    budget,
    require_same,
    steal,
    steal_in,
    whole,
)

import edgerift
from edgerift.errors import StoreError
from edgerift.extract import DataFreeClone, Oracle
from edgerift.extract import _datafree_run as datafree_module
from edgerift.extract import _replay as replay_module


@pytest.fixture(autouse=True)
def small_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "SLACK", SLACK)


class Killed(BaseException):
    pass


def die(is_time: object = True) -> None:
    if is_time is not False:
        raise Killed


@pytest.fixture(scope="module")
def finished() -> Any:
    """Give a folder with the checkpoints of two short attacks."""
    with tempfile.TemporaryDirectory() as name:
        for attack in ("dfme", "maze"):
            oracle = Oracle(LinearVictim(), budget=budget(attack, 2))
            steal(attack, oracle, checkpoint=Path(name) / attack)
        yield Path(name)


@pytest.mark.parametrize("name", list(ATTACKS))
def test_a_ledger_and_a_checkpoint_change_nothing(name: str, tmp_path: Path) -> None:
    victim = LinearVictim()
    require_same(steal_in(tmp_path, name, victim, ITERATIONS), whole(name))
    # Once more, and all is there.
    victim.before = die  # type: ignore[assignment]
    require_same(steal_in(tmp_path, name, victim, ITERATIONS), whole(name))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
@pytest.mark.parametrize("name", list(ATTACKS))
def test_a_run_killed_again_and_again_ends_as_another(name: str, seed: int, tmp_path: Path) -> None:
    """It dies before questions to the victim, in progress, or where it settles, and pays for nothing twice."""
    draw, found, answered, kills = random.Random(f"{name} {seed}"), None, 0, -1
    while found is None:
        kills += 1
        assert kills < 60
        found, more = until_killed(name, tmp_path, draw, may_settle=kills >= 2, most=24 if kills else 8)
        answered += more
    assert kills
    assert answered == ATTACKS[name].queries * ITERATIONS
    require_same(found, whole(name))


def settle_and_die(oracle: Oracle) -> None:
    with oracle._lock:
        oracle._stream.settle()
    raise Killed


def until_killed(
    name: str, folder: Path, draw: random.Random, *, may_settle: bool, most: int
) -> tuple[DataFreeClone | None, int]:
    """Steal until it is killed or done; return what was stolen and how many images the victim answered."""
    where, left = draw.choice(["question", "progress", "settle"]), draw.randrange(most)
    seen: list[None] = []

    def progress(*given: object) -> None:
        seen.append(None)
        die(where == "progress" and len(seen) > left // 6)

    victim = LinearVictim(lambda number: die(where == "question" and number == left))
    with pytest.MonkeyPatch.context() as patch:
        if where == "settle" and not may_settle:
            patch.setattr(Oracle, "settle", settle_and_die if left % 2 else die)
        if draw.random() < 0.3:
            patch.setattr(datafree_module, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        try:
            return steal_in(folder, name, victim, ITERATIONS, progress=progress), victim.answered
        except Killed:
            return None, victim.answered


@pytest.mark.parametrize("killing", [die, settle_and_die])
def test_a_kill_where_the_attack_settles(killing: Callable[[Oracle], None], tmp_path: Path) -> None:
    victim = LinearVictim()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Oracle, "settle", killing)
        with pytest.raises(Killed):
            steal_in(tmp_path, "maze", victim, ITERATIONS)
    require_same(steal_in(tmp_path, "maze", victim, ITERATIONS), whole("maze"))
    assert victim.answered == ATTACKS["maze"].queries * ITERATIONS


def test_a_checkpoint_comes_before_the_replay_memory_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "SLACK", 8)

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        die(done == 7 * ATTACKS["disguide"].queries)

    with pytest.raises(Killed):
        steal_in(tmp_path, "disguide", LinearVictim(), ITERATIONS, progress=progress)
    require_same(steal_in(tmp_path, "disguide", LinearVictim(), ITERATIONS), whole("disguide"))


def test_without_a_replay_memory_only_time_and_the_curve_call_for_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "SLACK", 8)
    written = {}
    for name in ("dfme", "disguide"):
        with monkeypatch.context() as patch:
            counted = list[int]()
            patch.setattr(datafree_module, "write_state", lambda *given, into=counted: into.append(given[3].iteration))
            steal_in(tmp_path / name, name, LinearVictim(), ITERATIONS)
        written[name] = counted
    assert written == {"dfme": [ITERATIONS // 2, ITERATIONS], "disguide": list(range(1, ITERATIONS + 1))}


def test_what_was_seen_before_a_kill_lies_where_the_attack_goes_on() -> None:
    device = torch.device("meta")
    for shares in ([], [0.5, 0.25]):
        found = datafree_module._seen([1.0, 2.0], shares, device)
        assert len(found) == 2
        assert {one.clone_loss.device for one in found} == {device}
        assert {one.zero_share if one.zero_share is None else one.zero_share.device for one in found} == (
            {device} if shares else {None}
        )
    assert [one.clone_loss.item() for one in datafree_module._seen([1.0, 2.0], [], torch.device("cpu"))] == [1, 2]


def test_an_attack_goes_on_with_the_oracle_that_it_had(tmp_path: Path) -> None:
    def progress(task: str, done: int, total: int, note: str = "") -> None:
        die(done == 6 * ATTACKS["maze"].queries)

    with Oracle(LinearVictim(), budget=budget("maze", ITERATIONS), ledger=tmp_path / "ledger") as oracle:
        fields: dict[str, Any] = {"checkpoint": tmp_path / "checkpoint", "points": 2}
        with pytest.raises(Killed):
            steal("maze", oracle, **fields, progress=progress)
        require_same(steal("maze", oracle, **fields), whole("maze"))


def test_a_killed_process_goes_on(tmp_path: Path) -> None:
    kill("disguide", 7, tmp_path)
    require_same(steal_in(tmp_path, "disguide", LinearVictim(), ITERATIONS), whole("disguide"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dfme", "maze"])
def test_a_process_killed_again_and_again_ends(name: str, tmp_path: Path) -> None:
    for question in (5, 3, 1, 4):
        kill(name, question, tmp_path)
    require_same(steal_in(tmp_path, name, LinearVictim(), ITERATIONS), whole(name))


def kill(name: str, question: int, folder: Path) -> None:
    places = [str(Path(edgerift.__file__).parents[1]), str(Path(small_thefts.__file__).parent)]
    done = subprocess.run(
        [sys.executable, small_thefts.__file__, str(folder), name, str(question)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"loss": "kl"},
        {"size": 16},
        {"classes": 4},
        {"clone_steps": 1},
        {"positives": POSITIVES.flip(0)},
        {"precision": "bfloat16"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_belongs_to_one_attack(change: dict[str, Any], finished: Path) -> None:
    name = "maze" if "positives" in change else "dfme"
    before = (finished / name).read_bytes()
    oracle = Oracle(LinearVictim(), budget=budget(name, 2))
    with pytest.raises(StoreError, match="belongs to an attack with other settings or another budget") as error:
        steal(name, oracle, **change, checkpoint=finished / name)
    assert "\n" not in str(error.value)
    assert (finished / name).read_bytes() == before
    assert oracle.spent == 0


def test_another_budget_is_another_attack(finished: Path) -> None:
    with pytest.raises(StoreError, match="another budget"):
        steal("dfme", Oracle(LinearVictim(), budget=budget("dfme", 3)), checkpoint=finished / "dfme")


def test_a_damaged_checkpoint_is_an_error_of_one_line(finished: Path) -> None:
    path = finished / "dfme"
    content = path.read_bytes()
    draw = random.Random(0)
    damaged = [content[: draw.randrange(len(content))] for _ in range(5)] + [b"", b"nothing", b"\0" * 1000]
    for place in [*range(0, 400, 25), *(draw.randrange(len(content)) for _ in range(20))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        damaged.append(bytes(flipped))
    for each in damaged:
        path.write_bytes(each)
        with pytest.raises(StoreError, match=r"is damaged|belongs to an attack") as error:
            steal("dfme", Oracle(LinearVictim(), budget=budget("dfme", 2)), checkpoint=path)
        assert "\n" not in str(error.value)
    path.write_bytes(content)


def test_what_is_lost_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    steal_in(home, "disguide", LinearVictim(), ITERATIONS)
    for lost, message in {
        "ledger.stream": "does not have the 64 images that the attack has queried",
        "checkpoint": "no more answers for images from number 0 on",
        "checkpoint.replay": "replay memory .* is gone or damaged; delete the checkpoint",
    }.items():
        folder = tmp_path / lost
        shutil.copytree(home, folder)
        (folder / lost).unlink()
        with pytest.raises(StoreError, match=message) as error:
            steal_in(folder, "disguide", LinearVictim(die), ITERATIONS)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)


def test_without_a_ledger_a_checkpoint_is_no_use(tmp_path: Path) -> None:
    def progress(task: str, done: int, total: int, note: str = "") -> None:
        die(done == 6 * ATTACKS["dfme"].queries)

    for left in (True, False):
        oracle = Oracle(LinearVictim(), budget=budget("dfme", ITERATIONS))
        fields: dict[str, Any] = {"checkpoint": tmp_path / "checkpoint", "points": 2, "progress": progress}
        with pytest.raises(Killed if left else StoreError):
            steal("dfme", oracle, **fields)
