"""Rosenthal et al., "DisGUIDE: Disagreement-Guided Data-Free Model Extraction", AAAI 2023."""

from typing import Any, Final

from edgerift.extract._parts import Descent, Rehearsal
from edgerift.extract._published import DATA_FREE, Published

_SETTINGS: Final[dict[str, Any]] = {
    "student": "resnet18",
    "clones": 2,
    "clone_steps": 1,
    "diversity": 0.2,
    "grey": 8,
    "generator_mode": "eval",
    "rehearsal": Rehearsal(steps=3, capacity=1_000_000),
    "generator": Descent(optimizer="adam", learning_rate=1e-4, milestones=(0.4, 0.8)),
    "clone": Descent(learning_rate=0.03, milestones=(0.4, 0.8)),
}

DATA_FREE.register(
    "disguide",
    Published(
        title="DisGUIDE",
        about="two clones, queried where they disagree; needs no gradient of the victim that rounding could mask",
        settings=_SETTINGS,
    ),
    rank=4,
)
DATA_FREE.register(
    "disguide-hard",
    Published(
        title="DisGUIDE, labels alone",
        about="disguide with top-1 labels only",
        settings={**_SETTINGS, "loss": "cross-entropy"},
    ),
    rank=5,
)
