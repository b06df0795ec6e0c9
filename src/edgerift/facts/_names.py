"""The names of victims and attacks, and those that the papers report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgerift import adapt
from edgerift.extract import DATA_FREE

#: The adaptations of an original.
ADAPTATIONS: Final[Mapping[str, str]] = {name: made.title for name, made in adapt.ADAPTATIONS.items()}
#: Those that stay in float.
FLOATS: Final = tuple(name for name in ADAPTATIONS if name not in adapt.QUANTIZED)
#: The victim of an attack that is the original itself.
ORIGINAL_VICTIM: Final = "original"
#: The baseline of the hardened victims.
PLAIN: Final = "qat"
#: The names of the data-free attacks in tables and figures.
ATTACKS: Final[Mapping[str, str]] = {name: attack.title for name, attack in DATA_FREE.items()}
#: The attacks of the DivQAT paper's table III, by its columns: what it calls MAZE is what DFME's code runs.
PAPER_ATTACKS: Final[Mapping[str, str]] = {"DFME": "dfme", "MAZE": "maze-dfme"}


def joint(victim: str) -> bool:
    """Whether a victim has a defence of the training and one of the answers."""
    return "+" in victim
