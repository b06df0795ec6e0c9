"""The cost and the gain of hardening a build against model extraction: victims of one original, each attacked."""

from edgerift.harden._answers import TunedAnswers as TunedAnswers
from edgerift.harden._datafree import DataFreeHardenRecipe as DataFreeHardenRecipe
from edgerift.harden._datafree_document import DataFreeComparison as DataFreeComparison
from edgerift.harden._datafree_document import DataFreeEntry as DataFreeEntry
from edgerift.harden._datafree_document import best_epsilon as best_epsilon
from edgerift.harden._datafree_document import published_epsilon as published_epsilon
from edgerift.harden._defending import Defending as Defending
from edgerift.harden._defending import DefendPoint as DefendPoint
from edgerift.harden._document import AlphaPoint as AlphaPoint
from edgerift.harden._document import ClosedFormPart as ClosedFormPart
from edgerift.harden._document import Hardening as Hardening
from edgerift.harden._document import PaperRow as PaperRow
from edgerift.harden._document import StudentPoint as StudentPoint
from edgerift.harden._document import Thieves as Thieves
from edgerift.harden._document import TimesPart as TimesPart
from edgerift.harden._document import VictimPart as VictimPart
from edgerift.harden._paper import paper_clone_error as paper_clone_error
from edgerift.harden._paper import paper_row as paper_row
from edgerift.harden._recipe import HardenRecipe as HardenRecipe
from edgerift.harden._rows import PAPER_ROWS as PAPER_ROWS
from edgerift.harden._rows import Row as Row
from edgerift.harden._rows import RowName as RowName
from edgerift.harden._rows import Victims as Victims
from edgerift.harden._rows import make_row as make_row
from edgerift.harden._sweeping import sweep_defences as sweep_defences
