"""Building as a step that the store keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import SerializeAsAny

from edgerift.deploy._build import RUNTIMES, build, find_runtime
from edgerift.deploy._program import Program
from edgerift.recipes import Progress, Recipe

if TYPE_CHECKING:
    from edgerift.store import Store


class BuildRecipe(Recipe):
    """Compile a program for one runtime: `model.pte`, `model.onnx` or `model.pt2`.

    `program` is the recipe whose result holds `program.safetensors`.
    """

    type: Literal["build"] = "build"
    version: Literal[1] = 1
    program: SerializeAsAny[Recipe]
    runtime: Literal["executorch", "onnxruntime", "inductor"]

    @property
    def artefact(self) -> str:
        """The name of the file that the build is."""
        return f"model{RUNTIMES[self.runtime].suffix}"

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Compile the program into `folder`."""
        find_runtime(self.runtime)
        program = Program.load(store.get(self.program, progress) / "program.safetensors")
        progress(f"build {self.runtime}", 0, 1)
        build(program, self.runtime, folder / self.artefact)
        progress(f"build {self.runtime}", 1, 1)
