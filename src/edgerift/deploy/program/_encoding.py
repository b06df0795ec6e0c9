"""Graph arguments as JSON and back: numbers, lists, references to nodes and tensors, and the few enums of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import fx

from edgerift.errors import ProgramError

Json = None | bool | int | float | str | list[Any] | dict[str, Any]

_DTYPES: Final = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float32, torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool)
}
_LAYOUTS: Final = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "preserve": torch.preserve_format,
}


def encode(value: Any, names: Mapping[str, str]) -> Json:
    """Turn one graph argument into JSON; `names` renames the tensors that it refers to.

    Raises :class:`~edgerift.errors.ProgramError` for a kind of value that has no place in a file.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, fx.Node):
        return (
            {"tensor": names.get(str(value.target), str(value.target))}
            if value.op == "get_attr"
            else {"node": value.name}
        )
    if isinstance(value, (list, tuple)):
        return [encode(item, names) for item in value]
    for kind, table in (("dtype", _DTYPES), ("layout", _LAYOUTS)):
        for name, member in table.items():
            if value is member:
                return {kind: name}
    if isinstance(value, torch.device):
        return {"device": "cpu"}
    raise ProgramError(f"a program cannot hold the argument {value!r} of type {type(value).__name__}")


def decode(value: Json, node: Callable[[str], Any], tensor: Callable[[str], Any]) -> Any:
    """Turn JSON back into a graph argument; `node` and `tensor` look references up by name."""
    if isinstance(value, list):
        return [decode(item, node, tensor) for item in value]
    if not isinstance(value, dict):
        return value
    kind, name = next(iter(value.items()), ("", ""))
    if len(value) != 1 or kind not in ("node", "tensor", "dtype", "layout", "device") or not isinstance(name, str):
        raise ProgramError(f"a program holds an argument that is not understood: {repr(value)[:80]}")
    if kind == "node":
        return node(name)
    if kind == "tensor":
        return tensor(name)
    if kind == "device":
        return torch.device("cpu")
    table: dict[str, Any] = _DTYPES if kind == "dtype" else _LAYOUTS
    if name not in table:
        raise ProgramError(f"a program names an unknown {kind} {name[:80]!r}; known: {', '.join(table)}")
    return table[name]
