"""The files of a folder that `edgerift adapt` writes: their names, and what is read of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift import adapt, report
from edgerift.errors import InputError
from edgerift.settings import Document, is_file

ORIGINAL: Final = "original.safetensors"
PROGRAM: Final = "program.safetensors"
RECIPE: Final = "recipe.json"
STATEMENT: Final = "statement.json"
#: The float model that was quantized, if the original was pruned or distilled before.
COMPRESSED: Final = "compressed.safetensors"


def read_recipe(path: Path) -> adapt.AdaptRecipe:
    """Read the recipe of a quantization; raises :class:`~edgerift.errors.InputError` for a file that is none."""
    return Document(path, "recipe of a quantization", "`edgerift adapt --out DIR` writes DIR/recipe.json").settings(
        adapt.AdaptRecipe
    )


def read_card(path: Path, remedy: str) -> report.Card:
    """Read the card; raises :class:`~edgerift.errors.InputError` with the remedy for a file that is none."""
    return Document(path, "card", remedy).settings(report.Card)


def seed_of(path: Path, option: str = "--seed") -> int:
    """Read the seed of the card, so that no image of the training is measured.

    Raises :class:`~edgerift.errors.InputError` without a card, which names the option that takes the seed.
    """
    remedy = f"pass {option} as `edgerift adapt` had --seed"
    if not is_file(path):
        raise InputError(f"no {path}, which says how the test images were drawn; {remedy}")
    return read_card(path, remedy).seed
