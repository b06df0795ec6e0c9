"""Generated images: what they cost, and their ledger through kills, damage and full disks."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from counted_victim import CountedVictim, distinct_images
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_pair import StandInBuild
from torch import Tensor, nn

from edgerift.defend import LabelOnly, Rounding
from edgerift.errors import BudgetError, EdgeriftError, EdgeriftWarning, InputError, ModelError, StoreError
from edgerift.extract import Oracle
from edgerift.extract import _oracle as oracle_module
from edgerift.extract import _stream as stream_module
from edgerift.extract._stream import Stream
from edgerift.extract._stream_format import Batch, Block, checksum, examine_tail, pack_block
from edgerift.images import to_float

SIZES = (3, 3, 2, 3, 1, 4, 3)
WHOLE = distinct_images(sum(SIZES))
BATCHES = list(to_float(WHOLE).split(SIZES))
EXPECTED = list(CountedVictim().posteriors(WHOLE).split(SIZES))
#: The attack of these tests settles behind so many batches.
STOPS = (2, 5, 7)


@contextlib.contextmanager
def oracle_of(folder: Path, victim: object = None, *, budget: int = 100, keep: bool = False) -> Iterator[Oracle]:
    chosen: Callable[[Tensor], Tensor] = victim or CountedVictim()  # type: ignore[assignment]
    with Oracle(chosen, budget=budget, ledger=folder / "ledger", keep=keep) as oracle:
        yield oracle


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def never(images: Tensor) -> Tensor:
    raise AssertionError("asked again")


def sizes(folder: Path) -> tuple[int, int]:
    """Measure the batches and the answers."""
    return (folder / "ledger.stream").stat().st_size, (folder / "ledger.stream.answers").stat().st_size


class Linear(nn.Module):
    """A network that tells two floats apart which round to the same grey level, and refuses to be differentiated."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(48, 5, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return images.flatten(1) @ self.weight


