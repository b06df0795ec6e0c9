"""What a `.tflite` file says of its input and its output."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from edgerift.deploy.builds._described import specification_of
from edgerift.deploy.twins.tflite._graph import ENDS, TfliteGraph, TfliteTensor
from edgerift.deploy.twins.tflite._metadata import Described, described
from edgerift.deploy.twins.tflite._reading import read_graph
from edgerift.errors import BuildError
from edgerift.specification import Quantization, Specification

#: A grid whose steps are larger than this holds grey levels, not numbers in [0, 1] or [-1, 1].
_GREY_LEVELS: Final = 0.25
_BACKGROUND: Final = ("background", "__background__", "???")
#: Operators that hold weights, and the position of these.
_WEIGHTED: Final = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1, "BATCH_MATMUL": 1}


class DescribedTflite(NamedTuple):
    """A `.tflite` file's own words.

    `extents` are those of its input behind the batch, None where one is free, `labels` the names of its classes, empty
    where untold. `operators` counts the operators of the file, and `arithmetic` says how those with weights compute:
    `float`, `int8` and `uint8`, `int8 with 16-bit activations`, `dynamic range` (only the weights are integers), or
    several of these, the most frequent first.
    """

    specification: Specification
    extents: tuple[int | None, ...]
    labels: tuple[str, ...]
    operators: dict[str, int]
    arithmetic: tuple[str, ...]


def describe_tflite(content: bytes, file: str) -> DescribedTflite:
    """Read how the model in a file's content wants its image and what it answers.

    A grid of steps above 0.25 is one of grey levels, which are then fed as they are; other grids take numbers in
    `[0, 1]` where the metadata do not say how to normalise. Raises :class:`~edgerift.errors.BuildError` for a model
    that takes no single image, and :class:`~edgerift.errors.ModelError` for a damaged file.
    """
    graph = read_graph(content)
    image = _image(graph, file)
    found = specification_of(_word(image), image.extents, file, image.name)
    told = described(content, graph.metadata)
    changes = _input_changes(image, told)
    specification = found.replace(input=found.input.replace(**changes))
    outputs = [graph.tensors[index] for index in graph.outputs]
    if len(outputs) == 1:
        answers = _output_changes(outputs[0], told)
        specification = specification.replace(output=specification.output.replace(**answers))
    counted: dict[str, int] = {}
    for operator in graph.operators:
        counted[operator.name] = counted.get(operator.name, 0) + 1
    return DescribedTflite(specification, image.extents[1:], told.labels, counted, _arithmetic(graph))


def _image(graph: TfliteGraph, file: str) -> TfliteTensor:
    if len(graph.inputs) != 1:
        named = ", ".join(f"'{graph.tensors[index].name}'" for index in graph.inputs) or "none"
        raise BuildError(f"{file} has {len(graph.inputs)} inputs ({named}); a classifier of images has one")
    return graph.tensors[graph.inputs[0]]


def _word(image: TfliteTensor) -> str:
    return "float" if image.dtype == "float32" else image.dtype


def _input_changes(image: TfliteTensor, told: Described) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if told.mean and len(told.mean) == len(told.std) and 0 not in told.std:
        changes["scale"] = tuple(1 / std for std in told.std)
        changes["offset"] = tuple(-mean / std for mean, std in zip(told.mean, told.std, strict=True))
    grid = image.grid
    if grid is None:
        return changes
    changes["quantization"] = Quantization(scale=grid.scale, zero_point=grid.zero_point)
    if not told.mean and grid.scale > _GREY_LEVELS:
        changes["scale"] = (1.0,)
    return changes


def _output_changes(output: TfliteTensor, told: Described) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if output.grid is not None:
        changes["quantization"] = Quantization(scale=output.grid.scale, zero_point=output.grid.zero_point)
    if told.labels and told.labels[0].strip().lower() in _BACKGROUND and len(told.labels) == output.shape[-1]:
        changes["background"] = "first"
    return changes


def _arithmetic(graph: TfliteGraph) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for operator in graph.operators:
        position = _WEIGHTED.get(operator.name)
        if position is None or not operator.has(position):
            continue
        given, weight = (graph.tensors[operator.inputs[index]].dtype for index in (0, position))
        kind = _kind(given, weight)
        counts[kind] = counts.get(kind, 0) + 1
    return tuple(sorted(counts, key=lambda kind: -counts[kind]))


def _kind(given: str, weight: str) -> str:
    if given in ENDS:
        return given
    if given == "int16":
        return "int8 with 16-bit activations"
    return "dynamic range" if weight in ENDS or weight == "int4" else "float"
