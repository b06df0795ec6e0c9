"""What a runtime's compiler makes of a program, to be compared with a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgerift.deploy import Program, StoredLayer, find_runtime, stored_layers


class Compiled(NamedTuple):
    """Whether a file is equal to what a program compiles to, byte for byte, and the layers of the latter.

    The layers are None where the files are equal, or cannot be read back.
    """

    equal: bool
    layers: tuple[StoredLayer, ...] | None = None


def compiled(program: Program, runtime: str, content: bytes) -> Compiled:
    """Compile a program for a runtime, and compare the file with `content`.

    A file lists its tensors in the order of the program's, which is another one once that was saved and loaded.
    """
    made: bytes = b""
    for made in _files(program, runtime):
        if made == content:
            return Compiled(equal=True)
    if find_runtime(runtime).layers is None:
        return Compiled(equal=False)
    return Compiled(equal=False, layers=stored_layers(made, runtime))


def _files(program: Program, runtime: str) -> Iterator[bytes]:
    chosen = find_runtime(runtime)
    with tempfile.TemporaryDirectory() as folder:
        path, saved = Path(folder) / f"model{chosen.suffix}", Path(folder) / "program.safetensors"
        chosen.compile(program, path)
        yield path.read_bytes()
        program.save(saved)
        loaded = Program.load(saved)
        if list(loaded.tensors) != list(program.tensors):
            chosen.compile(loaded, path)
            yield path.read_bytes()
