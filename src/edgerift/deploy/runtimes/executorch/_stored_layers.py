"""The layers of a `.pte` as its XNNPACK payload stores them, whatever stands between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from edgerift.deploy.program._stored_layers import StoredLayer
from edgerift.deploy.runtimes.executorch._collected import Collected
from edgerift.deploy.runtimes.executorch._file import METHOD, Delegate, plans, undamaged
from edgerift.deploy.runtimes.executorch._nodes import append_node
from edgerift.deploy.runtimes.executorch._values import append_value, tensor_of
from edgerift.deploy.twins.tflite._graph import UntranslatedError
from edgerift.deploy.twins.tflite._stored_layers import graph_layers
from edgerift.errors import BuildError

_LAYERS: Final = ("XNNConv2d", "XNNDepthwiseConv2d", "XNNFullyConnected")


def pte_layers(content: bytes) -> tuple[StoredLayer, ...]:
    """Read the convolutions and linear layers that XNNPACK computes and whose weights are constants, in their order.

    Raises :class:`~edgerift.errors.ModelError` for a file that cannot be read.
    """
    into = Collected()
    try:
        with undamaged("the .pte"):
            for delegate in _delegates(content):
                _append_layers(into, delegate)
    except BuildError as error:
        raise UntranslatedError(str(error)) from None
    # Values have numbers alone: a layer is named by its operator.
    into.tensors[:] = [replace(tensor, name="") for tensor in into.tensors]
    return graph_layers(into.graph((), ()))


def _delegates(content: bytes) -> Iterator[Delegate]:
    for plan in plans(content):
        if plan.content["name"] == METHOD:
            yield from plan.delegates


def _append_layers(into: Collected, delegate: Delegate) -> None:
    places: dict[int, int] = {}
    for value in delegate.graph["xvalues"]:
        places[tensor_of(value)["id_out"]] = append_value(into, delegate, value)
    for index, node in enumerate(delegate.graph["xnodes"]):
        if node["xnode_union_type"] in _LAYERS:
            append_node(into, node, index, places)
