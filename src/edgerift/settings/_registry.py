"""Parts that register themselves: each is a module of its own, and is known by its name everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar, final

from edgerift.errors import EdgeriftError, RecipeError, unknown_name

Part = TypeVar("Part")


@final
class Registry(Generic[Part]):
    """Parts of one kind by name, such as runtimes or attacks; options, messages and schemas list them.

    `kind` is what a message calls one of them. `folder` is the package whose modules register their parts: they are
    imported in alphabetical order on first use, so that adding a part only takes a new module. Parts are listed by
    their `rank`, then by name, independent of the import order.

    >>> colours: Registry[str] = Registry("colour")
    >>> colours.register("red", "#f00"), colours.register("green", "#0f0", rank=-1)
    ('#f00', '#0f0')
    >>> colours.names()
    ('green', 'red')
    >>> colours["gren"]
    Traceback (most recent call last):
        ...
    edgerift.errors.RecipeError: unknown colour 'gren'; did you mean 'green'? Known: green, red
    """

    def __init__(self, kind: str, folder: str = "", error: type[EdgeriftError] = RecipeError) -> None:
        """Make an empty registry; `error` is what an unknown name raises."""
        self.kind = kind
        self._folder, self._error = folder, error
        self._parts: dict[str, tuple[float, Part]] = {}

    def register(self, name: str, part: Part, *, rank: float = 0) -> Part:
        """Register a part and return it; raises `RecipeError` for a name that another part has."""
        if self._parts.get(name, (rank, part))[1] != part:
            raise RecipeError(f"there is a {self.kind} '{name}' already; register this one under another name")
        self._parts[name] = (rank, part)
        return part

    def named(self, name: str, *, rank: float = 0) -> Callable[[Part], Part]:
        """Decorate a class or a function to register it."""
        return lambda part: self.register(name, part, rank=rank)

    def names(self) -> tuple[str, ...]:
        """List the names."""
        return tuple(self._known())

    def parts(self) -> tuple[Part, ...]:
        """List the parts in the order of their names."""
        return tuple(part for _, part in self._known().values())

    def items(self) -> Iterator[tuple[str, Part]]:
        """Iterate over names and parts."""
        yield from zip(self.names(), self.parts(), strict=True)

    def __contains__(self, name: object) -> bool:
        """Return whether a part of this name is registered."""
        self._import()
        return name in self._parts

    def __getitem__(self, name: str) -> Part:
        """Look a part up; raises the registry's error, with the nearest name, for an unknown one."""
        self._import()
        if name not in self._parts:
            raise self._error(unknown_name(self.kind, name, self._parts))
        return self._parts[name][1]

    def _import(self) -> None:
        if self._folder:
            _import_modules(self._folder)

    def _known(self) -> dict[str, tuple[float, Part]]:
        self._import()
        return dict(sorted(self._parts.items(), key=lambda entry: (entry[1][0], entry[0])))


@functools.cache
def _import_modules(folder: str) -> None:
    package = import_module(folder)
    for module in sorted(iter_modules(package.__path__), key=lambda found: found.name):
        import_module(f"{folder}.{module.name}")
