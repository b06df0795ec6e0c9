"""The settings of a search for bit flips."""

from __future__ import annotations

from pydantic import Field

from edgerift.settings import ClassNumber, Count, Seed, Settings, is_none


class FlipSettings(Settings):
    """Progressive bit search (Rakin, He and Fan 2019, arXiv:1903.12269) on the stored int8 weights.

    In every round the gradient of the loss by the codes ranks all bits, the best `candidates` of each layer are tried,
    and the one that raises the loss most is kept, until the build is at chance or `flips` are reached. With a
    `target_class` the loss is that of answering this class, and the goal that the share `reach` of the other classes'
    images gets it. The loss is that of `images` training images. `trials` searches draw different ones, from `seed` on.

    The attacker can write single bits of the weights in memory or in the file. Scales, biases and code are not flipped.
    """

    flips: Count = 50
    candidates: Count = 5
    images: Count = 128
    target_class: ClassNumber | None = Field(default=None, exclude_if=is_none)
    reach: float = Field(default=0.9, gt=0, le=1)
    trials: Count = 3
    seed: Seed = 0
