"""LiteRT builds: a `.tflite` that one of the runtime's sets of kernels runs."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from edgerift.deploy.builds._described_tflite import describe_tflite
from edgerift.deploy.builds._opened import LARGEST_BATCH
from edgerift.deploy.builds._runtime import Artefact
from edgerift.deploy.program._program import Program
from edgerift.deploy.runtimes.litert._macs import depends_on_batch, integer_share, operators
from edgerift.deploy.runtimes.litert._opening import load_interpreter
from edgerift.deploy.runtimes.litert._translation import tflite_content
from edgerift.deploy.twins.tflite._reading import read_graph
from edgerift.errors import BuildError, ModelError, first_line
from edgerift.specification import Specification
from edgerift.steps import write_whole


def compile_program(program: Program, path: Path) -> None:
    """Write a program as a `.tflite`; the file does not depend on the kernels that will run it.

    Raises :class:`~edgerift.errors.BuildError` for an operator that LiteRT does not compute as the program does.
    """
    write_whole(path, tflite_content(program))


def open_artefact(path: Path, kernels: str) -> LiteRtEngine:
    """Load a `.tflite`; raises :class:`~edgerift.errors.BuildError` when LiteRT cannot."""
    try:
        return open_read(path, Artefact(path.read_bytes()), kernels)
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}") from None


def open_read(path: Path, artefact: Artefact, kernels: str) -> LiteRtEngine:
    """Load the content of a `.tflite`; raises :class:`~edgerift.errors.BuildError` when LiteRT cannot."""
    return LiteRtEngine(path.name, artefact.content, kernels)


@final
class LiteRtEngine:
    """A `.tflite` in LiteRT's interpreter, on one thread."""

    def __init__(self, file: str, content: bytes, kernels: str) -> None:
        """Load the content of a model file of that name."""
        self._file, self._content, self._kernels = file, content, kernels
        self.version = importlib.metadata.version("ai-edge-litert")
        try:
            self._interpreter = load_interpreter(content, kernels)
        except (RuntimeError, ValueError) as error:
            raise BuildError(f"LiteRT cannot load {file}: {_refusal(content) or first_line(error)}") from None
        described = describe_tflite(content, file)
        self.specification = _in_order(described.specification, described.extents)
        self.extents: tuple[int | None, ...] | None = described.extents
        image = self._interpreter.get_input_details()[0]
        self._input, self._shape = image["index"], tuple(int(extent) for extent in image["shape"])
        self._outputs = [(output["name"], output["index"]) for output in self._interpreter.get_output_details()]
        self.largest = 1 if depends_on_batch(self._interpreter, kernels) else LARGEST_BATCH
        fixed = self.specification.input.batch
        if fixed is not None and self._takes_more():
            self.specification = self.specification.replace(input=self.specification.input.replace(batch=None))
        elif fixed is not None:
            self.largest = fixed

    def _takes_more(self) -> bool:
        """Return whether a file of a fixed batch takes another one, as most do."""
        first = self._shape
        try:
            self._fit((first[0] + 1, *first[1:]))
            answers = [len(self._interpreter.get_tensor(index)) for _, index in self._outputs]
        except (RuntimeError, ValueError):
            answers = []
        is_free = answers == [first[0] + 1] * len(self._outputs)
        if not is_free:
            self._interpreter = load_interpreter(self._content, self._kernels)
            self._shape = first
        return is_free

    def _fit(self, shape: tuple[int, ...]) -> None:
        if shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, shape)
            self._interpreter.allocate_tensors()
            self._shape = shape

    def ask(self, inputs: Tensor) -> Any:
        """Answer a batch."""
        images = inputs.contiguous().numpy()
        self._fit(images.shape)
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        answers = {name: torch.from_numpy(self._interpreter.get_tensor(index)) for name, index in self._outputs}
        return next(iter(answers.values())) if len(answers) == 1 else answers

    def operators(self) -> dict[str, int]:
        """Count the operators of the file by name, and the parts of it that a delegate computes."""
        return operators(self._interpreter)

    def integer_macs(self) -> float:
        """The share of multiply-accumulates in integer kernels, read off the loaded file."""
        return integer_share(self._interpreter, self._file)


def _refusal(content: bytes) -> str:
    """Say why a file is not loaded, where the file itself shows it more clearly than the runtime's own words."""
    try:
        graph = read_graph(content)
    except ModelError as error:
        return str(error)
    custom = ", ".join(dict.fromkeys(operator.name for operator in graph.operators if operator.is_custom))
    if not custom:
        return ""
    return f"it needs {custom}, which is none of its own operators (select-ops or custom); convert it without them"


def _in_order(specification: Specification, extents: tuple[int | None, ...]) -> Specification:
    """Take the channels for the last extent, whatever the others are: the runtime's kernels want images so."""
    if extents[-1] not in (1, 3):
        return specification
    channels = "grey" if extents[-1] == 1 else "rgb"
    return specification.replace(input=specification.input.replace(layout="nhwc", channels=channels))
