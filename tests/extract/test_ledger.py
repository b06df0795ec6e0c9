"""The file of what was paid for: torn, flipped, foreign, in use, on a full disk."""

import contextlib
import errno
import itertools
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import xxhash
from counted_victim import CountedVictim, distinct_images
from torch import Tensor

from edgerift.errors import EdgeriftWarning, StoreError
from edgerift.extract import Oracle
from edgerift.extract._ledger import Ledger, image_keys

CLASSES = 3
BLOCKS = (3, 1, 2)
IMAGES = distinct_images(8)
KEYS = image_keys(IMAGES)
ANSWERS = torch.rand(8, CLASSES, generator=torch.Generator().manual_seed(1))
BLOCK_ENDS = (0, 3, 4, 6)


def size_of(images: int) -> int:
    return 12 + images * (16 + 4 * CLASSES)


def fill(ledger: Ledger, ends: tuple[int, ...] = BLOCK_ENDS) -> None:
    with ledger.appending():
        for start, end in itertools.pairwise(ends):
            ledger.append(KEYS[start:end], ANSWERS[start:end])


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """The bytes of a ledger of three blocks."""
    with contextlib.closing(Ledger(tmp_path / "whole", "mine")) as ledger:
        fill(ledger)
    return (tmp_path / "whole").read_bytes()


@contextlib.contextmanager
def opened(path: Path, identity: str = "mine") -> Iterator[Ledger]:
    with contextlib.closing(Ledger(path, identity)) as ledger:
        yield ledger


def held(ledger: Ledger) -> int:
    """Count the images of a ledger, which have to be the first ones, with the answers that were paid for."""
    count = len(ledger)
    assert ledger.missing(KEYS) == list(range(count, len(KEYS)))
    if count:
        assert torch.equal(ledger.answers(KEYS[:count]), ANSWERS[:count])
    return count


def test_keys_tell_images_and_shapes_apart() -> None:
    one_pixel = IMAGES[:1].repeat(48, 1, 1, 1)
    one_pixel.view(48, 48)[torch.arange(48), torch.arange(48)] ^= 1
    flat = torch.zeros(3, 3, 2, 8, dtype=torch.uint8)
    every = [*KEYS, *image_keys(one_pixel), *image_keys(flat[:1]), *image_keys(flat[:1].reshape(1, 3, 4, 4))]
    assert len(set(every)) == len(every) == 8 + 48 + 2
    assert {len(key) for key in every} == {16}


def test_keys_do_not_depend_on_how_an_image_lies_in_memory() -> None:
    laid_out = IMAGES.to(memory_format=torch.channels_last)
    assert image_keys(laid_out) == KEYS
    assert image_keys(torch.stack([IMAGES, 255 - IMAGES], 1)[:, 0]) == KEYS
    assert image_keys(IMAGES.flip(0)) == KEYS[::-1]


def test_keys_of_a_batch_are_those_of_each_image_alone() -> None:
    def alone(image: torch.Tensor) -> bytes:
        three = image if len(image) == 3 else image.repeat(3, 1, 1)
        return xxhash.xxh3_128_digest(three.numpy().tobytes(), image.shape[1] << 16 | image.shape[2])

    for images in (IMAGES, IMAGES[:, :1], IMAGES[:, :, :2]):
        expected = [alone(image) for image in images]
        assert image_keys(images) == expected
        assert image_keys(images.numpy()) == expected
        assert image_keys(images.flip(3).numpy()[..., ::-1]) == expected


def test_a_file_is_a_line_and_a_block_for_each_batch(tmp_path: Path, whole: bytes) -> None:
    header = whole.index(b"\n") + 1
    assert len(whole) == header + sum(size_of(count) for count in BLOCKS)
    assert whole.endswith(ANSWERS[4:6].numpy().astype("<f4").tobytes())
    assert b"".join(KEYS[:3]) == whole[header + 12 : header + 12 + 48]
    with opened(tmp_path / "whole") as ledger:
        assert held(ledger) == 6


