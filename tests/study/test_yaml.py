"""A study's file as text: what is read as what, what a profile changes, and the line of everything that is wrong."""

import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgerift.errors import RecipeError
from edgerift.study import profile_names
from edgerift.study._yaml import read_profile

PROFILES = "profiles: {small: {}}\n"


@pytest.fixture
def write(tmp_path):
    def written(text: str | bytes) -> Path:
        path = tmp_path / "study.yaml"
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return path

    return written


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # YAML 1.1 makes false, a date, a number of seconds and an octal number of these.
        ("no", "no"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("010", 10),
        # And text of these.
        ("1e-3", 0.001),
        ("1E+2", 100.0),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("50_000", 50_000),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.25e2", -125.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("'3'", "3"),
        ('"true"', "true"),
        ("!!str 3", "3"),
        ("!!float 3", 3.0),
        (".inf", ".inf"),
        ("1.2.3", "1.2.3"),
        ("0b1", "0b1"),
        ("1__0", "1__0"),
        ("٣", "٣"),
        ("=", "="),
        ("<<", "<<"),
        ("[1, [a, {b: 2}]]", [1, ["a", {"b": 2}]]),
        ("{}", {}),
        ("[]", []),
    ],
)
def test_what_is_read_as_what(write, text, value):
    found = read_profile(write(f"{PROFILES}x: {text}\n"), "small").plain()
    assert found == {"x": value}
    assert type(found["x"]) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", 1, "a study is a mapping of settings"),
        ("# nothing\n", 1, "a study is a mapping of settings"),
        ("- a\n- b\n", 1, "a study is a mapping of settings"),
        ("3\n", 1, "a study is a mapping of settings"),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, "'c' is given twice"),
        ("a: 1\n'a': 2\n", 2, "'a' is given twice"),
        ("1: a\n'1': b\n", 2, "'1' is given twice"),
        ("a:\n\tb: 1\n", 2, r"found character '\t' that cannot start any token"),
        ("a: [1\nb: 2\n", 2, "while parsing a flow sequence, expected ',' or ']'"),
        ("a: 'b\n", 2, "unexpected end of stream"),
        ("a: 1\n---\nb: 2\n", 2, "expected a single document"),
        ("a: 1\nb: \x07\n", 2, "the character U+0007"),
        ("a: \x00", 1, "the character U+0000"),
        ("a: 1\nb: &one [1]\nc: *one\n", 2, "through an alias"),
        ("a: &one 1\nb:\n- *one\n", 1, "through an alias"),
        ("a: &deep [*deep]\n", 1, "through an alias"),
        ("a: &one {b: 1}\nc:\n  <<: *one\n", 1, "through an alias"),
        ("a: *nothing\n", 1, "found undefined alias 'nothing'"),
        (
            "a: 1\nb: !!python/object/apply:os.system ['echo']\n",
            2,
            "the tag !!python/object/apply:os.system is not read",
        ),
        ("a: 1\nb: !!python/name:os.system\n", 2, "the tag !!python/name:os.system is not read"),
        ("a: !!set {b}\n", 1, "the tag !!set is not read"),
        ("a: !!binary aGk=\n", 1, "the tag !!binary is not read"),
        ("a: !own {b: 1}\n", 1, "the tag !own is not read"),
        ("!!python/object:os.stat_result\na: 1\n", 1, "the tag !!python/object:os.stat_result is not read"),
        ("a: 1\n? !!python/name:os.system\n: 2\n", 2, "the tag !!python/name:os.system is not read"),
        ("a: 1\n? [b, c]\n: 2\n", 2, "a key is a list or a mapping"),
        ("a: 1\n{b: 1}: 2\n", 2, "a key is a list or a mapping"),
        ("a: !!int seven\n", 1, "'seven' is no int"),
        ("a: !!int [1]\n", 1, "the tag !!int is not read"),
        ("a: !!bool yes\n", 1, "'yes' is no bool"),
        (f"a: {'9' * 9999}\n", 1, "…' is no int"),
        ("a: 1\n", 1, "a study needs profiles"),
        ("a: 1\nprofiles:\n", 2, "a study needs profiles"),
        ("a: 1\nprofiles: [small]\n", 2, "a study needs profiles"),
        ("a: 1\nprofiles: {}\n", 2, "a study needs profiles"),
        ("a: 1\nprofiles:\n  smal: {}\n", 2, "unknown profile 'small'; did you mean 'smal'? Known: smal"),
        ("a: 1\nprofiles:\n  small: 3\n", 3, "the profile 'small' is no mapping"),
        ("a: 1\nprofiles:\n  small: [a]\n", 3, "the profile 'small' is no mapping"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_line(write, text, line, told):
    path = write(text.encode())
    with pytest.raises(RecipeError) as caught:
        read_profile(path, "small")
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ")
    assert told in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: \xff\n", "is not text in UTF-8"),
        ("a: 1\n".encode("utf-16"), "is not text in UTF-8"),
        (b"a: 1\n" * 2_000_000, "has more than 1,000,000 bytes"),
        (b"[" * 20_000, "nested too deeply"),
        (b"a: " + b"{b: " * 5_000, "nested too deeply"),
    ],
)
def test_a_file_of_another_kind_is_refused_quickly(write, content, told):
    path = write(content)
    began = time.perf_counter()
    with pytest.raises(RecipeError, match=told):
        read_profile(path, "small")
    assert time.perf_counter() - began < 5


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(RecipeError, match=r"cannot read the study .*\(.*\); give the path of a YAML file"):
            read_profile(path, "small")


