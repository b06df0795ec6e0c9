"""Networks that come as a program of their own: a file that says what to compute, weights and all."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_unflatten

from edgerift.errors import ModelError, RecipeError, first_line
from edgerift.settings import LARGEST_MODEL, Document, Registry
from edgerift.specification import InputSpecification, Specification

_TORCH_EXPORT: Final = "torch.export"


class FileNetwork(NamedTuple):
    """What a file was opened as: its network, what it says of its input and output, and the height and width it takes.

    `size` is None where the file takes any.
    """

    module: nn.Module
    specification: Specification = Specification()
    size: tuple[int, int] | None = None


def _whole(path: Path) -> bytes:
    return Document(path, "model", "give a model's file", ModelError, LARGEST_MODEL).content()


class FileKind(NamedTuple):
    """A kind of files with networks: their suffix, and how one is read.

    `open` makes a network of a file's content and the name of one of its outputs, "" for the only one;
    `pack` reads all that belongs to a file into that content.
    Opening one of a kind that `runs_code` needs trust.
    """

    suffix: str
    open: Callable[[bytes, str], FileNetwork]
    pack: Callable[[Path], bytes] = _whole
    runs_code: bool = False


FILE_KINDS: Final[Registry[FileKind]] = Registry("kind of model file", "edgerift.deploy.file_kinds", ModelError)
"""The kinds of files that hold a network, by the name that their architecture gets."""


def file_kind(path: Path) -> str | None:
    """Return the kind of a file by its suffix; None for one that holds no network."""
    return next((name for name, kind in FILE_KINDS.items() if path.suffix.lower() == kind.suffix), None)


def open_network(name: str, content: bytes, whose: str, *, output: str, trust: bool) -> FileNetwork:
    """Make the network of the content of a file, `whose`; raises `ModelError` where that needs trust or fails."""
    kind = FILE_KINDS[name]
    if kind.runs_code and not trust:
        raise ModelError(f"{whose} may run code when it is opened; pass trust=True (--trust) if you know its origin")
    try:
        return kind.open(content, output)
    except ModelError as error:
        raise ModelError(f"{whose} is no original: {error}") from None


def file_size(path: Path, *, trust: bool = False) -> tuple[int, int] | None:
    """Return the height and width of the images that a file's network takes; None where it takes any.

    Raises `ModelError` for a file that holds no network, and for one that needs trust.
    """
    name = file_kind(path)
    if name is None:
        raise ModelError(f"{path} is no file that holds a network")
    return open_network(name, FILE_KINDS[name].pack(path), str(path), output="", trust=trust).size


def _exported(content: bytes, output: str) -> FileNetwork:
    """Open what `torch.export.save` wrote; of several outputs the specification picks one of every answer."""
    try:
        program = torch.export.load(io.BytesIO(content))
        exported = program.module(check_guards=False)
    except Exception as error:  # PyTorch's reader raises errors of every kind for content that makes no sense.
        raise ModelError(
            f"this is no whole file of torch.export ({first_line(error)}); torch.export.save writes one"
        ) from None
    assert isinstance(exported, fx.GraphModule)
    inputs = [node.meta.get("val") for node in exported.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1 or not isinstance(inputs[0], Tensor) or inputs[0].dim() != 4:
        raise ModelError(f"the network has {len(inputs)} inputs; it has to take one, images [N,C,H,W] or [N,H,W,C]")
    return FileNetwork(_Exported(exported, program.call_spec.out_spec), *_input_of(inputs[0]))


@final
class _Exported(nn.Module):
    """An exported graph as a module that can be copied and brought into another mode, which its own refuses."""

    def __init__(self, exported: fx.GraphModule, structure: Any) -> None:
        """Take the graph without its packing of inputs and outputs, whose `structure` is kept as plain numbers."""
        super().__init__()
        graph = fx.Graph()
        answer = graph.graph_copy(exported.graph, {})
        graph.output(answer)
        self.graph = fx.GraphModule(exported, graph)
        places: Any = tree_unflatten(list(range(structure.num_leaves)), structure)
        self._places = places

    def forward(self, images: Tensor) -> Any:
        """Answer as the network did, with a tensor, a tuple or a mapping."""
        flat = self.graph(images)
        places = self._places
        if isinstance(places, int):
            return flat[places]
        if isinstance(places, Mapping):
            return {name: flat[place] for name, place in places.items() if isinstance(place, int)}
        return tuple(flat[place] for place in places if isinstance(place, int))


def _input_of(images: Tensor) -> tuple[Specification, tuple[int, int] | None]:
    """Read off an example what a network takes; a length that is free is no whole number."""
    lengths = [length if isinstance(length, int) else None for length in images.shape]
    is_last = lengths[1] not in (1, 3) and lengths[3] in (1, 3)
    batch, channels, height, width = [lengths[place] for place in ((0, 3, 1, 2) if is_last else (0, 1, 2, 3))]
    fields = {
        "layout": "nhwc" if is_last else "nchw",
        "channels": "grey" if channels == 1 else "rgb",
        "dtype": str(images.dtype).removeprefix("torch."),
        "batch": batch,
    }
    try:
        given = Specification(input=InputSpecification(**{name: value for name, value in fields.items() if value}))
    except RecipeError as error:
        raise ModelError(
            f"this network takes {images.dtype} {list(images.shape)}, which is not known: {error}"
        ) from None
    return given, None if height is None or width is None else (height, width)


FILE_KINDS.register(_TORCH_EXPORT, FileKind(".pt2", _exported, runs_code=True))
