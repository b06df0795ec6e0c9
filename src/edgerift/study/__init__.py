"""Studies: grids of recipes from one file, and the document of their results."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.study._attack_choice import AttackChoice as AttackChoice
    from edgerift.study._attack_choice import SurrogatePlan as SurrogatePlan
    from edgerift.study._datafree_plan import DataFreePlan as DataFreePlan
    from edgerift.study._grid import Cell as Cell
    from edgerift.study._grid import make_cells as make_cells
    from edgerift.study._neighbours import DifferedPart as DifferedPart
    from edgerift.study._neighbours import FlippedPart as FlippedPart
    from edgerift.study._pairs import EpochPart as EpochPart
    from edgerift.study._pairs import ExamplePart as ExamplePart
    from edgerift.study._pairs import PairRecipe as PairRecipe
    from edgerift.study._pairs import PairReport as PairReport
    from edgerift.study._plan import Plan as Plan
    from edgerift.study._plan import StepState as StepState
    from edgerift.study._plan import make_plan as make_plan
    from edgerift.study._reading import StudyFile as StudyFile
    from edgerift.study._reading import open_study as open_study
    from edgerift.study._reading import read_study as read_study
    from edgerift.study._result import DataFreeCell as DataFreeCell
    from edgerift.study._result import FinishedCell as FinishedCell
    from edgerift.study._result import MissingCell as MissingCell
    from edgerift.study._result import PairCell as PairCell
    from edgerift.study._result import StudyResult as StudyResult
    from edgerift.study._result import TheftCell as TheftCell
    from edgerift.study._result import collect as collect
    from edgerift.study._result import known_cells as known_cells
    from edgerift.study._settings import DataChoice as DataChoice
    from edgerift.study._settings import EvasionPlan as EvasionPlan
    from edgerift.study._settings import NetworkChoice as NetworkChoice
    from edgerift.study._settings import Study as Study
    from edgerift.study._settings import TheftPlan as TheftPlan
    from edgerift.study._values import setting_values as setting_values
    from edgerift.study._yaml import profile_names as profile_names
else:
    __getattr__, __dir__, __all__ = exported(__name__)
