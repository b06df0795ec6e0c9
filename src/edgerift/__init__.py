"""Find, prove and close the security gap between an image classifier and its int8 build."""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgerift import adapt as adapt
    from edgerift import audit as audit
    from edgerift import certify as certify
    from edgerift import defend as defend
    from edgerift import deploy as deploy
    from edgerift import errors as errors
    from edgerift import evade as evade
    from edgerift import extract as extract
    from edgerift import facts as facts
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
    from edgerift import zoo as zoo
    from edgerift.evade import Fleet as Fleet
    from edgerift.evade import Pair as Pair
    from edgerift.extract import Oracle as Oracle

__version__ = _version("edgerift")

# Each is imported when it is first asked for: the command line can be stopped before PyTorch is there.
_PACKAGES = (
    "adapt",
    "audit",
    "certify",
    "defend",
    "deploy",
    "errors",
    "evade",
    "extract",
    "facts",
    "harden",
    "images",
    "measure",
    "report",
    "run",
    "serve",
    "settings",
    "specification",
    "steps",
    "study",
    "track",
    "train",
    "zoo",
)
_NAMES = {"Fleet": "evade", "Oracle": "extract", "Pair": "evade"}


# A type checker sees the imports above; a function that answers any name would hide a wrong one from it.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name in _PACKAGES:
            return _import_module(f"edgerift.{name}")
        if name in _NAMES:
            return getattr(_import_module(f"edgerift.{_NAMES[name]}"), name)
        raise AttributeError(f"module 'edgerift' has no attribute '{name}'")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted((*_PACKAGES, *_NAMES, "__version__"))
