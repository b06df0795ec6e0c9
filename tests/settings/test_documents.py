"""Documents from anybody: what is read, and what is refused in one line before it takes memory."""

import os
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from edgerift import settings
from edgerift.errors import InputError, RecipeError, StoreError, first_line, one_line, plain
from edgerift.settings import Document, Settings


class Steps(Settings):
    steps: int
    name: str = ""


def document(path, **changes):
    return Document(path, "plan", "give another", **changes)


def test_what_is_there_is_read(tmp_path):
    path = tmp_path / "plan.json"
    path.write_bytes(b'{"steps": 3}')
    assert document(path).content() == b'{"steps": 3}'
    assert document(path).json() == {"steps": 3}
    assert document(path).settings(Steps) == Steps(steps=3)
    (tmp_path / "link").symlink_to(path)
    assert document(tmp_path / "link").settings(Steps) == Steps(steps=3)


@pytest.mark.parametrize("error", [InputError, StoreError])
@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("none", "cannot read the plan {}/none (No such file or directory); give another"),
        ("folder", "cannot read the plan {}/folder (Is a directory); give another"),
        ("pipe", "cannot read the plan {}/pipe (not a regular file); give another"),
        ("loop", "cannot read the plan {}/loop (Too many levels of symbolic links); give another"),
        ("file/below", "cannot read the plan {}/file/below (Not a directory); give another"),
        ("a" * 300, "(File name too long); give another"),
        ("a\0b", "embedded null "),  # Python 3.13 says "character", before it "byte"
        ("large", "the plan {}/large has more than 100 bytes; give another"),
    ],
)
def test_what_is_no_regular_file_of_that_size_is_refused(tmp_path, place, told, error):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "large").write_bytes(b" " * 101)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(error) as caught:
        document(tmp_path / place, error=error, most=100).content()
    assert told.format(tmp_path) in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there are no files of the system here")
def test_a_file_that_tells_no_size_is_read_up_to_the_bound():
    path = Path("/proc/self/maps")
    assert path.stat().st_size == 0
    assert document(path).content()
    with pytest.raises(InputError, match="has more than 10 bytes"):
        document(path, most=10).content()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[" * 10_000, b"9" * 5000, b'{"name": "\\ud800"}', b"\xef\xbb\xbf{}", b"{'a': 1}"],
)
def test_what_is_not_json_is_refused(tmp_path, content):
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    told = r"plan.json is no plan of this version \(.*this is not JSON: .*\); give another"
    for read in (lambda: document(path).json(), lambda: document(path).settings(Steps)):
        with pytest.raises(InputError, match=told):
            read()


def test_what_is_no_number_is_refused(tmp_path):
    path = tmp_path / "plan.json"
    path.write_bytes(b'{"steps": NaN}')
    with pytest.raises(InputError, match="this is not JSON"):
        document(path).json()
    with pytest.raises(InputError, match=r"Steps\.steps is nan; it must be a finite number"):
        document(path).settings(Steps)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            {"steps": 1, "name": 16**5000},
            "Steps.name is a value of type int that is too large to show; it must be text",
        ),
        ({"steps": 1, "b" * 5000: 2}, "unknown field 'b{59}…'"),
        ({"steps": "\x1b[31m"}, r"steps is '\\x1b\[31m'"),
        ({"steps": 1, "name": [[[]]] * 1000}, r"Steps.name is \[\[\[\]\]"),
    ],
    ids=["a long number", "a long name", "a control character", "a long list"],
)
def test_errors_show_a_part_of_what_is_long(content, told):
    with pytest.raises(RecipeError, match=told) as caught:
        Steps.model_validate(content)
    assert len(str(caught.value)) < 400


def test_text_of_half_characters_is_not_json():
    with pytest.raises(RecipeError, match="half a character"):
        Steps.model_validate_json('{"name": "\udcff"}')


@pytest.mark.parametrize(
    ("kind", "allowed", "refused"),
    [
        (settings.Seed, (0, 2**63 - 2), (-1, 2**63 - 1, 10**40)),
        (settings.Count, (1, 10**12), (0, 10**12 + 1)),
        (settings.Times, (1, 10**6), (0, 10**6 + 1)),
        (settings.TimesOrNone, (0, 10**6), (-1, 10**6 + 1)),
        (settings.BatchSize, (1, 10**6), (0, 10**6 + 1)),
        (settings.Parts, (1, 4096), (0, 4097)),
        (settings.Threads, (0, 4096), (-1, 4097)),
        (settings.ClassNumber, (0, 10**6), (-1, 10**6 + 1)),
        (settings.LearningRate, (1e-9, 1e30), (0, -1, 1e31, float("inf"), float("nan"))),
    ],
)
def test_numbers_end_where_libraries_do(kind, allowed, refused):
    adapter = TypeAdapter(kind)
    for value in allowed:
        assert adapter.validate_python(value) == value
    for value in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


@pytest.mark.parametrize("seed", [-1, 2**63 - 1, 10**40])
def test_a_seed_that_pytorch_does_not_take(seed):
    with pytest.raises(RecipeError, match=f"seed is {seed}; it must be a whole number from 0 to"):
        settings.require_seed(seed)


def test_the_first_line_of_an_error():
    assert first_line(ValueError("\n \n one \n two")) == "one"
    assert first_line(ValueError("")) == first_line(ValueError("  \n")) == "ValueError"
    assert first_line(RuntimeError("a\x85b")) == "a"


def test_text_that_moves_a_terminal():
    assert plain("a\tb\nc\rd\x7f\x85") == "a\tb\nc\\rd\\x7f\\x85"
    assert one_line("a\tb\nc") == "a\\tb\\nc"
    for harmless in ("é", "日本", "\N{NO-BREAK SPACE}", "a\N{ZERO WIDTH JOINER}b", "\\"):
        assert one_line(harmless) == harmless
    for character in "\u202e\u2066\u200b\ufeff\u2028\ud800\ue000\U000e0001\0":
        assert one_line(character).isascii()
    assert str(InputError("two\nlines \x1b")) == "two\\nlines \\x1b"
