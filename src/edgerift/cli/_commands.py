"""Commands that a result names as the next one, written as a shell takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgerift import images
from edgerift.settings import Settings


def changed_words(given: Settings, leave_out: tuple[str, ...] = ()) -> list[str]:
    """Write the options of a group again, without those at their defaults and those to leave out.

    >>> from edgerift.cli._train import OriginalOptions
    >>> changed_words(OriginalOptions(model="lenet", epochs=3, compile=True, seed=1), leave_out=("seed",))
    ['--model', 'lenet', '--epochs', '3', '--compile']
    """
    plain = type(given)()
    fields = ((name, getattr(given, name)) for name in type(given).model_fields if name not in leave_out)
    return [word for name, value in fields if value != getattr(plain, name) for word in option_words(name, value)]


def option_words(name: str, value: object) -> Iterator[str]:
    """Write one option: a switch alone, and anything else with its value."""
    option = f"--{name.replace('_', '-')}"
    if value is True:
        yield option
        return
    if value is None or value is False:
        return
    yield option
    yield (
        path_word(value)
        if isinstance(value, Path)
        else images.size_text(value)
        if isinstance(value, tuple)
        else str(value)
    )


def path_word(path: Path) -> str:
    """Write a path so that it is not read as an option.

    >>> path_word(Path("-audit"))
    './-audit'
    """
    return f"./{path}" if str(path).startswith("-") else str(path)
