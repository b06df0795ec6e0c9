"""What an ONNX model may ask for: sizes are looked at before anything takes memory or time for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from edgerift.errors import BuildError

#: The most numbers in one constant, 1 GB of float32, and in what is computed from a batch of images.
MOST_ELEMENTS: Final = 2**28
_MOST_OF_IMAGES: Final = 2**31
#: The most nodes, and calls inside of calls, of a model.
_MOST_NODES: Final = 1_000_000
_DEEPEST: Final = 100
#: The numbers of a constant; what an inferred shape depends on has far fewer, and weights are not needed for it.
_FEW: Final = 256


def require_moderate(model: Any, file: str) -> None:
    """Refuse a model whose content or inferred tensors are larger than a classifier of images can need.

    Its weights may be in other files. Raises :class:`~edgerift.errors.BuildError`.
    """
    for kind, message in messages_of(model, ("TensorProto", "SparseTensorProto")):
        _require_extents(tuple(message.dims), f"tensor '{_name(kind, message)}'", file)
    _require_few_nodes(model, file)
    of_images = _from_images(model.graph)
    for name, extents in _inferred(model):
        most = _MOST_OF_IMAGES if name in of_images else MOST_ELEMENTS
        _require_extents(extents, f"tensor '{name[:80]}'", file, most)


def messages_of(message: Any, kinds: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Find the messages of some kinds wherever they are: initialisers, attributes, inner graphs, functions."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in [value] if hasattr(value, "ListFields") else value:
            name = item.DESCRIPTOR.name
            if name in kinds:
                yield name, item
            if name != "TensorProto":
                yield from messages_of(item, kinds)


def _name(kind: str, message: Any) -> str:
    return str(message.name if kind == "TensorProto" else message.values.name)[:80]


def _require_extents(extents: tuple[int, ...], what: str, file: str, most: int = MOST_ELEMENTS) -> None:
    if any(extent < 0 for extent in extents):
        raise BuildError(f"{file}: {what} has a negative extent; export the model again")
    if math.prod(extents) > most:
        shape = "x".join(f"{extent:,}" for extent in extents)
        raise BuildError(f"{file}: {what} would have {shape} numbers; at most {most:,} are taken")


def _require_few_nodes(model: Any, file: str) -> None:
    """Count the nodes that a model has once its functions are inlined, without inlining them."""
    functions = {(function.domain, function.name): function.node for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    count = _count(model.graph.node, functions, sizes, (), file)
    if count > _MOST_NODES:
        raise BuildError(f"{file}: the model has {count:,} nodes with its functions; at most {_MOST_NODES:,} are taken")


def _count(
    nodes: Iterable[Any],
    functions: Mapping[tuple[str, str], Any],
    sizes: dict[tuple[str, str], int],
    inside: tuple[tuple[str, str], ...],
    file: str,
) -> int:
    if len(inside) > _DEEPEST:
        raise BuildError(f"{file}: functions call each other more than {_DEEPEST} deep")
    total = 0
    for node in _with_inner(nodes):
        key = (node.domain, node.op_type)
        if key in inside:
            raise BuildError(f"{file}: the function '{node.op_type[:80]}' calls itself")
        if key in functions and key not in sizes:
            sizes[key] = _count(functions[key], functions, sizes, (*inside, key), file)
        total += sizes.get(key, 1)
    return total


def _with_inner(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _with_inner(graph.node)


def _from_images(graph: Any) -> set[str]:
    """Name what is computed from the inputs, themselves included."""
    found = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if not found.isdisjoint(node.input):
            found.update(node.output)
    return found


def _inferred(model: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Infer the shapes of all tensors for one image; what is not known is left out, a free extent counts as one."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(_without_weights(model), data_prop=True)
    except Exception:  # Of every kind, and the runtime says what is wrong with the model.
        return
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        extents = value.type.tensor_type.shape.dim
        yield value.name, tuple(max(1, extent.dim_value) for extent in extents)


def _without_weights(model: Any) -> Any:
    """Copy a model, its larger initialisers as inputs of their shape."""
    import onnx

    copy = onnx.ModelProto()
    copy.ir_version = model.ir_version
    copy.opset_import.extend(model.opset_import)
    copy.functions.extend(model.functions)
    copy.graph.name = model.graph.name
    copy.graph.node.extend(model.graph.node)
    for value in model.graph.output:  # Without the extents that it says it has.
        copy.graph.output.append(onnx.helper.make_empty_tensor_value_info(value.name))
    named = {value.name for value in model.graph.input}
    copy.graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _FEW and tensor.data_location != onnx.TensorProto.EXTERNAL:
            copy.graph.initializer.append(tensor)
        elif tensor.name not in named:
            shape = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            copy.graph.input.append(shape)
    return copy
