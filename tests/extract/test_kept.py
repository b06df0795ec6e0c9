"""Answers that a theft without images kept are read back, and nothing else passes for them."""

from pathlib import Path

import pytest
import torch
from counted_victim import CountedVictim, distinct_images

from edgerift.defend import Rounding
from edgerift.errors import StoreError
from edgerift.extract import Oracle, kept_answers
from edgerift.images import to_float

SIZES = (3, 1, 4)
WHOLE = distinct_images(sum(SIZES)).split(SIZES)
BATCHES = [to_float(images) for images in WHOLE]


def ledger_of(folder: Path, *, keep: bool = True, settled: bool = True) -> Path:
    """Ask about all batches as an attack does that settles now and then."""
    with Oracle(CountedVictim(), budget=9, defence=Rounding(decimals=2), ledger=folder / "ledger", keep=keep) as oracle:
        for images in BATCHES:
            oracle.stream(images)
            if settled:
                oracle.settle()
    return folder / "ledger"


@pytest.mark.parametrize("settled", [False, True])
def test_what_the_thief_was_told_is_read_back_in_order(tmp_path: Path, settled: bool) -> None:
    found = list(kept_answers(ledger_of(tmp_path, settled=settled)))
    told = Oracle(CountedVictim(), budget=9, defence=Rounding(decimals=2))
    assert [[one.is_of(images) for images in WHOLE] for one in found] == torch.eye(3, dtype=torch.bool).tolist()
    assert all(torch.equal(one.answers, told.stream(images)) for one, images in zip(found, BATCHES, strict=True))


def test_reading_changes_nothing_and_may_stop_early(tmp_path: Path) -> None:
    path = str(ledger_of(tmp_path))
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    answers = next(kept_answers(path)).answers
    answers.zero_()
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_theft_in_progress_is_read_as_far_as_it_is_paid(tmp_path: Path) -> None:
    path = ledger_of(tmp_path)
    with (tmp_path / "ledger.stream.answers").open("ab") as file:
        file.write(b"half of the next answers")
    assert len(list(kept_answers(path))) == len(SIZES)


def test_a_theft_that_kept_nothing_is_told(tmp_path: Path) -> None:
    path = ledger_of(tmp_path, keep=False)
    with pytest.raises(StoreError, match=r"lacks the answers to batch 0 of 3.*--keep-answers"):
        list(kept_answers(path))
    (tmp_path / "ledger.stream.answers").unlink()
    with pytest.raises(StoreError, match="this theft kept no answers; steal with --keep-answers, or keep=True"):
        list(kept_answers(path))


@pytest.mark.parametrize("name", ["ledger.stream", "elsewhere"])
def test_where_no_ledger_is_the_error_says_what_to_give(tmp_path: Path, name: str) -> None:
    ledger_of(tmp_path)
    with pytest.raises(StoreError, match=r"no ledger of generated images at .*, without \.stream"):
        list(kept_answers(tmp_path / name))
    (tmp_path / "other.stream").write_bytes(b"{}\n")
    with pytest.raises(StoreError, match="is not a ledger of generated images"):
        list(kept_answers(tmp_path / "other"))


@pytest.mark.parametrize("file", ["ledger.stream", "ledger.stream.answers"])
def test_no_flipped_byte_passes(tmp_path: Path, file: str) -> None:
    path = ledger_of(tmp_path)
    content = (tmp_path / file).read_bytes()
    # The identity in the header says whose answers they are; it is not compared here.
    first = content.index(b"\n") + 1 if file == "ledger.stream" else 0
    for place in range(first, len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        (tmp_path / file).write_bytes(flipped)
        with pytest.raises(StoreError, match=r"damaged"):
            list(kept_answers(path))


def test_answers_that_are_whole_but_not_those_that_were_paid_for_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    path = ledger_of(tmp_path)
    with Oracle(CountedVictim(), budget=9, ledger=tmp_path / "other" / "ledger", keep=True) as oracle:
        for images in BATCHES:
            oracle.stream(images)
    other = tmp_path / "other" / "ledger.stream.answers"
    (tmp_path / "ledger.stream.answers").write_bytes(other.read_bytes())
    with pytest.raises(StoreError, match="lacks the answers to batch 0 of 3, or they are damaged"):
        list(kept_answers(path))
