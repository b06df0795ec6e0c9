"""Defences of a deployed build: perturbed answers against theft, and a guard that abstains against evasion.

A perturbation is a frozen description, registered by the module that defines it, and a function from answers
float32 `[N,K]` (rows of probabilities) to perturbed ones; one that sees the images takes them too. Each row is
perturbed on its own and deterministically: the same answer to the same image is always perturbed in the same way.
`keeps_argmax` says whether the top-1 label is guaranteed to stay the same. A :class:`Guard` is a threshold on a build's
own scores, calibrated on its answers to validation images.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.defend._answer_defence import DEFENCES as DEFENCES
    from edgerift.defend._answer_defence import AnswerDefence as AnswerDefence
    from edgerift.defend._answer_defence import SeeingDefence as SeeingDefence
    from edgerift.defend._defence import Defence as Defence
    from edgerift.defend._defence import checked_chain as checked_chain
    from edgerift.defend._defence import defended as defended
    from edgerift.defend._guard import GuardRecipe as GuardRecipe
    from edgerift.defend._guard import calibrated_guard as calibrated_guard
    from edgerift.defend._misleading import misleading_network as misleading_network
    from edgerift.defend._misleading import outlier_exposure as outlier_exposure
    from edgerift.defend._monitor import MONITORS as MONITORS
    from edgerift.defend._monitor import Monitor as Monitor
    from edgerift.defend._monitor import Verdict as Verdict
    from edgerift.defend._monitor import Watch as Watch
    from edgerift.defend._monitors import AnyMonitor as AnyMonitor
    from edgerift.defend._strength import strength_of as strength_of
    from edgerift.defend._strength import strengths as strengths
    from edgerift.defend._strength import with_strength as with_strength
    from edgerift.defend._sweep import SweepPoint as SweepPoint
    from edgerift.defend._sweep import sweep as sweep
    from edgerift.defend._sweep import tuned as tuned
    from edgerift.defend.defences._coarser import LabelOnly as LabelOnly
    from edgerift.defend.defences._coarser import Rounding as Rounding
    from edgerift.defend.defences._coarser import Temperature as Temperature
    from edgerift.defend.defences._coarser import TopK as TopK
    from edgerift.defend.defences._mad import Mad as Mad
    from edgerift.defend.defences._misinformation import AdaptiveMisinformation as AdaptiveMisinformation
    from edgerift.defend.defences._noise import GaussianNoise as GaussianNoise
    from edgerift.defend.defences._redirection import GradientRedirection as GradientRedirection
    from edgerift.defend.defences._sigmoid import Deception as Deception
    from edgerift.defend.defences._sigmoid import ReverseSigmoid as ReverseSigmoid
    from edgerift.defend.monitors._fingerprints import Fingerprints as Fingerprints
    from edgerift.defend.monitors._prada import Prada as Prada
    from edgerift.specification import Guard as Guard
else:
    __getattr__, __dir__, __all__ = exported(__name__)