def test_missing_names_each_new_image_once_at_its_first_place() -> None:
    ledger = Ledger(None, "")
    asked = [KEYS[place] for place in (5, 0, 5, 1, 0, 7)]
    assert ledger.missing(asked) == [0, 1, 3, 5]
    ledger.append(KEYS[:1], ANSWERS[:1])
    assert ledger.missing(asked) == [0, 3, 5]
    assert ledger.missing([]) == []


def test_many_blocks_keep_their_answers() -> None:
    images = distinct_images(5000)
    keys, answers = image_keys(images), torch.rand(5000, CLASSES)
    ledger = Ledger(None, "")
    for start in range(0, 5000, 700):
        ledger.append(keys[start : start + 700], answers[start : start + 700])
    order = torch.randperm(5000)
    assert torch.equal(ledger.answers([keys[place] for place in order.tolist()]), answers[order])


def test_a_ledger_cut_off_anywhere_has_the_whole_blocks_and_takes_the_rest_again(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger"
    header = whole.index(b"\n") + 1
    ends = [header + sum(map(size_of, BLOCKS[:number])) for number in range(4)]
    for cut in range(header, len(whole) + 1):
        path.write_bytes(whole[:cut])
        complete = sum(end <= cut for end in ends) - 1
        with opened(path) as ledger:
            assert held(ledger) == BLOCK_ENDS[complete], cut
            assert path.stat().st_size == ends[complete], cut
            fill(ledger, BLOCK_ENDS[complete:])
        assert path.read_bytes() == whole, cut


def test_a_torn_header_is_no_ledger_and_an_empty_file_a_new_one(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger"
    for cut in range(1, whole.index(b"\n") + 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(StoreError, match="is not a ledger"):
            Ledger(path, "mine")
    path.write_bytes(b"")
    with opened(path) as ledger:
        assert held(ledger) == 0
        fill(ledger)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("change", [1, 0x80])
def test_no_flipped_bit_changes_an_answer_or_loses_one_without_a_word(
    tmp_path: Path, whole: bytes, change: int
) -> None:
    path = tmp_path / "ledger"
    header = whole.index(b"\n") + 1
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
        with pytest.raises(StoreError) as caught:
            Ledger(path, "mine")
        assert "\n" not in str(caught.value)
        assert path.stat().st_size == len(whole), place
        if place < header:
            continue
        # The error tells what can be kept, and the command that keeps it.
        block = max(number for number in range(3) if place >= header + sum(map(size_of, BLOCKS[:number])))
        end = header + sum(map(size_of, BLOCKS[:block]))
        assert f"damaged at byte {end}, behind the answers to {BLOCK_ENDS[block]} images" in str(caught.value)
        assert f"`truncate -s {end} {path}` keeps these" in str(caught.value)
        os.truncate(path, end)
        with opened(path) as ledger:
            assert held(ledger) == BLOCK_ENDS[block]


@pytest.mark.parametrize("images", [1, 40, 900])
def test_a_last_block_is_torn_where_its_end_is_zeros_from_a_page_on_and_damaged_otherwise(
    tmp_path: Path, images: int
) -> None:
    path = tmp_path / "ledger"
    keys = image_keys(distinct_images(images))
    # Posteriors whose last ones are zero are answers, not what a power cut leaves.
    answers = torch.zeros(images, CLASSES)
    answers[:, 0] = 1
    with opened(path) as ledger, ledger.appending():
        ledger.append(keys, answers)
    whole = path.read_bytes()
    start = whole.index(b"\n") + 13
    for place in (start, (start + len(whole)) // 2, len(whole) - 12):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(StoreError, match="behind the answers to 0 images"):
            Ledger(path, "mine")
        path.unlink()
    for page in range(0, len(whole) - 64, 4096):
        kept = max(page, start)
        path.write_bytes(whole[:kept] + bytes(len(whole) - kept))
        told = f"behind the answers to 0 images, .* the last {len(whole) - start + 12} bytes are left out"
        with pytest.warns(EdgeriftWarning, match=told), opened(path) as ledger:
            assert len(ledger) == 0
        assert path.stat().st_size == start - 12


def test_a_last_page_of_zeros_within_an_answer_is_no_power_cut(tmp_path: Path) -> None:
    """Of an answer that tells the label alone, one of many classes, all but 4 bytes are zeros."""
    path = tmp_path / "ledger"
    answers = torch.zeros(3, 1000)
    answers[:, 0] = 1
    with opened(path) as ledger, ledger.appending():
        ledger.append(KEYS[:3], answers)
    whole = path.read_bytes()
    last_page = len(whole) // 4096 * 4096
    assert len(whole) - last_page > 64
    assert not any(whole[last_page:])
    header = whole.index(b"\n") + 1
    for place in (header + 12, header + 90, last_page - 1, len(whole) - 4096 // 2):
        content = whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
        path.write_bytes(content)
        with pytest.raises(StoreError, match=f"damaged at byte {header}, behind the answers to 0 images"):
            Ledger(path, "mine")
        assert path.read_bytes() == content
    # Where more than the last answer is zeros, it was not written.
    path.write_bytes(whole[: last_page - 4096] + bytes(len(whole) - last_page + 4096))
    with pytest.warns(EdgeriftWarning, match="ended in zeros"), opened(path) as ledger:
        assert len(ledger) == 0


SPECIAL = {
    "pipe": lambda path: os.mkfifo(path),
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "device": lambda path: path.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("suffix", ["", ".stream", ".stream.answers"])
def test_a_special_file_is_no_place_for_a_ledger(tmp_path: Path, kind: str, suffix: str) -> None:
    victim = CountedVictim()
    path = tmp_path / f"ledger{suffix}"
    SPECIAL[kind](path)
    before = path.lstat()
    with pytest.raises(StoreError, match="is not a regular file; give") as caught:
        Oracle(victim, budget=9, ledger=tmp_path / "ledger").stream(IMAGES[:2] / 255)
    assert "\n" not in str(caught.value)
    assert path.lstat() == before
    assert victim.asked.total() == 0
    assert not list(tmp_path.glob("*.lock"))
    assert not Path("/dev/null.lock").exists()


def test_a_header_that_makes_blocks_longer_does_not_cut_them_off(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with opened(path) as ledger:
        fill(ledger, (0, 6))
    content = path.read_bytes().replace(b'"classes": 3', b'"classes": 9')
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        Ledger(path, "mine")
    assert path.read_bytes() == content


def test_zeros_that_a_power_cut_left_are_torn_and_other_content_is_not(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger"
    for zeros in (1, 12, 500):
        path.write_bytes(whole + bytes(zeros))
        # Fewer bytes than two numbers and their checksum are torn, whatever they are.
        told = pytest.warns(EdgeriftWarning, match=f"the last {zeros} bytes")
        with contextlib.nullcontext() if zeros < 12 else told, opened(path) as ledger:
            assert held(ledger) == 6
        assert path.read_bytes() == whole
    path.write_bytes(whole[: -size_of(2) + 12] + bytes(size_of(2) - 12) + bytes(100))
    with pytest.warns(EdgeriftWarning, match="behind the answers to 4 images"), opened(path) as ledger:
        assert held(ledger) == 4
    path.write_bytes(whole + bytes(500) + b"x")
    with pytest.raises(StoreError, match=f"at byte {len(whole)}, behind the answers to 6 images; .* or delete it"):
        Ledger(path, "mine")
    path.write_bytes(whole + whole[-size_of(2) :])
    with pytest.raises(StoreError, match="an image twice"):
        Ledger(path, "mine")


@pytest.mark.parametrize(
    "content",
    [b"text\n", b"\xff\xfe\n", b"[]\n", b"{}\n", b'{"format": "edgerift-ledger-1"}\n', bytes(100_000), b"null\n"]
    + [b'{"format": "edgerift-ledger-1", "identity": "mine", "classes": %s}\n' % wrong for wrong in (b"0", b'"3"')],
    ids=range(9),
)
def test_other_files_are_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is not a ledger; choose another path"):
        Ledger(path, "mine")
    assert path.read_bytes() == content


def test_a_ledger_of_another_victim_is_left_alone(tmp_path: Path, whole: bytes) -> None:
    with pytest.raises(StoreError, match="belongs to another victim or to other defences"):
        Ledger(tmp_path / "whole", "other")
    assert (tmp_path / "whole").read_bytes() == whole
    with opened(tmp_path / "whole") as ledger:
        assert held(ledger) == 6


@pytest.mark.parametrize("path", ["", "file/ledger"])
def test_places_that_cannot_hold_a_ledger(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be read or written"):
        Ledger(tmp_path / path, "mine")


def test_answers_of_another_number_of_classes_are_refused(tmp_path: Path, whole: bytes) -> None:
    for path in (tmp_path / "whole", None):
        with contextlib.closing(Ledger(path, "mine")) as ledger:
            if path is None:
                fill(ledger)
            with pytest.raises(StoreError, match="answers of 3 classes, this one has 4"), ledger.appending():
                ledger.append(KEYS[6:], torch.rand(2, 4))
            assert held(ledger) == 6
    assert (tmp_path / "whole").read_bytes() == whole


def test_an_image_is_never_paid_for_twice(tmp_path: Path, whole: bytes) -> None:
    with opened(tmp_path / "whole") as ledger:
        with pytest.raises(StoreError, match="an image twice"), ledger.appending():
            ledger.append(KEYS[5:7], ANSWERS[5:7])
        assert held(ledger) == 6
    assert (tmp_path / "whole").read_bytes() == whole


def test_one_oracle_at_a_time_has_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger"
    (tmp_path / "link").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    first = Ledger(path, "mine")
    for same in (path, tmp_path / "link", Path("ledger")):
        with pytest.raises(StoreError, match="in use by another oracle"):
            Ledger(same, "mine")
    script = "import sys, pathlib; from edgerift.extract._ledger import Ledger; Ledger(pathlib.Path(sys.argv[1]), '')"
    other = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60)
    assert other.returncode == 1
    assert "in use by another oracle" in other.stderr
    fill(first)
    first.close()
    first.close()
    with opened(path) as second:
        assert held(second) == held(first) == 6
        fill(second, (6, 7))
        with pytest.raises(StoreError, match="closed"):
            fill(first, (6, 8))
        assert (held(first), held(second)) == (6, 7)
    with opened(path) as third:
        assert held(third) == 7


def test_a_ledger_that_was_refused_is_not_held(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "whole"
    path.write_bytes(b"damaged\n")
    with pytest.raises(StoreError, match="not a ledger") as caught:
        Ledger(path, "mine")
    path.write_bytes(whole)
    with opened(path) as ledger:
        assert held(ledger) == 6
    del caught  # It has kept the first ledger's frame, and with it the ledger, until here.


def test_a_ledger_nobody_refers_to_is_let_go(tmp_path: Path) -> None:
    fill(Ledger(tmp_path / "ledger", "mine"))
    with opened(tmp_path / "ledger") as ledger:
        assert held(ledger) == 6


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to write beyond this size, after it wrote what still fits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 11, 12, 40, size_of(2) - 1])
def test_a_write_that_does_not_fit_leaves_the_file_whole(tmp_path: Path, whole: bytes, room: int) -> None:
    path = tmp_path / "whole"
    with opened(path) as ledger:
        with largest_file(len(whole) + room), pytest.raises(StoreError, match="no answer was handed out") as caught:
            fill(ledger, (6, 8))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == whole
        assert held(ledger) == 6
        fill(ledger, (6, 8))
        assert held(ledger) == 8
    with opened(path) as ledger:
        assert held(ledger) == 8


def test_the_blocks_before_one_that_does_not_fit_stay(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "ledger"
    header = whole.index(b"\n") + 1
    with opened(path) as ledger:
        with largest_file(header + size_of(3) + size_of(1) + 20), pytest.raises(StoreError):
            fill(ledger)
        assert held(ledger) == 4
        assert path.read_bytes() == whole[: -size_of(2)]
    with opened(path) as ledger:
        assert held(ledger) == 4


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_cannot_be_flushed_was_not_paid_for(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "whole"
    with opened(path) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(StoreError, match="No space left"):
                fill(ledger, (6, 7, 8))
        assert held(ledger) == 6
        assert path.read_bytes() == whole
        fill(ledger, (6, 7, 8))
        assert held(ledger) == 8


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_ledger_begins_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    with opened(tmp_path / "ledger") as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, step, refuse)
            with pytest.raises(StoreError):
                fill(ledger)
        assert [path.name for path in tmp_path.iterdir()] == ["ledger.lock"]
        assert held(ledger) == 0
        fill(ledger)
        assert held(ledger) == 6


def test_half_a_block_that_could_not_be_removed_is_written_over(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "whole"
    with opened(path) as ledger:
        with monkeypatch.context() as patch, largest_file(len(whole) + 60):
            patch.setattr(os, "truncate", refuse)
            with pytest.raises(StoreError):
                fill(ledger, (6, 8))
        assert path.stat().st_size == len(whole) + 60
        fill(ledger, (6, 7))
        assert path.stat().st_size == len(whole) + size_of(1)
    with opened(path) as ledger:
        assert held(ledger) == 7


def test_a_ledger_that_somebody_shortened_or_removed_takes_no_more(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "whole"
    with opened(path) as ledger:
        os.truncate(path, len(whole) - 5)
        with pytest.raises(StoreError, match="cut short by somebody else"):
            fill(ledger, (6, 8))
        assert path.read_bytes() == whole[:-5]
        path.unlink()
        with pytest.raises(StoreError, match="No such file"):
            fill(ledger, (6, 8))
        assert not path.exists()
        assert held(ledger) == 6


def test_a_copy_in_the_place_of_an_open_ledger_takes_what_follows(tmp_path: Path, whole: bytes) -> None:
    path, copy = tmp_path / "whole", tmp_path / "copy"
    with opened(path) as ledger:
        fill(ledger, (6, 7))
        copy.write_bytes(path.read_bytes())
        copy.replace(path)
        fill(ledger, (7, 8))
    with opened(path) as ledger:
        assert held(ledger) == 8


def test_a_batch_that_was_interrupted_is_forgotten_whole(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As control-C does, which comes between any two steps."""
    path = tmp_path / "whole"
    for method in ("_keep", "_written"):
        with opened(path) as ledger:
            true = getattr(Ledger, method)

            def interrupted(*arguments: object, true: object = true) -> None:
                true(*arguments)  # type: ignore[operator]
                raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr(Ledger, method, interrupted)
                with pytest.raises(KeyboardInterrupt), ledger.appending():
                    ledger.append(KEYS[6:], ANSWERS[6:])
            assert held(ledger) == 6
            assert path.read_bytes() == whole


def test_answers_are_on_the_disk_before_appending_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file at its full length, and the folder that got a new name."""
    path = tmp_path / "ledger"
    flushed: list[tuple[int, int]] = []
    true = os.fsync

    def watch(descriptor: int) -> None:
        found = os.fstat(descriptor)
        flushed.append((found.st_ino, found.st_size))
        true(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    with opened(path) as ledger:
        fill(ledger)
        assert tmp_path.stat().st_ino in {inode for inode, _ in flushed}
        assert flushed[-1] == (path.stat().st_ino, path.stat().st_size)
        flushed.clear()
        with contextlib.suppress(StoreError), ledger.appending():
            ledger.append(KEYS[6:], ANSWERS[6:])
            ledger.append(KEYS[:1], ANSWERS[:1])
        assert flushed == [(path.stat().st_ino, path.stat().st_size)]
        assert held(ledger) == 8


def test_answers_are_copies(tmp_path: Path) -> None:
    ledger = Ledger(None, "")
    given: Tensor = ANSWERS.clone()
    ledger.append(KEYS, given)
    given.zero_()
    ledger.answers(KEYS).zero_()
    assert held(ledger) == 8
