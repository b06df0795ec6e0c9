"""A finished result's folder: its recipe, its seal, and their errors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from edgerift.steps._recipe import Recipe
from edgerift.steps._seal import DamageError, Digests, altered_file, digest_files, missing_file, read_seal

RECIPE_FILE: Final = "recipe.json"


def name_of(recipe: Recipe) -> str:
    """Return the name of a recipe's result folder."""
    return f"{recipe.type}-{recipe.digest()}"


def recipe_text(recipe: Recipe) -> str:
    """Write the recipe as its result's folder has it."""
    return recipe.canonical_json() + "\n"


def require_own(folder: Path, recipe: Recipe) -> None:
    """Check that a folder is the recipe's, and that no file of it is missing; raises `DamageError`."""
    if _recipe(folder) != recipe_text(recipe).encode():
        raise _not_its_own()
    require_whole(folder)


def require_named(folder: Path) -> None:
    """Check that the recipe in a folder is the one that it is named after; raises `DamageError`."""
    digest = hashlib.sha256(_recipe(folder).removesuffix(b"\n")).hexdigest()
    named = folder.name.rpartition("-")[2]
    if not named or not digest.startswith(named):
        raise _not_its_own()


def require_whole(folder: Path) -> None:
    """Check that all sealed files exist, without reading them; raises `DamageError`."""
    digests = read_seal(folder)
    missing = None if digests is None else missing_file(folder, digests)
    if missing is not None:
        raise DamageError(f"lacks {_shown(missing)}")


def require_unaltered(folder: Path, digests: Digests) -> None:
    """Check that the sealed files are unchanged; raises `DamageError`."""
    altered = altered_file(folder, digests)
    if altered is not None:
        raise DamageError(f"is damaged: {_shown(altered)} has changed since it was written")


def examined(folder: Path, recipe: Recipe) -> tuple[Digests, bool]:
    """Compare a folder's files with its seal and with what the recipe names by its SHA-256.

    Returns the digests of all files, and whether there is a seal. Raises `DamageError`.
    """
    sealed = read_seal(folder)
    if sealed is not None:
        require_unaltered(folder, sealed)
    digests = digest_files(folder) if sealed is None else sealed
    for name, digest in recipe.named_files().items():
        if digests.get(name) != digest:
            raise DamageError(f"is damaged: {name} is not the file that its recipe names")
    return digests, sealed is not None


def _shown(name: str) -> str:
    """Write a file's name in one line."""
    return name if name.isprintable() else repr(name)


def _recipe(folder: Path) -> bytes:
    try:
        return (folder / RECIPE_FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise DamageError(f"has no {RECIPE_FILE}") from None


def _not_its_own() -> DamageError:
    return DamageError(f"has a {RECIPE_FILE} that is not its own")
