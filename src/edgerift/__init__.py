"""Find, prove and close the security gap between an image classifier and the int8 build of it that ships."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift import adapt as adapt
    from edgerift import audit as audit
    from edgerift import certify as certify
    from edgerift import defend as defend
    from edgerift import deploy as deploy
    from edgerift import differ as differ
    from edgerift import errors as errors
    from edgerift import evade as evade
    from edgerift import extract as extract
    from edgerift import facts as facts
    from edgerift import flips as flips
    from edgerift import harden as harden
    from edgerift import images as images
    from edgerift import measure as measure
    from edgerift import report as report
    from edgerift import run as run
    from edgerift import serve as serve
    from edgerift import settings as settings
    from edgerift import specification as specification
    from edgerift import steps as steps
    from edgerift import study as study
    from edgerift import track as track
    from edgerift import train as train
    from edgerift import verify as verify
    from edgerift import zoo as zoo
    from edgerift._version import __version__ as __version__
    from edgerift.evade import Fleet as Fleet
    from edgerift.evade import Pair as Pair
    from edgerift.extract import Oracle as Oracle
    from edgerift.extract import RemoteVictim as RemoteVictim
else:
    __getattr__, __dir__, __all__ = exported(__name__)