class TestWhatIsAnswered:
    def test_generated_images_are_answered_as_others(self) -> None:
        oracle = Oracle(CountedVictim(), budget=100, defence=Rounding(decimals=1))
        answers = oracle.stream(BATCHES[0])
        assert torch.equal(answers, oracle.ask(WHOLE[:3]))
        assert torch.equal(answers, Rounding(decimals=1)(EXPECTED[0]))

    def test_images_are_rounded_to_whole_grey_levels(self) -> None:
        images = torch.rand(50, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        images[0], images[1], images[2, :, 0], images[2, :, 1] = 0, 1, 1.4 / 255, 1.6 / 255
        whole = (images.double() * 255).round().byte()
        assert whole[2, :, :2].unique().tolist() == [1, 2]
        assert torch.equal(Oracle(CountedVictim(), budget=50).stream(images), CountedVictim().posteriors(whole))

    def test_floats_are_answered_as_they_are_where_that_is_chosen(self) -> None:
        images = torch.rand(600, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        model = Linear()
        with torch.no_grad():
            expected = [model(each).softmax(1) for each in (images, to_float(oracle_module.to_whole(images)))]
        for pixels, answers in zip(("float", "whole"), expected, strict=True):
            oracle = Oracle(model, budget=600, pixels=pixels)  # type: ignore[arg-type]
            assert oracle.pixels == pixels
            found = oracle.stream(images)
            assert torch.allclose(found, answers, atol=1e-5)
            assert not found.requires_grad
            assert not found.is_inference()
        assert (expected[0] - expected[1]).abs().max() > 1e-4

    @pytest.mark.parametrize("victim", [CountedVictim(), StandInBuild(CountedVictim())])
    def test_what_ships_takes_whole_grey_levels_alone(self, victim: StandInBuild) -> None:
        with pytest.raises(InputError, match="uint8 images only"):
            Oracle(victim, budget=9, pixels="float")

    @pytest.mark.parametrize(
        "images", [WHOLE, BATCHES[0][0], BATCHES[0][:0], BATCHES[0][:, :2], BATCHES[0].double()], ids=range(5)
    )
    def test_only_batches_of_floats_are_generated_images(self, images: Tensor) -> None:
        oracle = Oracle(CountedVictim(), budget=100)
        with pytest.raises(InputError, match=r"float32 \[N,C,H,W\] of 1 or 3 channels, at least one"):
            oracle.stream(images)
        assert oracle.spent == 0

    @pytest.mark.parametrize("pixels", ["whole", "float"])
    @pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
    def test_pixels_that_are_not_finite_are_an_error_and_not_black(self, pixels: str, wrong: float) -> None:
        images = BATCHES[0].clone()
        images[1, 0, 0, 0] = wrong
        oracle = Oracle(Linear(), budget=100, pixels=pixels)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="the generated images are not finite; use a lower learning"):
            oracle.stream(images)
        assert oracle.spent == 0

    def test_no_gradient_comes_back(self) -> None:
        weight = torch.ones(48, 2, requires_grad=True)

        def victim(images: Tensor) -> Tensor:
            return images.flatten(1).float() @ weight

        asked = BATCHES[0].clone().requires_grad_()
        assert not Oracle(victim, budget=100).stream(asked).requires_grad
        assert not Oracle(Linear(), budget=100, pixels="float").stream(asked).requires_grad


class TestWhatItCosts:
    def test_each_image_is_paid_for_known_or_not(self) -> None:
        victim = CountedVictim()
        oracle = Oracle(victim, budget=13)
        oracle.stream(BATCHES[0])
        oracle.stream(BATCHES[0])
        oracle.ask(WHOLE[:3])
        oracle.ask(WHOLE[:4])
        assert (oracle.spent, oracle.streamed, oracle.remaining) == (10, 6, 3)
        assert sum(victim.asked.values()) == 10
        with pytest.raises(BudgetError, match="4 images cost more than the 3 left of a budget of 13"):
            oracle.stream(BATCHES[5])
        assert (oracle.spent, oracle.streamed) == (10, 6)
        assert sum(victim.asked.values()) == 10
        oracle.stream(BATCHES[0])
        assert oracle.remaining == 0
        with pytest.raises(BudgetError):
            oracle.ask(WHOLE[4:5])

    def test_what_was_paid_for_costs_nothing_with_a_budget_that_is_used_up(self, tmp_path: Path) -> None:
        with oracle_of(tmp_path, budget=6) as oracle:
            oracle.stream(BATCHES[0])
            oracle.stream(BATCHES[1])
        with oracle_of(tmp_path, never, budget=6) as oracle:
            assert (oracle.spent, oracle.streamed) == (6, 0)
            assert torch.equal(oracle.stream(BATCHES[0]), EXPECTED[0])
            assert torch.equal(oracle.stream(BATCHES[1]), EXPECTED[1])
            assert (oracle.spent, oracle.streamed) == (6, 6)
            with pytest.raises(BudgetError):
                oracle.stream(BATCHES[2])

    def test_a_victim_that_answers_nonsense_is_not_paid(self, tmp_path: Path) -> None:
        with oracle_of(tmp_path, lambda images: torch.full((len(images), 5), torch.nan)) as oracle:
            with pytest.raises(ModelError):
                oracle.stream(BATCHES[0])
            assert (oracle.spent, oracle.streamed) == (0, 0)
        assert not (tmp_path / "ledger.stream").exists()

    def test_a_victim_that_fails_in_the_middle_of_a_batch_is_not_paid(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(oracle_module, "PART", 2)
        calls: list[int] = []

        def victim(images: Tensor) -> Tensor:
            calls.append(len(images))
            if len(calls) == 2:
                raise KeyboardInterrupt
            return CountedVictim()(images)

        with oracle_of(tmp_path, victim) as oracle:
            with pytest.raises(KeyboardInterrupt):
                oracle.stream(BATCHES[5])
            assert (oracle.spent, oracle.streamed) == (0, 0)
            assert torch.equal(oracle.stream(BATCHES[5]), EXPECTED[5])
            assert oracle.spent == 4
        assert calls == [2, 2, 2, 2]

    def test_without_a_ledger_all_is_paid_and_nothing_kept(self) -> None:
        oracle = Oracle(CountedVictim(), budget=6)
        oracle.seek(0)
        oracle.stream(BATCHES[0])
        oracle.settle()
        oracle.seek(3)
        for place in (0, 6):
            with pytest.raises(StoreError, match=f"stands at {place} generated images and this oracle.* at 3; give it"):
                oracle.seek(place)
        assert torch.equal(oracle.stream(BATCHES[0]), EXPECTED[0])
        assert (oracle.spent, oracle.streamed) == (6, 6)
        with pytest.raises(BudgetError):
            oracle.stream(BATCHES[0])

    def test_what_is_left_for_generated_images(self, tmp_path: Path) -> None:
        with oracle_of(tmp_path, budget=10) as oracle:
            assert oracle.streamable == 10
            oracle.ask(WHOLE[:4])
            oracle.stream(BATCHES[0])
            assert (oracle.streamable, oracle.remaining) == (6, 3)
        with oracle_of(tmp_path, budget=3) as oracle:
            assert (oracle.streamable, oracle.remaining) == (0, 0)


def attack(oracle: Oracle, folder: Path, given: dict[int, Tensor]) -> None:
    """Ask as an attack does: from its checkpoint on, which it writes before it settles."""
    checkpoint = folder / "checkpoint"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    oracle.seek(sum(SIZES[:done]))
    for number in range(done, len(SIZES)):
        given[number] = oracle.stream(BATCHES[number])
        if number + 1 in STOPS:
            assert oracle.streamed == sum(SIZES[: number + 1])
            checkpoint.with_name("new").write_text(str(number + 1))
            checkpoint.with_name("new").replace(checkpoint)
            oracle.settle()


def resume(folder: Path, paid: int | None = None, *, keep: bool = False) -> None:
    """Go on in a folder that a kill left: all answers as ever, and nothing paid for twice."""
    victim, given = CountedVictim(), dict[int, Tensor]()
    with oracle_of(folder, victim, keep=keep) as oracle:
        before = oracle.spent
        assert paid is None or before == paid
        assert before == 0 or before in {sum(SIZES[:count]) for count in range(1, len(SIZES) + 1)}
        attack(oracle, folder, given)
        assert oracle.spent == sum(SIZES) == before + sum(victim.asked.values())
    for number, answers in given.items():
        assert torch.equal(answers, EXPECTED[number])


@pytest.mark.parametrize("keep", [False, True])
def test_a_kill_between_any_two_writes_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    """The folder is copied before, amid and after each write, flush and cut, and the attack goes on in each copy."""
    home, copies = tmp_path / "home", list[Path]()
    home.mkdir()

    def snapshot() -> None:
        copies.append(tmp_path / str(len(copies)))
        shutil.copytree(home, copies[-1])

    def watched(true: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            snapshot()
            found = true(*arguments)
            snapshot()
            return found

        return call

    true_write = stream_module.write_all

    def write_all(file: object, content: bytes) -> None:
        snapshot()
        for part in (content[: len(content) // 2], content[len(content) // 2 :]):
            true_write(file, part)  # type: ignore[arg-type]
            snapshot()

    with monkeypatch.context() as patch:
        patch.setattr(stream_module, "write_all", write_all)
        patch.setattr(Stream, "_cut", watched(Stream._cut))
        patch.setattr(os, "fsync", watched(os.fsync))
        patch.setattr(os, "replace", watched(os.replace))
        patch.setattr(Stream, "settle", watched(Stream.settle))
        given: dict[int, Tensor] = {}
        with oracle_of(home, keep=keep) as oracle:
            attack(oracle, home, given)
    assert len(given) == len(SIZES)
    assert len(copies) > 80
    for folder in copies:
        resume(folder, keep=keep)


def unsettled(folder: Path, count: int = len(SIZES)) -> tuple[bytes, bytes]:
    """Ask about batches without settling, and return the bytes of the two files."""
    folder.mkdir(exist_ok=True)
    with oracle_of(folder) as oracle:
        for images in BATCHES[:count]:
            oracle.stream(images)
    return (folder / "ledger.stream").read_bytes(), (folder / "ledger.stream.answers").read_bytes()


def test_a_last_batch_torn_at_any_byte_is_asked_about_again(tmp_path: Path) -> None:
    """Answers are written before their batch is."""
    folder = tmp_path / "torn"
    records, answers = unsettled(folder)
    less, fewer = unsettled(tmp_path / "less", len(SIZES) - 1)
    assert len(records) == len(less) + 24
    assert records.startswith(less)
    states = [(less, answers[:size]) for size in range(len(fewer), len(answers) + 1)]
    states += [(records[:size], answers) for size in range(len(less), len(records))]
    for torn, found in states:
        (folder / "ledger.stream").write_bytes(torn)
        (folder / "ledger.stream.answers").write_bytes(found)
        with oracle_of(folder):
            assert sizes(folder) == (len(less), len(fewer))
        resume(folder, sum(SIZES[:-1]))
        (folder / "checkpoint").unlink()


def refused(oracle: Oracle) -> str | None:
    """Ask about all batches; return the line of the error that stops it, and let no answer pass that is wrong."""
    for images, expected in zip(BATCHES, EXPECTED, strict=True):
        try:
            answers = oracle.stream(images)
        except StoreError as error:
            message = str(error)
            return message if "\n" not in message else "more than one line"
        assert torch.equal(answers, expected)
    return None


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 10_000), kept=st.integers(0, 10_000))
def test_files_cut_anywhere_never_give_a_wrong_answer(
    tmp_path_factory: pytest.TempPathFactory, cut: int, kept: int
) -> None:
    """Whatever a power cut leaves of the two files: right answers, or an error of one line."""
    folder = tmp_path_factory.mktemp("cut")
    records, answers = unsettled(folder)
    header = records.index(b"\n") + 1
    (folder / "ledger.stream").write_bytes(records[: header + cut % (len(records) - header + 1)])
    (folder / "ledger.stream.answers").write_bytes(answers[: kept % (len(answers) + 1)])
    with oracle_of(folder) as oracle:
        before = oracle.spent
        message = refused(oracle)
        assert oracle.spent == (before if message else sum(SIZES))
    assert message is None or "has no more answers" in message


def test_a_flipped_byte_of_a_batch_is_an_error_of_one_line(tmp_path: Path) -> None:
    records, _ = unsettled(tmp_path)
    for place in range(len(records)):
        flipped = bytearray(records)
        flipped[place] ^= 1 << place % 8
        (tmp_path / "ledger.stream").write_bytes(flipped)
        with pytest.raises(StoreError, match=r"is damaged at byte|is not a ledger|belongs to another") as error:
            Oracle(CountedVictim(), budget=100, ledger=tmp_path / "ledger")
        assert "\n" not in str(error.value)
        assert (tmp_path / "ledger.stream").read_bytes() == flipped
    (tmp_path / "ledger.stream").write_bytes(records)
    resume(tmp_path)


def test_a_flipped_byte_of_an_answer_never_becomes_an_answer(tmp_path: Path) -> None:
    _, answers = unsettled(tmp_path)
    for place in range(len(answers)):
        flipped = bytearray(answers)
        flipped[place] ^= 1 << place % 8
        path = tmp_path / "ledger.stream.answers"
        path.write_bytes(flipped)
        message: str | None
        try:
            with oracle_of(tmp_path, never) as oracle:
                message = refused(oracle)
        except StoreError as error:
            message = str(error)
            assert re.search(r"are damaged at byte \d+; delete them and the ledger .* to start over$", message)
            assert path.read_bytes() == flipped
        else:
            # What it says of its own size makes it look cut off, and what is paid for without an answer is told.
            assert message is not None
            assert "has no more answers" in message
            heads = [16 * number + 20 * sum(SIZES[:number]) for number in range(len(SIZES))]
            assert any(place - head in range(12) for head in heads), place


def test_a_last_page_of_zeros_within_an_answer_is_no_power_cut(tmp_path: Path) -> None:
    """Of an answer that tells the label alone, one of many classes, all but 4 bytes are zeros."""
    rows = np.zeros((3, 1000), np.float32)
    rows[:, 0] = 1
    whole = pack_block(Block(0, rows))
    assert not any(whole[8192:])
    place = tmp_path / "answers"
    for content, tail in (
        (whole[:20] + b"x" + whole[21:], "damaged"),
        (whole[:4096] + bytes(len(whole) - 4096), "zeros"),
        (whole[:-1], "torn"),
    ):
        place.write_bytes(content)
        with place.open("rb") as file:
            assert examine_tail(file, 0, [Batch(3, 0, 0)]) == tail
    _, content = unsettled(tmp_path)
    path = tmp_path / "ledger.stream.answers"
    path.write_bytes(content + bytes(40))
    told = pytest.warns(EdgeriftWarning, match=f"behind the answers to {sum(SIZES)} images, .* the last 40 bytes")
    with told, oracle_of(tmp_path, never):
        pass
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"{}\n", b"[1]\n", b'{"format":"edgerift-ledger-1"}\n'])
def test_another_file_is_no_ledger(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.stream").write_bytes(content)
    if not content:
        resume(tmp_path, 0)
        return
    with pytest.raises(StoreError, match="is not a ledger of generated images"):
        Oracle(CountedVictim(), budget=100, ledger=tmp_path / "ledger")
    assert (tmp_path / "ledger.stream").read_bytes() == content


@pytest.mark.parametrize("part", ["answers", "batch"])
@pytest.mark.parametrize("written", [0, 5])
def test_a_full_disk_pays_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, written: int) -> None:
    unsettled(tmp_path, 2)
    before = sizes(tmp_path)
    true, calls = stream_module.write_all, list[int]()

    def write_all(file: object, content: bytes) -> None:
        calls.append(len(content))
        if len(calls) == (1 if part == "answers" else 2):
            true(file, content[:written])  # type: ignore[arg-type]
            refuse()
        true(file, content)  # type: ignore[arg-type]

    with oracle_of(tmp_path) as oracle:
        oracle.seek(6)
        with monkeypatch.context() as patch:
            patch.setattr(stream_module, "write_all", write_all)
            with pytest.raises(StoreError, match=r"\(No space left on device\); no answer was handed out") as error:
                oracle.stream(BATCHES[2])
        assert "\n" not in str(error.value)
        assert (oracle.spent, oracle.streamed) == (6, 6)
        assert sizes(tmp_path) == before
        assert torch.equal(oracle.stream(BATCHES[2]), EXPECTED[2])
    resume(tmp_path, 8)


def test_half_a_batch_that_could_not_be_removed_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsettled(tmp_path, 2)
    true_write, true_cut, cuts = stream_module.write_all, Stream._cut, list[None]()

    def write_all(file: object, content: bytes) -> None:
        true_write(file, content[:7] if len(content) == 24 else content)  # type: ignore[arg-type]
        if len(content) == 24:
            refuse()

    def cut(stream: Stream) -> None:
        cuts.append(None)
        if len(cuts) == 2:
            refuse()
        true_cut(stream)

    before = sizes(tmp_path)
    with oracle_of(tmp_path) as oracle:
        oracle.seek(6)
        with monkeypatch.context() as patch:
            patch.setattr(stream_module, "write_all", write_all)
            patch.setattr(Stream, "_cut", cut)
            with pytest.raises(StoreError):
                oracle.stream(BATCHES[2])
        assert sizes(tmp_path)[0] == before[0] + 7
        assert oracle.spent == 6
        oracle.stream(BATCHES[2])
        oracle.stream(BATCHES[3])
    assert sizes(tmp_path)[0] == before[0] + 48
    resume(tmp_path, 11)


def test_a_disk_that_is_full_at_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with oracle_of(tmp_path) as oracle:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(StoreError):
                oracle.stream(BATCHES[0])
        assert oracle.spent == 0
        assert torch.equal(oracle.stream(BATCHES[0]), EXPECTED[0])
    resume(tmp_path, 3)


def test_settling_that_fails_is_an_error_and_can_be_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with oracle_of(tmp_path) as oracle:
        oracle.stream(BATCHES[0])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(StoreError, match="No space left"):
                oracle.settle()
        assert oracle.spent == 3
        oracle.settle()
        assert torch.equal(oracle.stream(BATCHES[1]), EXPECTED[1])
    with oracle_of(tmp_path, never) as oracle:
        oracle.seek(3)
        assert torch.equal(oracle.stream(BATCHES[1]), EXPECTED[1])


def test_settling_keeps_the_files_small(tmp_path: Path) -> None:
    """So 20 million answers in batches of 256 are 1.9 MB."""
    images = BATCHES[0]
    with oracle_of(tmp_path, budget=3000) as oracle:
        largest, lists = 0, set[int]()
        for number in range(1, 201):
            oracle.stream(images)
            largest = max(largest, sizes(tmp_path)[1])
            if number % 4 == 0:
                oracle.settle()
                assert sizes(tmp_path)[1] == 0
                lists.add(sum(len(value) for value in vars(oracle._stream).values() if isinstance(value, list | dict)))
        block = 16 + 3 * 5 * 4
        assert largest == 4 * block
        assert lists == {0}
        assert sizes(tmp_path)[0] == 200 * 24 + len((tmp_path / "ledger.stream").read_bytes().split(b"\n")[0]) + 1
        assert oracle.spent == oracle.streamed == 600
    with oracle_of(tmp_path, budget=3000) as oracle:
        assert oracle.spent == 600
        oracle.seek(600)
        oracle.stream(images)
        oracle.settle()
        assert (oracle.spent, len(oracle._stream._batches)) == (603, 0)


def test_answers_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    given: dict[int, Tensor] = {}
    with oracle_of(tmp_path, keep=True) as oracle:
        attack(oracle, tmp_path, given)
    with oracle_of(tmp_path, never, keep=True) as oracle:
        for images, expected in zip(BATCHES, EXPECTED, strict=True):
            assert torch.equal(oracle.stream(images), expected)
    assert sizes(tmp_path)[1] == sum(16 + 4 * 5 * size for size in SIZES)


def test_what_was_settled_is_not_asked_about_again(tmp_path: Path) -> None:
    """An attack that lost its checkpoint is told, and pays for nothing twice."""
    with oracle_of(tmp_path) as oracle:
        attack(oracle, tmp_path, {})
    (tmp_path / "checkpoint").unlink()
    with oracle_of(tmp_path, never) as oracle:
        oracle.seek(0)
        with pytest.raises(StoreError, match=r"no more answers for images from number 0 on.* from its checkpoint"):
            oracle.stream(BATCHES[0])
        assert oracle.spent == sum(SIZES)


def test_settling_while_old_answers_are_handed_out_drops_none(tmp_path: Path) -> None:
    unsettled(tmp_path, 4)
    with oracle_of(tmp_path, never) as oracle:
        oracle.stream(BATCHES[0])
        oracle.settle()
        oracle.stream(BATCHES[1])
    with oracle_of(tmp_path, never) as oracle:
        oracle.seek(6)
        for number in (2, 3):
            assert torch.equal(oracle.stream(BATCHES[number]), EXPECTED[number])


def test_an_attack_goes_back_to_its_checkpoint_within_one_process(tmp_path: Path) -> None:
    with oracle_of(tmp_path) as oracle:
        for images in BATCHES[:2]:
            oracle.stream(images)
        oracle.settle()
        for images in BATCHES[2:5]:
            oracle.stream(images)
        oracle.seek(6)
        assert oracle.streamed == 6
        for number in range(2, 6):
            assert torch.equal(oracle.stream(BATCHES[number]), EXPECTED[number])
        assert oracle.spent == sum(SIZES[:6])
        with pytest.raises(StoreError, match="does not have the 0 images"):
            oracle.seek(0)


@pytest.mark.parametrize("place", [1, 5, 100])
def test_a_place_that_no_batch_ends_at_is_an_error(tmp_path: Path, place: int) -> None:
    unsettled(tmp_path)
    with (
        oracle_of(tmp_path) as oracle,
        pytest.raises(StoreError, match=f"does not have the {place} images.* delete the attack's checkpoint"),
    ):
        oracle.seek(place)


@pytest.mark.parametrize("change", ["pixel", "order", "fewer", "more"])
def test_other_images_at_the_same_place_are_an_error(tmp_path: Path, change: str) -> None:
    unsettled(tmp_path, 2)
    images = BATCHES[1].clone()
    if change == "pixel":
        images[1, 2, 3, 3] = (images[1, 2, 3, 3] + 0.5) % 1
    images = {"pixel": images, "order": images.flip(0), "fewer": images[:2], "more": torch.cat([images, images])}[
        change
    ]
    with oracle_of(tmp_path, never) as oracle:
        oracle.stream(BATCHES[0])
        with pytest.raises(StoreError, match="has other images at number 3 than this attack queries") as error:
            oracle.stream(images)
        assert "\n" not in str(error.value)
        assert (oracle.spent, oracle.streamed) == (6, 3)
        assert torch.equal(oracle.stream(BATCHES[1]), EXPECTED[1])


def test_checksums_tell_types_and_shapes_apart() -> None:
    flat = torch.zeros(2, 3, 2, 8)
    others = [flat, flat.reshape(2, 3, 4, 4), flat.reshape(1, 3, 4, 8), torch.zeros(2, 3, 2, 32, dtype=torch.uint8)]
    assert len({checksum(images) for images in others}) == 4
    laid_out = BATCHES[0].to(memory_format=torch.channels_last)
    assert checksum(laid_out) == checksum(BATCHES[0])
    assert checksum(BATCHES[0].clone().requires_grad_()) == checksum(BATCHES[0])


def test_a_ledger_belongs_to_one_victim_one_chain_and_one_kind_of_pixels(tmp_path: Path) -> None:
    path, model = tmp_path / "ledger", Linear()
    with Oracle(model, budget=9, ledger=path, pixels="float") as oracle:
        oracle.stream(BATCHES[0])
    other = Linear()
    with torch.no_grad():
        other.weight[0, 0] += 1e-3
    for victim, fields in [
        (model, {}),
        (other, {"pixels": "float"}),
        (model, {"pixels": "float", "defence": LabelOnly()}),
        (CountedVictim(), {}),
    ]:
        with pytest.raises(StoreError, match="another victim or to other defences"):
            Oracle(victim, budget=9, ledger=path, **fields)  # type: ignore[arg-type]
    # The one that was refused let go of both files.
    Oracle(model, budget=9, ledger=path, pixels="float").close()


def test_one_oracle_at_a_time_has_a_ledger(tmp_path: Path) -> None:
    with oracle_of(tmp_path) as oracle:
        oracle.stream(BATCHES[0])
        with pytest.raises(StoreError, match="in use by another oracle"):
            Oracle(CountedVictim(), budget=9, ledger=tmp_path / "ledger")
        with pytest.raises(StoreError, match="in use by another oracle"):
            Stream(tmp_path / "ledger.stream", "mine")
    resume(tmp_path, 3)


def test_a_closed_oracle_answers_no_more_generated_images(tmp_path: Path) -> None:
    with oracle_of(tmp_path) as oracle:
        oracle.stream(BATCHES[0])
    for images, place in ((BATCHES[1], 3), (BATCHES[0], 0)):
        with contextlib.suppress(StoreError):
            oracle.seek(place)
        with pytest.raises(StoreError, match="closed"):
            oracle.stream(images)
    assert oracle.spent == 3
    oracle.settle()
    with oracle_of(tmp_path / "never") as oracle:
        pass
    with pytest.raises(StoreError, match="closed"):
        oracle.stream(BATCHES[0])
    assert oracle.spent == 0


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_question_that_was_refused_changes_nothing(tmp_path: Path, kind: str) -> None:
    oracle = Oracle(CountedVictim(), budget=4, ledger=None if kind == "memory" else tmp_path / "ledger")
    with oracle:
        oracle.stream(BATCHES[0])
        for images in (BATCHES[1], WHOLE[:2], BATCHES[0][:0]):
            with pytest.raises(EdgeriftError):
                oracle.stream(images)
        assert (oracle.spent, oracle.streamed, oracle.remaining) == (3, 3, 1)
        oracle.stream(BATCHES[4])
        assert oracle.remaining == 0
