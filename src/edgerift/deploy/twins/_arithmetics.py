"""The registry of arithmetics: how a program is translated so that it computes as a runtime's kernels do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from edgerift._lazy import later
from edgerift.settings import Registry

if TYPE_CHECKING:
    from edgerift.deploy.program._program import Program
    from edgerift.deploy.twins import _twin_graph, _twin_onnxruntime, _twin_xnnpack
    from edgerift.deploy.twins._body import Body
else:
    _twin_graph, _twin_onnxruntime, _twin_xnnpack = later(
        "edgerift.deploy.twins._twin_graph",
        "edgerift.deploy.twins._twin_onnxruntime",
        "edgerift.deploy.twins._twin_xnnpack",
    )

ARITHMETICS: Final[Registry[Callable[[Program], Body]]] = Registry("arithmetic", "edgerift.deploy.runtimes")
"""Translations by name; a runtime may add its own."""

ARITHMETICS.register("graph", lambda program: _twin_graph.graph_twin(program))
ARITHMETICS.register("xnnpack", lambda program: _twin_xnnpack.xnnpack_twin(program))
ARITHMETICS.register("onnxruntime", lambda program: _twin_onnxruntime.onnxruntime_twin(program))
