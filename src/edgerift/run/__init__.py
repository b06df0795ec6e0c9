"""Running steps in the order of their dependencies: in this process, in others or on Ray, continuing past failures."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.run._estimate import Estimates as Estimates
    from edgerift.run._graph import Graph as Graph
    from edgerift.run._graph import Key as Key
    from edgerift.run._graph import key_of as key_of
    from edgerift.run._processes import Processes as Processes
    from edgerift.run._processes import cores as cores
    from edgerift.run._ray import OnRay as OnRay
    from edgerift.run._records import Record as Record
    from edgerift.run._records import Records as Records
    from edgerift.run._records import Watch as Watch
    from edgerift.run._records import is_running as is_running
    from edgerift.run._records import likeness as likeness
    from edgerift.run._running import FailedStep as FailedStep
    from edgerift.run._running import RunSummary as RunSummary
    from edgerift.run._running import run_steps as run_steps
    from edgerift.run._step import Outcome as Outcome
    from edgerift.run._step import Place as Place
    from edgerift.run._step import run_step as run_step
    from edgerift.run._workers import Here as Here
    from edgerift.run._workers import Workers as Workers
else:
    __getattr__, __dir__, __all__ = exported(__name__)
