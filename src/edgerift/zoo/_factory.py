"""Factories of users: a function by the name of its module or the path of its file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

from edgerift.errors import ModelError, unknown_name, users_code
from edgerift.settings import is_file as is_regular

_FILE = ".py"
#: What factories call the number of classes.
_CLASSES: Final = ("classes", "num_classes", "n_classes", "nclasses", "class_count", "num_labels", "num_outputs")
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BY_PLACE: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


def is_file(name: str) -> bool:
    """Return whether a user's own name is `path/file.py:factory`, and not `module:factory`."""
    return name.rpartition(":")[0].endswith(_FILE)


def call_factory(name: str, classes: int) -> object:
    """Call what a name says: with the number of classes, or with nothing where it takes no such number."""
    factory = find_factory(name)
    keyword = _takes_classes(factory)
    given = "" if keyword is None else str(classes)
    with users_code(f"factory '{name}'", f"as factory({given}), with the number of classes, for an nn.Module"):
        if keyword is None:
            return factory()
        return factory(**{keyword: classes}) if keyword else factory(classes)


def _takes_classes(factory: Callable[..., object]) -> str | None:
    """Return the keyword for the number of classes, "" where it is the first argument, None where there is none."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):  # Of what is not written in Python.
        return ""
    named = next((one.name for one in parameters if one.name in _CLASSES and one.kind in _BY_NAME), None)
    if named is not None:
        return named
    positional = [one for one in parameters if one.kind in _BY_PLACE]
    # A first argument of another name may be anything, but one without a default has to be given.
    return "" if positional and positional[0].default is inspect.Parameter.empty else None


def find_factory(name: str) -> Callable[..., object]:
    """Import what `module:factory` or `path/file.py:factory` names; raises `ModelError` where there is none."""
    return find_function(name, "factory", "factory(classes) -> nn.Module")


def find_function(name: str, kind: str, call: str) -> Callable[..., object]:
    """Import a user's own function by `module:function` or `path/file.py:function`, which runs its module's code.

    `kind` is what such a function is called in errors, `call` how edgerift calls it. Raises `ModelError` where there is
    none.
    """
    place, _, attribute = name.rpartition(":")
    module = _from_file(Path(place), name, kind) if is_file(name) else _from_name(place, name, kind)
    try:
        function = getattr(module, attribute)
    except AttributeError:
        offered = [key for key in vars(module) if not key.startswith("_")]
        raise ModelError(unknown_name(f"{kind} of module {place}", attribute, offered)) from None
    if not callable(function):
        raise ModelError(f"'{name}' is a {type(function).__name__}; it has to be a function: {call}")
    made: Callable[..., object] = function
    return made


def source_file(name: str) -> Path | None:
    """Find the file of a user's own `module:function` or `path/file.py:function` without running any code of it."""
    place = name.rpartition(":")[0]
    if is_file(name):
        return Path(place) if Path(place).is_file() else None
    folders, spec = None, None
    parts = place.split(".")
    for depth in range(len(parts)):
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: depth + 1]), folders)
        if spec is None:
            return None
        folders = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    return Path(spec.origin) if spec is not None and spec.origin and Path(spec.origin).is_file() else None


def _from_name(module: str, name: str, kind: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:  # A user's module runs when it is imported, and may raise anything.
        raise ModelError(
            f"module '{module}' of '{name}' cannot be imported ({_told(error)}); write module:{kind} or "
            f"path/file.py:{kind}, and install the module or put its folder on PYTHONPATH"
        ) from error


def _from_file(path: Path, name: str, kind: str) -> ModuleType:
    if not is_regular(path):
        raise ModelError(f"no file at {path} for '{name}'; write path/file.py:{kind}, or module:{kind}")
    # Under the stem of the file, it would hide a module of that name, and be confused with other files of that name.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    spec = importlib.util.spec_from_file_location(f"edgerift_file_{path.stem}_{digest}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        with _registered(module), _beside(path):
            spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"{path} of '{name}' cannot be imported ({_told(error)}); mend it there") from error
    return module


@contextmanager
def _registered(module: ModuleType) -> Iterator[None]:
    """Let a module be found by its name while it runs, and afterwards unless it failed."""
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        yield
    except BaseException:
        del sys.modules[module.__name__]
        if before is not None:
            sys.modules[module.__name__] = before
        raise


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let a file import its siblings, as when it is run by its path."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _told(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return first if isinstance(error, ImportError) else f"{type(error).__name__}: {first}"
