"""The models that steer an attacker who lacks the true ones, from the folder of the step that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift import zoo
from edgerift.deploy import Program, folded, twin
from edgerift.evade._pair import Steering
from edgerift.zoo import frozen_copy

#: What stands for the original.
SURROGATE_ORIGINAL: Final = "original.safetensors"
#: What stands for the build; where it is missing, the attacker has the build's own twin.
SURROGATE_PROGRAM: Final = "program.safetensors"


def surrogate_steering(folder: Path, known: Steering) -> Steering:
    """Open the surrogates in a folder; what steers in the build's place is that of `known` where they have none."""
    original = folded(frozen_copy(zoo.load(folder / SURROGATE_ORIGINAL, trust=True)))
    path = folder / SURROGATE_PROGRAM
    adapted = (twin(Program.load(path)),) if path.is_file() else known.adapted
    return Steering(original, adapted)
