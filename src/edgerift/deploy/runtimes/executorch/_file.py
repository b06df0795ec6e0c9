"""The content of a `.pte`: its plans, and the XNNPACK graphs inside them with their constants."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from edgerift.deploy.runtimes.executorch._flatbuffer import DAMAGED, Json, read_flatbuffer
from edgerift.deploy.runtimes.executorch._schema import read_schema
from edgerift.errors import BuildError, MissingRuntimeError, first_line

#: The method that a build answers with.
METHOD: Final = "forward"
_PROGRAM: Final = Path("exir", "_serialize", "program.fbs")
_GRAPH: Final = Path("backends", "xnnpack", "serialization", "schema.fbs")
#: The offset of a constant that has a name instead.
_NAMED: Final = 2**64 - 1


@dataclass(frozen=True)
class Delegate:
    """A part of a plan that XNNPACK computes: its graph, and the bytes of its constants by their index."""

    graph: Json
    constant: Callable[[int], memoryview]


class Plan(NamedTuple):
    """A method of a file, the parts of it that XNNPACK computes, and the bytes of its own constants by their index."""

    content: Json
    delegates: list[Delegate]
    constant: Callable[[int], memoryview]


def plans(source: Path | bytes) -> Iterator[Plan]:
    """Read the plans of a `.pte`, or of what it holds.

    Raises :class:`~edgerift.errors.BuildError` when the file is missing, damaged, or holds a delegate other than
    XNNPACK, and :class:`~edgerift.errors.MissingRuntimeError` without ExecuTorch, whose schemas describe the file.
    """
    file = _Content(source)
    for plan in file.program["execution_plan"]:
        for delegate in plan["delegates"]:
            if delegate["id"] != "XnnpackBackend":
                raise BuildError(f"{file.name} holds the delegate '{delegate['id']}'; only XnnpackBackend can be read")
        yield Plan(plan, [file.delegate(delegate) for delegate in plan["delegates"]], file.constant)


class ImageLayout(NamedTuple):
    """How a file wants its image: the order of the dimensions in memory, and whether all extents are fixed."""

    order: list[int]
    fixed: bool


def image_layout(path: Path) -> ImageLayout:
    """Read how a `.pte` wants its image, whatever delegates it holds.

    Raises :class:`~edgerift.errors.BuildError` as :func:`plans` does.
    """
    with undamaged(path):
        plan = next(plan for plan in _Content(path).program["execution_plan"] if plan["name"] == METHOD)
        image = plan["values"][plan["inputs"][0]]["val"]
        return ImageLayout(list(image["dim_order"]), image["shape_dynamism"] == "STATIC")


def kernel_calls(plan: Json) -> Iterator[tuple[str, list[int]]]:
    """List the calls of ExecuTorch's own kernels in a plan: their names and the numbers of their values."""
    for chain in plan["chains"]:
        for instruction in chain["instructions"]:
            if instruction["instr_args_type"] == "KernelCall":
                call = instruction["instr_args"]
                yield plan["operators"][call["op_index"]]["name"], call["args"]


def operators(path: Path) -> dict[str, int]:
    """Count the operators that a `.pte` calls, by name: XNNPACK's nodes, and ExecuTorch's own kernels.

    Raises as :func:`plans` does.
    """
    counted: Counter[str] = Counter()
    with undamaged(path):
        for plan in plans(path):
            nodes = [node for delegate in plan.delegates for node in delegate.graph["xnodes"]]
            counted.update(node["xnode_union_type"] for node in nodes)
            counted.update(name for name, _ in kernel_calls(plan.content))
    return dict(counted)


@contextlib.contextmanager
def undamaged(path: Path | str) -> Iterator[None]:
    """Raise :class:`~edgerift.errors.BuildError` where what a file says of its parts makes no sense."""
    try:
        yield
    except (*DAMAGED, TypeError, AttributeError, StopIteration) as error:
        raise BuildError(f"{path} is damaged ({type(error).__name__}: {first_line(error)})") from None


