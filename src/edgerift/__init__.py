"""Find, prove and close the security gap between an image classifier and its int8 build."""

from importlib.metadata import version as _version

from edgerift import adapt as adapt
from edgerift import audit as audit
from edgerift import defend as defend
from edgerift import deploy as deploy
from edgerift import errors as errors
from edgerift import evade as evade
from edgerift import extract as extract
from edgerift import harden as harden
from edgerift import images as images
from edgerift import measure as measure
from edgerift import recipes as recipes
from edgerift import report as report
from edgerift import store as store
from edgerift import study as study
from edgerift import train as train
from edgerift import zoo as zoo
from edgerift.evade import Fleet as Fleet
from edgerift.evade import Pair as Pair
from edgerift.extract import Oracle as Oracle

__version__ = _version("edgerift")
