"""The files of a folder that `edgerift adapt` writes."""

from typing import Final

ORIGINAL: Final = "original.safetensors"
PROGRAM: Final = "program.safetensors"
RECIPE: Final = "recipe.json"
STATEMENT: Final = "statement.json"
