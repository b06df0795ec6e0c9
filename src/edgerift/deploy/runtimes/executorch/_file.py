"""The content of a `.pte`: its plans, and the XNNPACK graphs inside them."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgerift.errors import BuildError, MissingRuntimeError

Json = dict[str, Any]


def plans(path: Path) -> Iterator[tuple[Json, list[Json]]]:
    """Read the plans of a `.pte`, each with the XNNPACK graphs that it calls.

    Raises :class:`~edgerift.errors.BuildError` when the file is missing, damaged, or holds a delegate other than
    XNNPACK, and :class:`~edgerift.errors.MissingRuntimeError` without ExecuTorch, whose schemas describe the file.
    """
    root = _executorch_root()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}") from None
    size, base = _sections(data, path)
    program = _parse(root, root / "exir" / "_serialize" / "program.fbs", data[:size], path)
    schema = root / "backends" / "xnnpack" / "serialization" / "schema.fbs"
    for plan in program["execution_plan"]:
        graphs = []
        for delegate in plan["delegates"]:
            if delegate["id"] != "XnnpackBackend":
                raise BuildError(f"{path} holds the delegate '{delegate['id']}'; only XnnpackBackend can be read")
            graphs.append(_parse(root, schema, _xnnpack_graph(_payload(program, delegate, data[base:]), path), path))
        yield plan, graphs


def operators(path: Path) -> dict[str, int]:
    """Count the operators that a `.pte` calls, by name: XNNPACK's nodes, and ExecuTorch's own kernels.

    Raises as :func:`plans` does.
    """
    counted: Counter[str] = Counter()
    for plan, graphs in plans(path):
        counted.update(node["xnode_union_type"] for graph in graphs for node in graph["xnodes"])
        calls = [
            instruction["instr_args"]
            for chain in plan["chains"]
            for instruction in chain["instructions"]
            if instruction["instr_args_type"] == "KernelCall"
        ]
        counted.update(plan["operators"][call["op_index"]]["name"] for call in calls)
    return dict(counted)


def _executorch_root() -> Path:
    found = importlib.util.find_spec("executorch")
    if found is None or not found.submodule_search_locations:
        raise MissingRuntimeError("reading a .pte needs ExecuTorch's schemas: pip install 'edgerift[executorch]'")
    return Path(next(iter(found.submodule_search_locations)))


def _sections(data: bytes, path: Path) -> tuple[int, int]:
    """The size of the program's flatbuffer and the offset of its segments, from the extended header.

    Source: executorch/schema/extended_header.cpp; all numbers are little-endian.
    """
    if len(data) < 32 or data[4:6] != b"ET" or data[8:12] != b"eh00":
        raise BuildError(f"{path} is not an ExecuTorch program (.pte)")
    return int.from_bytes(data[16:24], "little"), int.from_bytes(data[24:32], "little")


def _payload(program: Json, delegate: Json, segments: bytes) -> bytes:
    place = delegate["processed"]
    if place["location"] == "INLINE":
        return bytes(program["backend_delegate_data"][place["index"]]["data"])
    segment = program["segments"][place["index"]]
    return segments[segment["offset"] : segment["offset"] + segment["size"]]


def _xnnpack_graph(payload: bytes, path: Path) -> bytes:
    """Extract the graph from XNNPACK's data: a header, the graph, then the constants.

    Source: `XNNHeader` in executorch/backends/xnnpack/serialization/xnnpack_graph_serialize.py.
    """
    if payload[4:8] != b"XH00":
        raise BuildError(f"{path} holds an XNNPACK delegate without the header XH00; it is damaged or too old")
    start, size = (int.from_bytes(payload[place : place + 4], "little") for place in (10, 14))
    return payload[start : start + size]


def _parse(root: Path, schema: Path, data: bytes, path: Path) -> Json:
    """Turn a flatbuffer into JSON with the compiler that ExecuTorch ships."""
    bundled = root / "data" / "bin" / "flatc"
    compiler = str(bundled) if bundled.is_file() else shutil.which("flatc")
    if compiler is None:
        raise MissingRuntimeError(
            "reading a .pte needs `flatc`, which ExecuTorch ships: pip install 'edgerift[executorch]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "data.bin"
        source.write_bytes(data)
        options = ["--json", "--defaults-json", "--strict-json", "-o", folder]
        finished = subprocess.run(
            [compiler, *options, str(schema), "--", str(source)], capture_output=True, check=False
        )
        written = Path(folder) / "data.json"
        if finished.returncode != 0 or not written.is_file():
            raise BuildError(f"{path} is damaged: its {schema.stem} flatbuffer cannot be read")
        # Infinite clamps are written as bare words that JSON does not know.
        text = re.sub(rb":\s*[+-]?(?:inf|nan)\b", b": null", written.read_bytes())
    parsed: Json = json.loads(text)
    return parsed
