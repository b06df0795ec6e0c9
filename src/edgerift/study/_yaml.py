"""A study's file: YAML whose every value remembers its line, and profiles laid over the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import yaml

from edgerift.errors import RecipeError, unknown_name

PROFILES: Final = "profiles"

#: A study is a page of settings. PyYAML reads a megabyte in some ten seconds.
_MOST_BYTES: Final = 1_000_000
_SHOWN: Final = 40

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
            elif isinstance(inner, list) and isinstance(step, int):
                found = inner[step] if step < len(inner) else None
            elif isinstance(inner, list):
                # A list of names may stand for a mapping from them.
                found = next((item for item in inner if item.value == step), None)
            # A step may also be the tag of a union, which the file does not spell out.
            if isinstance(found, Node):
                return found.line_at(place[depth:])
        return self.line


def read_profile(path: Path, profile: str) -> Node:
    """Read a study's file and lay one of its profiles over the rest.

    A profile's mappings are laid over those of the rest key by key, and a null in it removes a key of the rest; every
    other value takes the place of the rest's. Values are read as YAML 1.2's core schema has them: `no` and dates are
    text, `1e-3` is a number, `010` is ten. Raises :class:`~edgerift.errors.RecipeError` with the line for a file that
    cannot be read, is no YAML mapping, names a key twice, has tags or aliases, or has no such profile.
    """
    whole = _parsed(path)
    profiles = _profiles(whole, path)
    if profile not in profiles.value:
        raise RecipeError(f"{path}:{profiles.line}: {unknown_name('profile', profile, profiles.value)}")
    chosen = profiles.value[profile]
    if chosen.value is None:
        chosen = Node({}, chosen.line)
    if not isinstance(chosen.value, dict):
        raise RecipeError(
            f"{path}:{chosen.line}: the profile '{profile}' is no mapping of settings; `{{}}` changes none"
        )
    rest = {key: node for key, node in whole.value.items() if key != PROFILES}
    return _laid_over(Node(rest, whole.line), chosen)


def profile_names(path: Path) -> tuple[str, ...]:
    """List the profiles of a study's file; raises what :func:`read_profile` raises."""
    return tuple(_profiles(_parsed(path), path).value)


def _profiles(whole: Node, path: Path) -> Node:
    found: Node = whole.value.get(PROFILES, Node(None, whole.line))
    if not isinstance(found.value, dict) or not found.value:
        raise RecipeError(f"{path}:{found.line}: a study needs profiles; write `profiles: {{small: {{}}}}`")
    return found


def _parsed(path: Path) -> Node:
    text = _text(path)
    try:
        root = yaml.compose(text, Loader=_CoreLoader)
        node = None if root is None else _Located(path).node(root)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        told = ", ".join(part for part in (error.context, error.problem) if part)
        raise RecipeError(f"{path}:{line}: this is not YAML: {told}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"U+{error.character:04X}" if isinstance(error.character, int) else error.character
        raise RecipeError(f"{path}:{line}: this is not YAML: it holds the character {character}; remove it") from None
    except RecursionError:
        raise RecipeError(f"{path}: its lists and mappings lie too deep in one another; a study needs few") from None
    if node is None or not isinstance(node.value, dict):
        raise RecipeError(f"{path}:1: a study is a mapping of settings; see `studies/` for examples")
    return node


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"cannot read the study {path} ({error.strerror}); give the path of a YAML file") from None
    if len(content) > _MOST_BYTES:
        raise RecipeError(f"the study {path} has more than {_MOST_BYTES:,} bytes; give a YAML file of settings")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RecipeError(f"the study {path} is not text in UTF-8; give a YAML file") from None


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


#: YAML 1.2's core schema: what each kind of plain text looks like, and how it is read. The underscores are Python's,
#: and numbers that are not finite are left out, since no setting is one.
_CORE: Final[Mapping[str, tuple[re.Pattern[str], Callable[[str], Any]]]] = {
    "tag:yaml.org,2002:null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), lambda _: None),
    "tag:yaml.org,2002:bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), lambda text: text[0] in "tT"),
    "tag:yaml.org,2002:int": (re.compile(r"(?:[-+]?\d+(?:_\d+)*|0o[0-7]+|0x[0-9a-fA-F]+)\Z", re.ASCII), _integer),
    "tag:yaml.org,2002:float": (re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?\Z", re.ASCII), float),
    "tag:yaml.org,2002:str": (re.compile(r""), str),
}


class _CoreLoader(yaml.SafeLoader):
    """Finds the kind of plain text by YAML 1.2's core schema, not by 1.1's, in which `no` is false and 1:30 is 90."""

    yaml_implicit_resolvers = {None: [(tag, pattern) for tag, (pattern, _) in _CORE.items()]}  # noqa: RUF012


@final
class _Located:
    """Turns what PyYAML composed into nodes, and refuses what a file of settings has no need of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: set[int] = set()

    def node(self, node: yaml.Node) -> Node:
        line = node.start_mark.line + 1
        if id(node) in self._seen:
            # A few of them could stand for more values than fit into memory.
            raise self._refused(line, "this value is used again through an alias (*); write it out each time")
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            self._require_tag(node, "tag:yaml.org,2002:seq")
            return Node([self.node(item) for item in node.value], line)
        if isinstance(node, yaml.MappingNode):
            self._require_tag(node, "tag:yaml.org,2002:map")
            return Node(self._mapping(node), line)
        self._require_tag(node, *_CORE)
        pattern, read = _CORE[node.tag]
        try:
            if not pattern.match(node.value):
                raise ValueError
            return Node(read(node.value), line)
        except ValueError:
            shown = node.value if len(node.value) <= _SHOWN else f"{node.value[: _SHOWN - 1]}…"
            raise self._refused(line, f"'{shown}' is no {node.tag.rsplit(':', 1)[-1]} that can be read") from None

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refused(line, "a key is a list or a mapping; write plain text")
            self.node(key_node)
            key = key_node.value
            if key in found:
                raise self._refused(line, f"'{key}' is given twice; keep one of them")
            # The line of the key: that of a mapping or a list would be where its first item stands.
            found[key] = Node(self.node(value_node).value, line)
        return found

    def _require_tag(self, node: yaml.Node, *tags: str) -> None:
        if node.tag not in tags:
            shown = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._refused(node.start_mark.line + 1, f"the tag {shown} is not read; write the value without a tag")

    def _refused(self, line: int, told: str) -> RecipeError:
        return RecipeError(f"{self._path}:{line}: {told}")


def _laid_over(below: Node, above: Node) -> Node:
    if not (isinstance(below.value, dict) and isinstance(above.value, dict)):
        return above
    joined = dict(below.value)
    for key, node in above.value.items():
        if key not in joined:
            joined[key] = node
        elif node.value is None:
            del joined[key]
        else:
            joined[key] = _laid_over(joined[key], node)
    return Node(joined, below.line)
