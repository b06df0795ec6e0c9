"""YAML with the line of every value: the subset that settings files need."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar, final

import yaml

from edgerift.errors import EdgeriftError, first_line
from edgerift.settings._documents import Document
from edgerift.settings._settings import Settings
from edgerift.settings._wording import problems

#: A file of settings is a page. PyYAML reads a megabyte in some ten seconds.
LARGEST_YAML: Final = 1_000_000
_SHOWN: Final = 40
_SHOWN_PROBLEMS: Final = 5

#: The place of a value: the keys and indices that lead to it.
Place: TypeAlias = tuple[str | int, ...]

_Values = TypeVar("_Values", bound=Settings)


@dataclass(frozen=True)
class Node:
    """A value of the file and its line, from 1; a mapping's and a list's values are nodes."""

    value: Any
    line: int

    def plain(self) -> Any:
        """Return the value without its lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def line_at(self, place: Place) -> int:
        """Return the line of the value at a place, or of the innermost enclosing one in the file."""
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


def read_yaml(document: Document, example: str) -> Node:
    """Read a mapping of settings; `example` is shown in the error for any other file.

    Values follow YAML 1.2's core schema: `no` and dates are text, `1e-3` is a number, `010` is ten. Raises the
    document's error with the line for a file that cannot be read, is no YAML mapping, names a key twice, or has tags or
    aliases.
    """
    text = _text(document)
    try:
        root = yaml.compose(text, Loader=_CoreLoader)
        node = None if root is None else _Located(document).node(root)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 1
        told = ", ".join(part for part in (error.context, error.problem) if part)
        raise _refused(document, line, f"this is not YAML: {told}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"U+{error.character:04X}" if isinstance(error.character, int) else error.character
        told = f"this is not YAML: it holds the character {character}; remove it"
        raise _refused(document, line, told) from None
    except (ValueError, OverflowError) as error:
        # PyYAML's scanner does not look whether an escape such as "\UFFFFFFFF" is a character.
        raise document.error(f"{document.path}: this is not YAML: {first_line(error)}") from None
    except RecursionError:
        told = f"its lists and mappings are nested too deeply; a {document.kind} needs few levels"
        raise document.error(f"{document.path}: {told}") from None
    if node is None or not isinstance(node.value, dict):
        raise _refused(document, 1, f"a {document.kind} is a mapping of settings; {example}")
    return node


def settings_of(tree: Node, kind: type[_Values], document: Document) -> _Values:
    """Make settings of a file's values; raises the document's error, with the line of each that is not allowed."""
    content = tree.plain()
    found = problems(kind, content)
    if found:
        told = [f"{document.path}:{tree.line_at(problem.place)}: {problem.text}" for problem in found[:_SHOWN_PROBLEMS]]
        more = len(found) - len(told)
        raise document.error("; ".join(told) + (f"; and {more} more" if more else ""))
    return kind.model_validate(content)


def _text(document: Document) -> str:
    try:
        return document.content().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise document.error(f"the {document.kind} {document.path} is not text in UTF-8; {document.advice}") from None


def _refused(document: Document, line: int, told: str) -> EdgeriftError:
    return document.error(f"{document.path}:{line}: {told}")


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

    def __init__(self, document: Document) -> None:
        self._document = document
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
            # An escape such as "\ud800" is half a character, which no file and no terminal takes.
            node.value.encode()
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

    def _refused(self, line: int, told: str) -> EdgeriftError:
        return _refused(self._document, line, told)
