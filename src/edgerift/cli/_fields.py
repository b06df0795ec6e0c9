"""A verb's options, read off its settings: what `--help` shows and what a wrong option is compared with."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
import types
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, Union, get_args, get_origin

import tyro
from pydantic.fields import FieldInfo

from edgerift.settings import Settings

_METAVARS: dict[Any, str] = {Path: "PATH", int: "N", float: "X", str: "NAME"}


@dataclass(frozen=True)
class Shown:
    """How the help shows an option, or all of a nested group; stands in `Annotated`, and parsing ignores it.

    `group` is the heading, else that of the nested group. `default` says how a default is computed. `advanced` options
    are shown by `--help-all` alone. `text` replaces the field's docstring, and `--help-all` adds `details`. On a nested
    group `basic` names the fields that the short help shows, `whole` shows all of them with their details, and
    `without` names those that the verb always refuses, which no help shows.
    """

    group: str = ""
    default: str = ""
    metavar: str = ""
    text: str = ""
    details: str = ""
    name: str = ""
    advanced: bool = False
    basic: tuple[str, ...] = ()
    whole: bool = False
    without: tuple[str, ...] = ()

    def hides(self, name: str, own: Shown) -> bool:
        """Say whether the short help leaves out a field of this group."""
        if self.whole or name in self.basic:
            return False
        return self.advanced or own.advanced or bool(self.basic)


class Option(NamedTuple):
    """One option as a user types it, and what the help says about it.

    `choices` is what stands for the values of an option that takes one of a few, also where `metavar` is shorter.
    """

    name: str
    metavar: str
    choices: str
    text: str
    details: str
    default: str
    group: str
    is_advanced: bool
    is_required: bool
    is_positional: bool

    @property
    def invocation(self) -> str:
        """The option with its value, as the help shows it."""
        return f"{self.name} {self.metavar}".strip() if not self.is_positional else self.metavar


class Command(Settings, ABC):
    """One verb: its fields are its options."""

    example: ClassVar[str]
    """A command line that a new user can try or change."""
    imports: ClassVar[tuple[str, ...]] = ("torch",)
    """What takes long to import and is imported before anything is done, while Ctrl-C loses nothing."""

    @abstractmethod
    def run(self) -> int:
        """Do it, show the result, and return the exit code."""

    def called_as(self, line: str) -> Self:
        """Return the verb as it is run, told the whole command as a shell takes it."""
        return self


def options_of(kind: type[Settings], around: Shown = Shown(group="options")) -> Iterator[Option]:
    """List the options of a verb, those of nested groups among them."""
    texts = _texts(kind)
    for name, field in kind.model_fields.items():
        if tyro.conf.Suppress in field.metadata or name in around.without:
            continue
        shown = next((mark for mark in field.metadata if isinstance(mark, Shown)), Shown())
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            yield from options_of(field.annotation, shown if shown.group else around)
        else:
            yield _option(name, field, shown, around, texts.get(name, ""))


def flags_of(kind: type[Settings]) -> set[str]:
    """List every spelling of a verb's options, the negations of its switches among them."""
    listed = [option for option in options_of(kind) if not option.is_positional]
    switches = {f"--no-{option.name[2:]}" for option in listed if not option.metavar}
    return {option.name for option in listed} | switches


def _option(name: str, field: FieldInfo, shown: Shown, around: Shown, text: str) -> Option:
    is_positional = tyro.conf.Positional in field.metadata
    default = shown.default
    if not default and not field.is_required() and field.default not in (None, (), "") and field.default is not False:
        default = str(field.default)
    choices = _metavar(field.annotation)
    return Option(
        name="--" + (shown.name or name).replace("_", "-"),
        metavar=shown.metavar or (name.upper() if is_positional else choices),
        choices=choices if choices.startswith("{") else "",
        text=f"{shown.text or text}{f'. {shown.details}' if around.whole and shown.details else ''}",
        details="" if around.whole else shown.details,
        default=default,
        group="arguments" if is_positional else shown.group or around.group,
        is_advanced=around.hides(name, shown),
        is_required=field.is_required(),
        is_positional=is_positional,
    )


def _metavar(annotation: Any) -> str:
    """Name what an option takes; "" for a switch."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "{" + ",".join(map(str, inner)) + "}"
    if origin in (Annotated, tuple):
        return _metavar(inner[0])
    if origin in (Union, types.UnionType):
        return _metavar(next(kind for kind in inner if kind is not type(None)))
    return "" if annotation is bool else _METAVARS.get(annotation, "VALUE")


@functools.cache
def _texts(kind: type[Settings]) -> dict[str, str]:
    """Read the docstrings of the fields of a class and of those that it extends."""
    found: dict[str, str] = {}
    for part in reversed(kind.__mro__):
        if not issubclass(part, Settings) or part is Settings:
            continue
        for field, text in itertools.pairwise(_bodies(part.__module__).get(part.__qualname__, ())):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                found[field.target.id] = _constant(text)
    return found


@functools.cache
def _bodies(module: str) -> dict[str, list[ast.stmt]]:
    """Read the bodies of a module's classes; none where it is installed without its source."""
    try:
        source = inspect.getsource(sys.modules[module])
    except OSError:
        return {}
    return {node.name: node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _constant(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""
