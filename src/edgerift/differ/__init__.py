"""Differential testing: images on which an original and its build answer differently, without labels."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.differ._coverage import NeuronCoverage as NeuronCoverage
    from edgerift.differ._differences import Differences as Differences
    from edgerift.differ._differences import DifferPart as DifferPart
    from edgerift.differ._recipe import DifferFinding as DifferFinding
    from edgerift.differ._recipe import DifferRecipe as DifferRecipe
    from edgerift.differ._recipe import DifferReport as DifferReport
    from edgerift.differ._search import differ as differ
    from edgerift.differ._search import differ_at_random as differ_at_random
    from edgerift.differ._settings import DifferSettings as DifferSettings
else:
    __getattr__, __dir__, __all__ = exported(__name__)