def test_a_billion_laughs_are_not_laughed(write):
    rows = ["l0: &l0 [ha]"] + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(RecipeError, match="through an alias"):
        read_profile(write("\n".join(rows) + "\n"), "small")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_change_nothing(write, newline, mark):
    text = newline.join(["a: 1", "profiles: {small: {}}", "b:", "- c", "- d", ""])
    tree = read_profile(write(mark + text.encode()), "small")
    assert tree.plain() == {"a": 1, "b": ["c", "d"]}
    assert tree.line_at(("b", 1)) == 5
    assert tree.line_at(("b",)) == 3


FILE = """\
    a: 1                    # 1
    b:                      # 2
      c: [x,                # 3
          y]                # 4
      d: {e: 1,             # 5
          f: 2}             # 6
    g:                      # 7
    - h: 1                  # 8
      i: 2                  # 9
    - 3                     # 10
    k: {l: 1}               # 11
    profiles:               # 12
      plain:                # 13
      empty: {}             # 14
      laid:                 # 15
        a: 2                # 16
        b:                  # 17
          d:                # 18
            f: 3            # 19
            new: 4          # 20
          c: [z]            # 21
        k:                  # 22
        m:                  # 23
        n: {o: }            # 24
    """


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ((), 1),
        (("a",), 1),
        (("b",), 2),
        (("b", "c"), 3),
        (("b", "c", 0), 3),
        (("b", "c", 1), 4),
        (("b", "c", 2), 3),
        (("b", "d", "e"), 5),
        (("b", "d", "f"), 6),
        (("b", "d", "missing"), 5),
        (("b", "some-tag", "d", "f"), 6),
        (("g",), 7),
        (("g", 0), 8),
        (("g", 0, "i"), 9),
        (("g", 1), 10),
        (("g", 0, "i", "deeper", 0), 9),
        (("missing",), 1),
    ],
)
@pytest.mark.parametrize("profile", ["plain", "empty"])
def test_the_line_of_every_value(write, profile, place, line):
    assert read_profile(write(FILE), profile).line_at(place) == line


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 16),
        (("b",), 2),
        (("b", "d"), 5),
        (("b", "d", "e"), 5),
        (("b", "d", "f"), 19),
        (("b", "d", "new"), 20),
        (("b", "c"), 21),
        (("b", "c", 0), 21),
        (("m",), 23),
        (("n", "o"), 24),
        (("k", "l"), 1),
    ],
)
def test_the_line_of_what_a_profile_lays_over(write, place, line):
    assert read_profile(write(FILE), "laid").line_at(place) == line


@pytest.mark.parametrize(("name", "line"), [("x", 2), ("y", 3), ("z", 1)])
def test_the_line_of_a_name_in_a_list_that_stands_for_a_mapping(write, name, line):
    tree = read_profile(write(f"b:\n- x\n- y\n{PROFILES}"), "small")
    assert tree.line_at(("b", name, "deeper")) == line


def test_what_a_profile_changes(write):
    path = write(FILE)
    rest = {
        "a": 1,
        "b": {"c": ["x", "y"], "d": {"e": 1, "f": 2}},
        "g": [{"h": 1, "i": 2}, 3],
        "k": {"l": 1},
    }
    assert read_profile(path, "plain").plain() == read_profile(path, "empty").plain() == rest
    assert read_profile(path, "laid").plain() == {
        "a": 2,
        "b": {"c": ["z"], "d": {"e": 1, "f": 3, "new": 4}},
        "g": [{"h": 1, "i": 2}, 3],
        # A null removes what is there, and is a value where nothing is.
        "m": None,
        "n": {"o": None},
    }
    assert profile_names(path) == ("plain", "empty", "laid")


def test_keys_keep_their_order(write):
    text = "z: 1\na: 2\nm: {y: 1, b: 2}\nprofiles: {small: {q: 1, m: {c: 3}, a: 4}}\n"
    found = read_profile(write(text), "small").plain()
    assert list(found) == ["z", "a", "m", "q"]
    assert list(found["m"]) == ["y", "b", "c"]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab: -#'\"{}[],&*!|>%@`\n\t\\é", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc~-: #", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abcd"), PLAIN, max_size=3), st.dictionaries(st.sampled_from("abcd"), PLAIN))
@settings(deadline=None)
def test_any_file_that_was_written_is_read_back_and_laid_over(tmp_path_factory, rest, profile):
    import yaml

    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.dump({**rest, "profiles": {"p": profile}}, allow_unicode=True, sort_keys=False), "utf-8")
    assert read_profile(path, "p").plain() == laid_over(rest, profile)


def laid_over(below, above):
    """Written again, in the plainest way."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    names = [*below, *(name for name in above if name not in below)]
    return {
        name: laid_over(below[name], above[name]) if name in below and name in above else {**below, **above}[name]
        for name in names
        if not (name in below and name in above and above[name] is None)
    }


@given(st.text("ab:-[]{}#&*!\n\t '\"?|>%,\x00\x85\u2028~0", max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "text.yaml"
    path.write_text(text, "utf-8")
    told = ""
    try:
        read_profile(path, "a").plain()
    except RecipeError as error:
        told = str(error)
    assert len(told.splitlines()) <= 1
