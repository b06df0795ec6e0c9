"""A table of `.tflite` files with one operator each, on random grids, and what fills it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_files import TfliteFile

ENDS = {"int8": (-128, 127), "uint8": (0, 255)}
Case = Callable[[np.random.Generator], bytes]
_SOURCES: dict[str, str] = {}
CASES: dict[str, Case] = {}


def images_for(content: bytes, count: int, seed: int = 0) -> Any:
    """Random numbers of the type and shape that a file takes, all of its range."""
    root = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    tensor = root.Tensors(root.Inputs(0))
    shape = [count, *(int(extent) for extent in tensor.ShapeAsNumpy()[1:])]
    generator = np.random.default_rng(seed)
    if tensor.Type() == schema.TensorType.FLOAT32:
        return generator.normal(0, 2, shape).astype(np.float32)
    dtype = np.uint8 if tensor.Type() == schema.TensorType.UINT8 else np.int8
    low, high = ENDS[np.dtype(dtype).name]
    drawn = generator.integers(low, high + 1, shape)
    drawn[0] = np.where(generator.random(shape[1:]) < 0.5, low, high)
    return drawn.astype(dtype)


def case(label: str, /, **settings: Any) -> Callable[[Callable[..., bytes]], Callable[..., bytes]]:
    """Add a function with settings to the table; a module that is imported twice adds the same again."""

    def added(function: Callable[..., bytes]) -> Callable[..., bytes]:
        source = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
        assert _SOURCES.setdefault(label, source) == source
        CASES[label] = lambda generator: function(generator, **settings)
        return function

    return added


def scale_of(generator: np.random.Generator, low: float = 0.005, high: float = 0.2) -> np.float32:
    """A random scale, even in its logarithm."""
    return np.float32(np.exp(generator.uniform(np.log(low), np.log(high))))


def zero_of(generator: np.random.Generator, dtype: str) -> int:
    """A random zero point, often one of the ends."""
    low, high = ENDS[dtype]
    return int(generator.choice([low, high, generator.integers(low, high + 1), generator.integers(low, high + 1)]))


def activation(file: TfliteFile, generator: np.random.Generator, shape: Any, dtype: str, **grid: Any) -> int:
    """Add a tensor on a random grid, or on a given one."""
    if dtype == "float32":
        return file.tensor(shape, dtype)
    scale, zero = grid.get("scale"), grid.get("zero")
    return file.tensor(
        shape,
        dtype,
        scale_of(generator) if scale is None else scale,
        zero_of(generator, dtype) if zero is None else zero,
    )


def same_grid(file: TfliteFile, index: int) -> dict[str, Any]:
    """The scale and the zero point of a tensor, none for a float one."""
    found = file.graph.tensors[index].quantization
    return {} if found is None else {"scale": np.float32(found.scale[0]), "zero": found.zeroPoint[0]}
