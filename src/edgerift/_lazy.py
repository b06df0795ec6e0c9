"""Imports that wait until they are needed, so that the command line answers without PyTorch."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

Exports = tuple[Callable[[str], object], Callable[[], list[str]], list[str]]


def exported(package: str) -> Exports:
    """Make `__getattr__`, `__dir__` and `__all__` of a package whose exports stand below `if TYPE_CHECKING:`.

    An export is written once, as `from MODULE import NAME as NAME`: type checkers read that line, and so does this.
    """
    places = dict(_imports(package))

    def imported(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        place = places[name]
        found = import_module(f"{package}.{name}") if place == package else getattr(import_module(place), name)
        setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted(places)

    return imported, names, names()


def later(*names: str) -> Any:
    """Stand in for a module, or for several, that is imported when one of its attributes is first looked up.

    A type checker is told the real import below `if TYPE_CHECKING:`.

    >>> from edgerift._lazy import later
    >>> later("fractions").Fraction(1, 2)
    Fraction(1, 2)
    """
    modules = [_Later(name) for name in names]
    return modules[0] if len(modules) == 1 else modules


class _Later(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def _imports(package: str) -> Iterator[tuple[str, str]]:
    """List what a package imports for type checkers: each name with its module."""
    # Only `importlib.abc` has the type of a loader that knows its source, and it is slow to import.
    loader: Any = getattr(sys.modules[package].__spec__, "loader", None)
    source = loader.get_source(package) if hasattr(loader, "get_source") else None
    if source is None:
        raise ImportError(f"{package} is installed without its source; install the wheel as it is")
    for block in ast.parse(source).body:
        for line in block.body if isinstance(block, ast.If) else ():
            if isinstance(line, ast.ImportFrom) and line.module is not None:
                yield from ((name.name, line.module) for name in line.names)
