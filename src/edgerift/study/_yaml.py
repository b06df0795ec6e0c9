"""A study's file: profiles override the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift.errors import RecipeError, unknown_name
from edgerift.settings import LARGEST_YAML, Document, Node, read_yaml

PROFILES: Final = "profiles"


def document(path: Path) -> Document:
    """Describe a study's file for errors."""
    return Document(path, "study", "give the path of a YAML file", RecipeError, LARGEST_YAML)


def read_profile(path: Path, profile: str) -> Node:
    """Read a study's file and apply one of its profiles.

    A profile's mappings are merged into those of the rest key by key, and a null removes a key of the rest; any other
    value replaces the rest's. Values follow YAML 1.2's core schema: `no` and dates are text, `1e-3` is a number, `010`
    is ten. Raises :class:`~edgerift.errors.RecipeError` with the line for a file that cannot be read, is no YAML
    mapping, names a key twice, has tags or aliases, or has no such profile.
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
    return read_yaml(document(path), "see `studies/` for examples")


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
