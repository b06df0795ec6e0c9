"""Every error that edgerift raises on purpose, in one tree.

```
EdgeriftError
├── InputError             what the user gave cannot be used
│   ├── DataError          an image source: missing, damaged, or with labels out of range
│   ├── ModelError         an architecture or its weights: unknown, NaN, wrong class count
│   ├── RecipeError        a recipe or a setting with a value that is not allowed
│   └── ProgramError       a program file that is damaged or holds an operator that is not allowed
├── QuantizationError      an operator that the target cannot run in integers, or a layer that leaves the original
├── MissingRuntimeError    a runtime or an extra that is not installed here
├── BuildError             a runtime refused a program or an input
├── BudgetError            a question to an oracle costs more than its budget has left
└── StoreError             a result that cannot be written, read or trusted
```

A message is one line: what was given, what is allowed, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EdgeriftError(Exception):
    """The root of the tree: catch it to catch every error that edgerift raises on purpose."""


class InputError(EdgeriftError):
    """What the user gave cannot be used."""


class DataError(InputError):
    """An image source is missing, damaged, or has labels out of range."""


class ModelError(InputError):
    """An architecture is unknown, or its weights do not fit or are not finite."""


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
    """A question to an oracle would cost more images than its budget has left."""


class StoreError(EdgeriftError):
    """A stored result cannot be written, read or trusted."""


def unknown_name(kind: str, given: str, allowed: Iterable[str]) -> str:
    """Word the error for a name that is not known, with the nearest one that is.

    >>> unknown_name("model", "resnet9", ["lenet", "resnet8"])
    "unknown model 'resnet9'; did you mean 'resnet8'? Known: lenet, resnet8"
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {kind} '{given}'; {hint}Known: {', '.join(names)}"
