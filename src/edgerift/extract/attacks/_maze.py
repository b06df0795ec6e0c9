"""Kariyappa et al., "MAZE", CVPR 2021, https://arxiv.org/abs/2005.03161, by its authors' code and by that of DFME."""

from typing import Any, Final

from edgerift.extract._difference_settings import Differences
from edgerift.extract._parts import Descent, Rehearsal
from edgerift.extract._published import DATA_FREE, Published

_BOTH: Final[dict[str, Any]] = {"loss": "kl", "batch_size": 128, "differences": Differences(directions=10)}

DATA_FREE.register(
    "maze",
    Published(
        title="MAZE",
        about="KL divergence, ten directions, replay; with `positives` it is MAZE-PD",
        settings={
            **_BOTH,
            "latent": 100,
            "affine": True,
            "reuse": True,
            "rehearsal": Rehearsal(steps=10, capacity=100_000, adds="last"),
            "generator": Descent(learning_rate=1e-3, schedule="cosine"),
            "clone": Descent(schedule="cosine"),
        },
    ),
    rank=2,
)
DATA_FREE.register(
    "maze-dfme",
    Published(
        title="MAZE, DFME's code",
        about="MAZE as in the code of DFME and the tables of the DivQAT paper: no replay, generator loss summed over "
        "the batch",
        settings={**_BOTH, "summed": True, "generator": Descent(learning_rate=1e-4)},
    ),
    rank=3,
)
