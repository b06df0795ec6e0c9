"""Documents and command lines with something wrong in them, drawn from a seed."""

import json
import random
from collections.abc import Callable
from typing import Any

#: Values that readers stumble over, in place of any other.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 2**31, 2**63, -(2**63) - 1, 10**30, 1e308, -1e-308),
    *("", " ", "0", "1:30", "010", "yes", "a" * 5000, "\x1b[31m", "two\nlines", "\x00", "\x9b2J", "\u202eredro", "é"),
    *("../../x", "/dev/zero", "~", "{0.__class__}", "=1+1", "|", "<b>", "[/red]", "%s", "NaN", "$(x)"),
    *([], {}, [[]], [None], {"": 1}, {"type": "audit"}, [1, "a", {}], {"node": "image"}, {"tensor": "x"}),
)
#: Text that no value of Python's gives, in place of any other value of JSON.
RAW = (
    *("NaN", "-Infinity", "1e999", "9" * 5000, "-" + "9" * 400, "0x" + "f" * 5000, "1_0", "'a'", "&a 1", "*a", "!!x 1"),
    *(
        "[" * 3000,
        '{"a":' * 3000,
        "[" * 150 + "]" * 150,
        '"\\ud800"',
        '"\\u0000"',
        '"\\UFFFFFFFF"',
        "2026-99-99",
        "nul",
    ),
)
BYTES = (
    b"\xff",
    b"\x00",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\x1b[2J",
    b"\n",
    b"{",
    b"]",
    b'"',
    b"%",
    b"\xc2\x85",
    b":",
)
_MARK = "the place of raw text"


def bytes_of(draw: random.Random, content: bytes) -> bytes:
    """Damage bytes: cut, flipped, doubled, with something put between them, or none at all."""
    place, end = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    kind = draw.randrange(6)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return (
            content[:place]
            + bytes(byte ^ 1 << draw.randrange(8) for byte in content[place : place + 1])
            + content[place + 1 :]
        )
    if kind == 2:
        return content[:place] + draw.choice(BYTES) * draw.choice((1, 1, 100)) + content[place:]
    if kind == 3:
        return content[:place] + content[end:]
    if kind == 4:
        return content[:end] + content[place:end] + content[end:]
    return draw.randbytes(draw.randrange(200))


def json_of(draw: random.Random, content: Any) -> bytes:
    """Change a value of JSON in one place or a few, and write it down."""
    changed = json.loads(json.dumps(content))
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        changed = _changed(draw, changed)
    text = json.dumps(changed, ensure_ascii=draw.random() < 0.5)
    return text.replace(f'"{_MARK}"', draw.choice(RAW)).encode("utf-8", "surrogatepass")


def header_of(draw: random.Random, content: bytes, inner: str) -> bytes:
    """Change the header of a safetensors file, or the JSON that it holds as the text `inner`."""
    length = int.from_bytes(content[:8], "little")
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    if draw.random() < 0.7:
        about = header["__metadata__"]
        about[inner] = json_of(draw, json.loads(about[inner])).decode("utf-8", "replace")
        written = json.dumps(header).encode()
    else:
        written = json_of(draw, header)
    claimed = len(written) if draw.random() < 0.95 else draw.choice((0, 1, 2**31, 2**63, len(written) + 1))
    return claimed.to_bytes(8, "little") + written + rest


def arguments_of(draw: random.Random, arguments: list[str]) -> list[str]:
    """Change a command line: options left out, doubled, misspelt, or with another value."""
    changed = list(arguments)
    for _ in range(draw.choice((1, 1, 2, 3))):
        place = draw.randrange(len(changed) + 1)
        kind = draw.randrange(5)
        if kind == 0 and changed:
            del changed[place % len(changed)]
        elif kind == 1 and changed:
            word = changed[place % len(changed)]
            cut = draw.randrange(len(word) + 1)
            changed[place % len(changed)] = (
                word[:cut] + draw.choice(("", "x", "\x1b", "=", "-", "é", "\udcff")) + word[cut:]
            )
        elif kind == 2 and changed:
            changed[place % len(changed)] = _word(draw)
        elif kind == 3 and changed:
            changed.insert(place, draw.choice(changed))
        else:
            changed.insert(place, _word(draw))
    return changed


def _word(draw: random.Random) -> str:
    value = draw.choice((*VALUES, *RAW, "a" * 300, "\udcff", "-9", "--seed", "--json", "--steps", "--", "-h"))
    return value if isinstance(value, str) else json.dumps(value)


def _changed(draw: random.Random, value: Any) -> Any:
    """Change one place of a value, drawn by walking down from the top."""
    if not (isinstance(value, dict | list) and value) or draw.random() < 0.08:
        return _other(draw, value)
    if isinstance(value, list):
        return _changed_list(draw, value)
    key = draw.choice(list(value))
    kind = draw.randrange(10)
    if kind == 0:
        return {name: item for name, item in value.items() if name != key}
    if kind == 1:
        return {**value, draw.choice((key + "x", "", "\x1b[31m", "a" * 5000, "__class__")): value[key]}
    if kind == 2:
        return {(_word(draw) if name == key else name): item for name, item in value.items()}
    return {**value, key: _changed(draw, value[key])}


def _changed_list(draw: random.Random, value: list[Any]) -> list[Any]:
    place = draw.randrange(len(value))
    kind = draw.randrange(8)
    if kind == 0:
        return value[:place] + value[place + 1 :]
    if kind == 1:
        return [*value, value[place]]
    if kind == 2:
        return value[::-1]
    return [*value[:place], _changed(draw, value[place]), *value[place + 1 :]]


def _other(draw: random.Random, value: Any) -> Any:
    """Put another value in the place of one, or one near it."""
    if isinstance(value, int | float) and not isinstance(value, bool) and draw.random() < 0.4:
        change: Callable[[Any], Any] = draw.choice(
            (lambda x: -x, lambda x: x + 1, lambda x: x * 10**9, str, lambda x: [x])
        )
        return change(value)
    if isinstance(value, str) and draw.random() < 0.3:
        return draw.choice((value + "\n", value.upper(), value[:-1], value * 3, [value], "\u202e" + value))
    return _MARK if draw.random() < 0.3 else draw.choice(VALUES)
