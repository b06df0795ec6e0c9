"""Every error that edgerift raises on purpose, in one tree.

```
EdgeriftError
├── InputError             what the user gave cannot be used
│   ├── DataError          an image source: missing, damaged, or with labels out of range
│   ├── ModelError         an architecture or its weights: unknown, NaN, wrong class count
│   │   └── DivergedError  a training whose loss or weights are no longer finite
│   ├── RecipeError        a recipe or a setting with a value that is not allowed
│   └── ProgramError       a program file that is damaged or holds an operator that is not allowed
├── QuantizationError      an operator that the target cannot run in integers, or a layer that leaves the original
├── MissingRuntimeError    a runtime or an extra that is not installed here
├── BuildError             a runtime refused a program or an input
├── BudgetError            a query to an oracle costs more than the rest of its budget
└── StoreError             a result that cannot be written, read or trusted
```

A message is one line: what was given, what is allowed, and what to do about it.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

#: The longest name that is shown in full.
_SHOWN: Final = 100
# Joiners belong to the spelling of some scripts; the other invisible characters only mislead a reader.
_KEPT: Final = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


class EdgeriftError(Exception):
    """The root of the tree: catch it to catch every error that edgerift raises on purpose."""

    def __str__(self) -> str:
        """Give the message in one line, with what moves a terminal escaped: names in it may come from files."""
        return one_line(super().__str__())


class InputError(EdgeriftError):
    """What the user gave cannot be used."""


class DataError(InputError):
    """An image source is missing, damaged, or has labels out of range."""


class ModelError(InputError):
    """An architecture is unknown, or its weights do not fit or are not finite."""


class DivergedError(ModelError):
    """A training ended in a loss or in weights that are not finite."""


class RecipeError(InputError):
    """A recipe or a setting has a value that is not allowed."""


class ProgramError(InputError):
    """A program file is damaged or holds an operator that is not allowed."""


class QuantizationError(EdgeriftError):
    """An operator cannot run in integers on the chosen target, or what was made of it leaves the original."""


class MissingRuntimeError(EdgeriftError):
    """A runtime or an optional dependency is not installed here."""


class BuildError(EdgeriftError):
    """A runtime refused a program or an input."""


class BudgetError(EdgeriftError):
    """A query to an oracle would cost more images than the rest of its budget."""


class StoreError(EdgeriftError):
    """A stored result cannot be written, read or trusted."""


class EdgeriftWarning(UserWarning):
    """The root of all warnings; the command line shows them as notes."""


class ProbabilitiesWarning(EdgeriftWarning):
    """A model answers probabilities where logits are expected; their logarithms are taken."""


class ModelWarning(EdgeriftWarning):
    """A model's file can be read in more than one way, or holds its weights in another form."""


class TrainingWarning(EdgeriftWarning):
    """A training ended in a state that its figures do not show."""


class ImagesWarning(EdgeriftWarning):
    """Images can be read in more than one way, or have unexpected content."""


@contextmanager
def users_code(whose: str, call: str, kind: type[InputError] = ModelError) -> Iterator[None]:
    """Turn an error of a user's own code into one line: whose code it is, what it raised, and how edgerift calls it.

    What is raised inside becomes an error of `kind`; errors of this tree stay as they are.

    >>> with users_code("the model", "with 3 images"):
    ...     [][0]
    Traceback (most recent call last):
    ...
    edgerift.errors.ModelError: the model raised IndexError: list index out of range; edgerift calls it with 3 images
    """
    try:
        yield
    except EdgeriftError:
        raise
    except Exception as error:
        raise kind(f"{whose} raised {_told(error)}; edgerift calls it {call}") from error


def _told(error: Exception) -> str:
    """Return an exception's type and the first line of its message."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return type(error).__name__ + (f": {first}" if first else "")


def unknown_name(kind: str, given: str, allowed: Iterable[str]) -> str:
    """Build the message for an unknown name, with the nearest known one.

    >>> unknown_name("model", "resnet9", ["lenet", "resnet8"])
    "unknown model 'resnet9'; did you mean 'resnet8'? Known: lenet, resnet8"
    """
    names = sorted(allowed)
    given = given if len(given) <= _SHOWN else f"{given[: _SHOWN - 1]}…"
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {kind} '{given}'; {hint}Known: {', '.join(names)}"


def first_line(error: BaseException) -> str:
    """Return the first non-empty line of an error's text, else the name of its class.

    >>> first_line(ValueError("\\n  too long \\nby two"))
    'too long'
    >>> first_line(EOFError())
    'EOFError'
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def plain(text: str, kept: str = "\n\t") -> str:
    """Replace what a reader cannot see, what moves a terminal or what XML forbids by its escape sequence.

    The characters `kept` stay as they are.

    >>> print(plain("stop\x1b[31m sign"))
    stop\\x1b[31m sign
    """
    return text if text.isprintable() else "".join(_visible(character, kept) for character in text)


def one_line(text: str) -> str:
    """Return text in one line, escaped for a terminal.

    >>> print(one_line("a name\\nof two lines"))
    a name\\nof two lines
    """
    return plain(text, kept="")


def _visible(character: str, kept: str) -> str:
    shown = character in _KEPT or character in kept or unicodedata.category(character) not in _UNPRINTABLE
    return character if shown else character.encode("unicode_escape").decode("ascii")
