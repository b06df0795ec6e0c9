"""Bit flips in the stored weights of a build: how few destroy it, and which."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.flips._flip import BITS as BITS
    from edgerift.flips._flip import Flip as Flip
    from edgerift.flips._flip import code_changes as code_changes
    from edgerift.flips._flip import flipped as flipped
    from edgerift.flips._flip import random_flips as random_flips
    from edgerift.flips._recipe import FlipsRecipe as FlipsRecipe
    from edgerift.flips._report import FlipsReport as FlipsReport
    from edgerift.flips._report import LayerPart as LayerPart
    from edgerift.flips._report import RandomPart as RandomPart
    from edgerift.flips._report import TrialPart as TrialPart
    from edgerift.flips._search import Found as Found
    from edgerift.flips._search import search_bits as search_bits
    from edgerift.flips._settings import FlipSettings as FlipSettings
else:
    __getattr__, __dir__, __all__ = exported(__name__)
