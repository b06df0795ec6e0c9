"""What a `.tflite` file says of its input and its output."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from edgerift.deploy.builds._described import specification_of
from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins.tflite._graph import ENDS, TfliteGraph, TfliteTensor
from edgerift.deploy.twins.tflite._metadata import Described, described
from edgerift.deploy.twins.tflite._reading import read_graph
from edgerift.errors import BuildError
from edgerift.specification import Quantization, Specification

#: What images are usually normalised to.
_RANGES: Final = ((0.0, 1.0), (-1.0, 1.0), (-1.0, 127 / 128), (0.0, 255.0), (-128.0, 127.0))
#: How far off the ends of a grid may be; converters calibrate them on images that seldom reach both.
_ROUNDED: Final = 1.5
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

    Where the grid of an integer input spans just what the grey levels become, by the metadata or as one of the usual
    ranges, these are fed byte by byte. Other grids take numbers in `[0, 1]` where the metadata do not say how to
    normalise. Raises :class:`~edgerift.errors.BuildError` for a model that takes no single image, and
    :class:`~edgerift.errors.ModelError` for a damaged file.
    """
    graph = read_graph(content)
    image = _image(graph, file)
    found = specification_of(_word(image), image.extents, file, image.name)
    told = described(content, graph.metadata)
    specification = _with_ends(found, graph, told)
    counted: dict[str, int] = {}
    for operator in graph.operators:
        counted[operator.name] = counted.get(operator.name, 0) + 1
    return DescribedTflite(specification, image.extents[1:], told.labels, counted, _arithmetic(graph))


def with_grids(specification: Specification, graph: TfliteGraph) -> Specification:
    """Add the grids of a graph's integer input and output, as :func:`describe_tflite` does."""
    return _with_ends(specification, graph, Described())


def _with_ends(specification: Specification, graph: TfliteGraph, told: Described) -> Specification:
    changes = _input_changes(graph.tensors[graph.inputs[0]], told)
    specification = specification.replace(input=specification.input.replace(**changes))
    outputs = [graph.tensors[index] for index in graph.outputs]
    if len(outputs) != 1:
        return specification
    answers = _output_changes(outputs[0], told)
    return specification.replace(output=specification.output.replace(**answers))


def _image(graph: TfliteGraph, file: str) -> TfliteTensor:
    if len(graph.inputs) != 1:
        named = ", ".join(f"'{graph.tensors[index].name}'" for index in graph.inputs) or "none"
        raise BuildError(f"{file} has {len(graph.inputs)} inputs ({named}); a classifier of images has one")
    return graph.tensors[graph.inputs[0]]


def _word(image: TfliteTensor) -> str:
    return "float" if image.dtype == "float32" else image.dtype


def _input_changes(image: TfliteTensor, told: Described) -> dict[str, Any]:
    """Say how images are normalised and quantized; nothing where each grey level becomes the byte of its own."""
    grid = image.grid
    scales, offsets = _normalised(told)
    if grid is not None and _is_byte_by_byte(grid, scales, offsets):
        return {}
    changes: dict[str, Any] = {"scale": scales, "offset": offsets} if scales else {}
    if grid is not None:
        changes["quantization"] = Quantization(scale=grid.scale, zero_point=grid.zero_point)
    return changes


def _normalised(told: Described) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The factors and offsets of grey levels, as far as the metadata say them."""
    if not told.mean or len(told.mean) != len(told.std) or 0 in told.std:
        return (), ()
    return tuple(1 / std for std in told.std), tuple(-mean / std for mean, std in zip(told.mean, told.std, strict=True))


def _is_byte_by_byte(grid: Grid, scales: tuple[float, ...], offsets: tuple[float, ...]) -> bool:
    """Return whether grey levels 0 to 255 become the lowest to the highest number of a grid, up to its rounding.

    Where it is not told how they are normalised, grids that span one of the usual ranges are taken to do so.
    """
    if scales:
        spans = [(offset, 255 * scale + offset) for scale, offset in zip(scales, offsets, strict=True)]
    else:
        spans = [span for span in _RANGES if _fits(grid, span)][:1]
    return bool(spans) and all(_fits(grid, span) for span in spans)


def _fits(grid: Grid, span: tuple[float, float]) -> bool:
    ends = [end / grid.scale + grid.zero_point for end in span]
    return abs(ends[0] - grid.minimum) <= _ROUNDED and abs(ends[1] - grid.maximum) <= _ROUNDED


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
