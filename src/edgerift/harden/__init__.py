"""What hardening a build against theft costs and buys: variants of one original side by side, each of them stolen."""

from edgerift.harden._answers import TunedAnswersRecipe as TunedAnswersRecipe
from edgerift.harden._datafree import DataFreeHardenRecipe as DataFreeHardenRecipe
from edgerift.harden._datafree_document import DataFreeComparison as DataFreeComparison
from edgerift.harden._datafree_document import DataFreeEntry as DataFreeEntry
from edgerift.harden._datafree_document import best_epsilon as best_epsilon
from edgerift.harden._datafree_document import published_epsilon as published_epsilon
from edgerift.harden._defending import Defending as Defending
from edgerift.harden._defending import DefendPoint as DefendPoint
from edgerift.harden._document import AlphaPoint as AlphaPoint
from edgerift.harden._document import Hardening as Hardening
from edgerift.harden._document import PaperRow as PaperRow
from edgerift.harden._document import Thieves as Thieves
from edgerift.harden._document import TimesPart as TimesPart
from edgerift.harden._document import VariantPart as VariantPart
from edgerift.harden._paper import paper_clone_error as paper_clone_error
from edgerift.harden._paper import paper_row as paper_row
from edgerift.harden._recipe import HardenRecipe as HardenRecipe
from edgerift.harden._sweeping import sweep_defences as sweep_defences
from edgerift.harden._variant import VARIANTS as VARIANTS
from edgerift.harden._variant import Look as Look
from edgerift.harden._variant import Variant as Variant
from edgerift.harden._variant import VariantName as VariantName
from edgerift.harden._variant import variant_of as variant_of
from edgerift.harden._variants import PAPER_VARIANTS as PAPER_VARIANTS
from edgerift.harden._variants import MadeVariant as MadeVariant
from edgerift.harden._variants import VariantMaker as VariantMaker
