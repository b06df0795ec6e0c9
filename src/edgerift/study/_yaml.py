"""A study's file: YAML whose every value remembers its line, and profiles laid over the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from edgerift.errors import RecipeError, unknown_name

PROFILES: Final = "profiles"

#: Where a value stands: the keys and places that lead to it.
Place: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """A value of the file and its line, from 1; a mapping's and a list's values are nodes."""

    value: Any
    line: int

    def plain(self) -> Any:
        """Give the value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def line_at(self, place: Place) -> int:
        """Name the line of the value at a place, or of the innermost one around it that the file has."""
        inner = self.value
        for depth, step in enumerate(place, 1):
            found = None
            if isinstance(inner, dict):
                found = inner.get(str(step))
            elif isinstance(inner, list) and isinstance(step, int) and step < len(inner):
                found = inner[step]
            # A step may also be the tag of a union, which the file does not spell out.
            if isinstance(found, Node):
                return found.line_at(place[depth:])
        return self.line


def read_profile(path: Path, profile: str) -> Node:
    """Read a study's file and lay one of its profiles over the rest.

    A profile's mappings are laid over those of the rest key by key, and a null in it removes a key; every other value
    takes the place of the rest's. Raises :class:`~edgerift.errors.RecipeError` with the line for a file that cannot be
    read, is no YAML mapping, names a key twice or has no such profile.
    """
    whole = _parsed(path)
    profiles = whole.value.pop(PROFILES, Node({}, whole.line))
    if not isinstance(profiles.value, dict) or not profiles.value:
        raise RecipeError(f"{path}:{profiles.line}: a study needs profiles; write `profiles: {{small: {{}}}}`")
    if profile not in profiles.value:
        raise RecipeError(f"{path}:{profiles.line}: {unknown_name('profile', profile, profiles.value)}")
    chosen = profiles.value[profile]
    return whole if chosen.value is None else _laid_over(whole, chosen)


def profile_names(path: Path) -> tuple[str, ...]:
    """List the profiles of a study's file; raises what :func:`read_profile` raises."""
    profiles = _parsed(path).value.get(PROFILES)
    return tuple(profiles.value) if profiles is not None and isinstance(profiles.value, dict) else ()


def _parsed(path: Path) -> Node:
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise RecipeError(f"cannot read the study {path} ({error.strerror}); give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise RecipeError(f"the study {path} is not text in UTF-8; give a YAML file") from None
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        raise RecipeError(f"{path}:{line}: this is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise RecipeError(f"{path}: this is not YAML: {' '.join(str(error).split())}") from None
    node = None if root is None else _located(root, path)
    if node is None or not isinstance(node.value, dict):
        raise RecipeError(f"{path}:1: a study is a mapping of settings; see `studies/` for examples")
    return node


def _located(node: yaml.Node, path: Path) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return Node([_located(item, path) for item in node.value], line)
    if not isinstance(node, yaml.MappingNode):
        return Node(yaml.SafeLoader("").construct_object(node), line)
    found: dict[str, Node] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in found:
            raise RecipeError(f"{path}:{key_node.start_mark.line + 1}: '{key}' is given twice; keep one of them")
        value = _located(value_node, path)
        # The line of the key: that of a mapping or a list would be where its first item stands.
        found[key] = Node(value.value, key_node.start_mark.line + 1)
    return Node(found, line)


def _laid_over(below: Node, above: Node) -> Node:
    if not (isinstance(below.value, Mapping) and isinstance(above.value, Mapping)):
        return above
    joined = dict(below.value)
    for key, node in above.value.items():
        if node.value is None:
            joined.pop(key, None)
        else:
            joined[key] = _laid_over(joined[key], node) if key in joined else node
    return Node(joined, below.line)