class _Content:
    """A file's bytes, of which every part is asked for by its place and size."""

    def __init__(self, source: Path | bytes) -> None:
        self.name, self._root = (str(source) if isinstance(source, Path) else "the .pte"), _executorch_root()
        try:
            data = memoryview(source.read_bytes() if isinstance(source, Path) else source)
        except OSError as error:
            raise BuildError(f"cannot read {source!s}: {error.strerror}") from None
        size, base = _sections(data, self.name)
        self._segments = data[base:] if base else data[:0]
        self.program = self._parsed(_PROGRAM, _part(data, 0, size, self.name))
        self._keys = {entry["key"]: entry["segment_index"] for entry in self.program["named_data"]}

    def _parsed(self, schema: Path, data: memoryview) -> Json:
        described = read_schema(self._root / schema)
        try:
            return read_flatbuffer(described, data)
        except DAMAGED:
            raise BuildError(f"{self.name} is damaged: its {schema.stem} flatbuffer cannot be read") from None

    def _segment(self, index: int) -> memoryview:
        segment = _entry(self.program["segments"], index, self.name)
        return _part(self._segments, segment["offset"], segment["size"], self.name)

    def constant(self, index: int) -> memoryview:
        """The bytes of a constant of a plan and what follows them."""
        if self.program["constant_buffer"]:
            stored: memoryview = _entry(self.program["constant_buffer"], index, self.name)["storage"]
            return stored
        place = self.program["constant_segment"] or {"segment_index": -1, "offsets": []}
        offset = _entry(place["offsets"], index, self.name)
        return self._segment(place["segment_index"])[offset:]

    def delegate(self, described: Json) -> Delegate:
        """Read a delegate's data: a header, the graph, then the constants.

        Source: `XNNHeader` in executorch/backends/xnnpack/serialization/xnnpack_graph_serialize.py.
        """
        place = described["processed"] or {"location": "", "index": 0}
        if place["location"] == "INLINE":
            payload = _entry(self.program["backend_delegate_data"], place["index"], self.name)["data"]
        else:
            payload = self._segment(place["index"])
        if bytes(payload[4:8]) != b"XH00":
            raise BuildError(f"{self.name} holds an XNNPACK delegate without the header XH00; it is damaged or too old")
        places = [(10, 14), (14, 18), (18, 22), (22, 30)]
        start, size, constants, length = (int.from_bytes(payload[first:last], "little") for first, last in places)
        graph = self._parsed(_GRAPH, _part(payload, start, size, self.name))
        stored = _part(payload, constants, length, self.name)
        return Delegate(graph, functools.partial(self._constant, graph, stored))

    def _constant(self, graph: Json, stored: memoryview, index: int) -> memoryview:
        place = _entry(graph["constant_data"], index, self.name)
        key, offset, size = place["named_key"], place["offset"], place["size"]
        if not key and offset != _NAMED:
            return _part(stored, offset, size, self.name)
        if key not in self._keys:
            raise BuildError(f"{self.name} keeps constants in another file (.ptd); export it with its weights inside")
        return _part(self._segment(self._keys[key]), 0, size, self.name)


def _executorch_root() -> Path:
    found = importlib.util.find_spec("executorch")
    if found is None or not found.submodule_search_locations:
        raise MissingRuntimeError("reading a .pte needs ExecuTorch's schemas: pip install 'edgerift[executorch]'")
    return Path(next(iter(found.submodule_search_locations)))


def _sections(data: memoryview, path: str) -> tuple[int, int]:
    """The size of the program's flatbuffer and the offset of its segments, from the extended header.

    Source: executorch/schema/extended_header.cpp; all numbers are little-endian.
    """
    if len(data) < 32 or bytes(data[4:6]) != b"ET" or bytes(data[8:12]) != b"eh00":
        raise BuildError(f"{path} is not an ExecuTorch program (.pte)")
    return int.from_bytes(data[16:24], "little"), int.from_bytes(data[24:32], "little")


def _part(data: memoryview, start: int, size: int, path: str) -> memoryview:
    if start + size > len(data):
        raise BuildError(f"{path} is damaged: {size:,} bytes that it names lie outside of it")
    return data[start : start + size]


def _entry(entries: list[Any], index: int, path: str) -> Any:
    if not 0 <= index < len(entries):
        raise BuildError(f"{path} is damaged: it names part {index:,} of {len(entries):,}")
    return entries[index]
