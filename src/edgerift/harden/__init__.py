"""The cost and the gain of hardening a build against model extraction: variants of one original, each attacked."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.harden._answers import TunedAnswersRecipe as TunedAnswersRecipe
    from edgerift.harden._datafree import DataFreeHardenRecipe as DataFreeHardenRecipe
    from edgerift.harden._datafree_document import DataFreeComparison as DataFreeComparison
    from edgerift.harden._datafree_document import DataFreeEntry as DataFreeEntry
    from edgerift.harden._datafree_document import best_epsilon as best_epsilon
    from edgerift.harden._datafree_document import published_epsilon as published_epsilon
    from edgerift.harden._defending import Defending as Defending
    from edgerift.harden._defending import DefendPoint as DefendPoint
    from edgerift.harden._document import AlphaPoint as AlphaPoint
    from edgerift.harden._document import BestEpochs as BestEpochs
    from edgerift.harden._document import ClosedFormPart as ClosedFormPart
    from edgerift.harden._document import DataPart as DataPart
    from edgerift.harden._document import Hardening as Hardening
    from edgerift.harden._document import NoisePart as NoisePart
    from edgerift.harden._document import PaperRow as PaperRow
    from edgerift.harden._document import StudentPoint as StudentPoint
    from edgerift.harden._document import ThiefPart as ThiefPart
    from edgerift.harden._document import Thieves as Thieves
    from edgerift.harden._document import TimesPart as TimesPart
    from edgerift.harden._document import VariantPart as VariantPart
    from edgerift.harden._evasion import EvasionHardenRecipe as EvasionHardenRecipe
    from edgerift.harden._evasion_document import ChoicePart as ChoicePart
    from edgerift.harden._evasion_document import EvasionHardening as EvasionHardening
    from edgerift.harden._evasion_document import MeansPart as MeansPart
    from edgerift.harden._evasion_document import ReachPart as ReachPart
    from edgerift.harden._evasion_document import TrialPart as TrialPart
    from edgerift.harden._means import DEFAULT_COVERAGE as DEFAULT_COVERAGE
    from edgerift.harden._means import DEFAULT_MEANS as DEFAULT_MEANS
    from edgerift.harden._means import MEANS as MEANS
    from edgerift.harden._means import Means as Means
    from edgerift.harden._means import MeansName as MeansName
    from edgerift.harden._misleading import MisleadingRecipe as MisleadingRecipe
    from edgerift.harden._paper import paper_clone_error as paper_clone_error
    from edgerift.harden._paper import paper_name as paper_name
    from edgerift.harden._paper import paper_row as paper_row
    from edgerift.harden._recipe import HardenRecipe as HardenRecipe
    from edgerift.harden._sweeping import sweep_defences as sweep_defences
    from edgerift.harden._trial import TrialRecipe as TrialRecipe
    from edgerift.harden._variant import DEFAULT_VARIANTS as DEFAULT_VARIANTS
    from edgerift.harden._variant import PAPER_ANSWERS as PAPER_ANSWERS
    from edgerift.harden._variant import PAPER_VARIANTS as PAPER_VARIANTS
    from edgerift.harden._variant import VARIANTS as VARIANTS
    from edgerift.harden._variant import Look as Look
    from edgerift.harden._variant import Variant as Variant
    from edgerift.harden._variant import VariantName as VariantName
    from edgerift.harden._variant import variant_of as variant_of
    from edgerift.harden._variants import MadeVariant as MadeVariant
    from edgerift.harden._variants import VariantMaker as VariantMaker
else:
    __getattr__, __dir__, __all__ = exported(__name__)
