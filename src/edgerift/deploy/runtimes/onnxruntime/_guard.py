"""The guard inside an `.onnx`: its threshold among the metadata, and what it decides as outputs of the graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edgerift.deploy.twins.onnx._files import UnreadableModelError, model_of, proto_of
from edgerift.errors import BuildError, RecipeError
from edgerift.specification import Guard

_THRESHOLD: Final = "edgerift.guard.threshold"
_SPACE: Final = "edgerift.guard.space"
#: The outputs behind the scores: how far the two best are apart, and whether that is enough, float32 and bool `[N]`.
_GAP: Final = "score_gap"
_ANSWERED: Final = "answered"
#: What the names of all nodes and tensors of the guard begin with.
_OWN: Final = "edgerift_guard_"


def with_guard(content: bytes, guard: Guard | None) -> bytes:
    """Put a guard into the bytes of a self-contained `.onnx` whose first output is the scores; None takes it out.

    The file keeps its bytes where nothing changes.
    """
    if guard is None and _THRESHOLD.encode() not in content:
        return content
    model = model_of(content)
    if _read(model) == guard:
        return content
    without_guard(model)
    if guard is not None:
        _write(model, guard)
        if guard.space == "logits" and _classes(model) > 1:
            _append(model, guard.threshold)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def guard_in(path: Path) -> Guard | None:
    """Read the guard that an `.onnx` holds; None for a file without one, and for what is no model.

    Raises :class:`~edgerift.errors.BuildError` for a guard that is none.
    """
    try:
        model = proto_of(path)
    except UnreadableModelError:
        return None
    try:
        return _read(model)
    except (ValueError, RecipeError):
        raise BuildError(
            f"the metadata of {path.name} hold no guard: {_THRESHOLD} is a number of 0 or more, "
            f"{_SPACE} logits or log-probabilities; export it again"
        ) from None


def without_guard(model: Any) -> None:
    """Take the guard out of a `ModelProto`."""
    graph = model.graph
    _keep(model.metadata_props, lambda one: one.key not in (_THRESHOLD, _SPACE))
    _keep(graph.node, lambda one: not one.name.startswith(_OWN))
    _keep(graph.initializer, lambda one: not one.name.startswith(_OWN))
    made = {name for node in graph.node for name in node.output}
    _keep(graph.output, lambda one: one.name not in (_GAP, _ANSWERED) or one.name in made)


def _read(model: Any) -> Guard | None:
    found = {entry.key: entry.value for entry in model.metadata_props}
    if _THRESHOLD not in found:
        return None
    threshold = float(found[_THRESHOLD])
    if not math.isfinite(threshold):
        raise ValueError(found[_THRESHOLD])
    return Guard.model_validate({"threshold": threshold, "space": found.get(_SPACE, "logits")})


def _write(model: Any, guard: Guard) -> None:
    for key, value in ((_THRESHOLD, repr(guard.threshold)), (_SPACE, guard.space)):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value


def _classes(model: Any) -> int:
    """How many scores an image gets, 0 where the file does not say it."""
    extents = model.graph.output[0].type.tensor_type.shape.dim
    return int(extents[1].dim_value) if len(extents) == 2 else 0


def _append(model: Any, threshold: float) -> None:
    """Append what the guard decides to the graph; an artefact of edgerift has no tensors of these names."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    scores = graph.output[0]
    constants = {
        "two": np.array([2], np.int64),
        "best": np.array(0, np.int64),
        "second": np.array(1, np.int64),
        "threshold": np.array(threshold, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(value, _OWN + name) for name, value in constants.items())

    def node(operator: str, inputs: list[str], outputs: list[str], **attributes: int) -> None:
        graph.node.append(helper.make_node(operator, inputs, outputs, name=_OWN + outputs[0], **attributes))

    values, first, second = (_OWN + name for name in ("values", "first_value", "second_value"))
    node("TopK", [scores.name, f"{_OWN}two"], [values, f"{_OWN}places"], axis=1)
    node("Gather", [values, f"{_OWN}best"], [first], axis=1)
    node("Gather", [values, f"{_OWN}second"], [second], axis=1)
    node("Sub", [first, second], [_GAP])
    node("GreaterOrEqual", [_GAP, f"{_OWN}threshold"], [_ANSWERED])
    batch = scores.type.tensor_type.shape.dim[0]
    extent = batch.dim_param or batch.dim_value
    for name, kind in ((_GAP, TensorProto.FLOAT), (_ANSWERED, TensorProto.BOOL)):
        graph.output.append(helper.make_tensor_value_info(name, kind, [extent]))


def _keep(entries: Any, wanted: Callable[[Any], bool]) -> None:
    kept = [entry for entry in entries if wanted(entry)]
    if len(kept) == len(entries):
        return
    copies = [type(entry)() for entry in kept]
    for copy, entry in zip(copies, kept, strict=True):
        copy.CopyFrom(entry)
    del entries[:]
    entries.extend(copies)
