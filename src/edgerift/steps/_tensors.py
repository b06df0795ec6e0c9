"""Tensors from untrusted safetensors files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from safetensors import safe_open

from edgerift.errors import EdgeriftError, first_line
from edgerift.settings import is_file

if TYPE_CHECKING:  # A store without tensors is used without PyTorch, whose import takes seconds.
    from torch import Tensor


class Tensors(NamedTuple):
    """The content of a safetensors file: texts by name, and tensors by name, on the CPU."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]


def read_tensors(path: Path, refused: Callable[[str], EdgeriftError]) -> Tensors:
    """Read a safetensors file without running code of it and with no more memory than its own size.

    Raises what `refused` makes of the reason for a file that is missing, special, damaged or contradicts itself.
    """
    if not is_file(path):
        raise refused("there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            return Tensors(file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except Exception as error:  # safetensors and PyTorch raise errors of every kind for headers that make no sense.
        raise refused(first_line(error)) from None
