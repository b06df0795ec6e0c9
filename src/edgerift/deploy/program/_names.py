"""Names in program files: plain identifiers and nothing else, since a graph's names stand in the code made from it."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator

from edgerift.errors import ProgramError

_RULE: Final = (
    "a plain name is letters, digits and underscores, at most 200, with no digit first and no keyword of Python"
)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
#: A parameter's path in its module, such as `blocks.0.weight`.
_PATH: Final = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_LONGEST_PATH: Final = 400


def plain_name(name: str) -> str:
    """Return the name of a program's input or node; raises `ValueError` unless it is a plain identifier.

    >>> plain_name("conv2d_1")
    'conv2d_1'
    """
    if _IDENTIFIER.fullmatch(name) is None or keyword.iskeyword(name):
        raise ValueError(_RULE)
    return name


def check_tensor_names(names: Iterable[str]) -> None:
    """Raise :class:`~edgerift.errors.ProgramError` unless each is identifiers and numbers with dots between."""
    for name in names:
        if len(name) > _LONGEST_PATH or _PATH.fullmatch(name) is None:
            raise ProgramError(
                f"a program may not hold a tensor {name[:80]!r}; names of tensors are letters, digits, underscores and "
                f"dots, at most {_LONGEST_PATH}"
            )


def check_graph_names(image: str, nodes: Iterable[str]) -> None:
    """Raise :class:`~edgerift.errors.ProgramError` unless all names of a graph are plain and different."""
    names = [image, *nodes]
    for name, times in Counter(names).items():
        try:
            plain_name(name)
        except ValueError as error:
            raise ProgramError(f"a program may not hold the name {name[:80]!r}: {error}") from None
        if times > 1:
            raise ProgramError(f"the program computes '{name}' twice; it is damaged")


PlainName = Annotated[str, AfterValidator(plain_name)]
"""A field that holds a plain identifier."""
