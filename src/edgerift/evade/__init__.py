"""The search for adversarial images that the original gets right and the shipped build gets wrong."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.evade._attack import Attack as Attack
    from edgerift.evade._control import FloatBuild as FloatBuild
    from edgerift.evade._control import float_pair as float_pair
    from edgerift.evade._curve import Curve as Curve
    from edgerift.evade._curve import curve as curve
    from edgerift.evade._disagreement import Disagreement as Disagreement
    from edgerift.evade._embedding import Embedding as Embedding
    from edgerift.evade._embedding import embedding as embedding
    from edgerift.evade._evasion import Dropped as Dropped
    from edgerift.evade._evasion import Evasion as Evasion
    from edgerift.evade._files import png_bytes as png_bytes
    from edgerift.evade._files import read_png as read_png
    from edgerift.evade._grey_levels import GreyLevels as GreyLevels
    from edgerift.evade._judge import is_beyond_top5 as is_beyond_top5
    from edgerift.evade._judge import is_evasive as is_evasive
    from edgerift.evade._judgement import Judgement as Judgement
    from edgerift.evade._judgement import judge as judge
    from edgerift.evade._layer_ranking import LayerEffect as LayerEffect
    from edgerift.evade._layer_ranking import rank_layers as rank_layers
    from edgerift.evade._members import members as members
    from edgerift.evade._objective import Custom as Custom
    from edgerift.evade._objective import Objective as Objective
    from edgerift.evade._own_attack import OwnAttack as OwnAttack
    from edgerift.evade._own_attack import describe_own as describe_own
    from edgerift.evade._own_attack import is_own as is_own
    from edgerift.evade._own_run import Attacked as Attacked
    from edgerift.evade._own_run import own_attack as own_attack
    from edgerift.evade._pair import Fleet as Fleet
    from edgerift.evade._pair import Pair as Pair
    from edgerift.evade._pair import Steering as Steering
    from edgerift.evade._pair import Victim as Victim
    from edgerift.evade._pair_settings import PairSettings as PairSettings
    from edgerift.evade._presets import preset as preset
    from edgerift.evade._presets import presets as presets
    from edgerift.evade._queried import QueriedModule as QueriedModule
    from edgerift.evade._random_search import random_search as random_search
    from edgerift.evade._recipe import EvadeRecipe as EvadeRecipe
    from edgerift.evade._recipe import EvadeShard as EvadeShard
    from edgerift.evade._recipe import SelectRecipe as SelectRecipe
    from edgerift.evade._recipe import drawn as drawn
    from edgerift.evade._search import search as search
    from edgerift.evade._search import search_selected as search_selected
    from edgerift.evade._search import select as select
    from edgerift.evade._selection import AttackedSplit as AttackedSplit
    from edgerift.evade._selection import Selection as Selection
    from edgerift.evade._selection import eligible as eligible
    from edgerift.evade._surrogates import SURROGATE_ORIGINAL as SURROGATE_ORIGINAL
    from edgerift.evade._surrogates import SURROGATE_PROGRAM as SURROGATE_PROGRAM
    from edgerift.evade._surrogates import surrogate_steering as surrogate_steering
    from edgerift.evade.objectives._build_alone import CrossEntropy as CrossEntropy
    from edgerift.evade.objectives._build_alone import Margin as Margin
    from edgerift.evade.objectives._diva import Diva as Diva
    from edgerift.evade.objectives._diva import TargetedDiva as TargetedDiva
    from edgerift.evade.objectives._pair_margin import PairMargin as PairMargin
    from edgerift.measure import margin as margin
else:
    __getattr__, __dir__, __all__ = exported(__name__)
