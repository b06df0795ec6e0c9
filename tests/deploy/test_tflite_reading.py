"""`.tflite` files that are damaged, ask for too much or hold what has no translation: told in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from tflite_cases import CASES, images_for
from tflite_files import TfliteFile

from edgerift.deploy import tflite_module
from edgerift.errors import EdgeriftError, ModelError

WHOLE = CASES["convolution"](np.random.default_rng(0))


def one(name: str, given: str = "float32", made: str = "float32", options: Any = None, version: int = 1) -> bytes:
    file = TfliteFile()
    grid = {"scale": 0.1} if given != "float32" else {}
    other = {"scale": 0.1} if made != "float32" else {}
    image = file.tensor([1, 8, 8, 3], given, **grid)
    result = file.tensor([1, 8, 8, 3], made, **other)
    file.operator(name, [image], [result], options, version)
    return file.written([image], [result])


def weights_alone() -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 40], "float32")
    weight = file.tensor([10, 40], "int8", 0.01, data=np.ones((10, 40)))
    result = file.tensor([1, 10], "float32")
    file.operator("FULLY_CONNECTED", [image, weight], [result], schema.FullyConnectedOptionsT())
    return file.written([image], [result])


def weights_of_4_bits() -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 40], "int8", 0.1)
    weight = file.tensor([10, 40], "int8", 0.01, data=np.ones((10, 20)))
    file.graph.tensors[weight].type = schema.TensorType.INT4
    result = file.tensor([1, 10], "int8", 0.1)
    file.operator("FULLY_CONNECTED", [image, weight], [result], schema.FullyConnectedOptionsT())
    return file.written([image], [result])


def two_images() -> bytes:
    file = TfliteFile()
    images = [file.tensor([1, 8, 8, 3], "float32", name=name) for name in ("left", "right")]
    result = file.tensor([1, 8, 8, 3], "float32")
    file.operator("ADD", images, [result], schema.AddOptionsT())
    return file.written(images, [result])


def of_huge_extent() -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 8, 8, 3], "float32")
    result = file.tensor([1, 2**15, 2**15, 3], "float32")
    sizes = file.tensor([2], "int32", data=[2**15, 2**15])
    file.operator("RESIZE_BILINEAR", [image, sizes], [result], schema.ResizeBilinearOptionsT())
    return file.written([image], [result])


def of_other_extent() -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 8, 8, 3], "float32")
    result = file.tensor([1, 8, 8, 3], "float32")
    pads = file.tensor([4, 2], "int32", data=[[0, 0], [0, 2**20], [0, 2**20], [0, 0]])
    file.operator("PAD", [image, pads], [result])
    return file.written([image], [result])


def beyond_its_tensors() -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 8, 8, 3], "float32")
    file.operator("RELU", [image], [77])
    return file.written([image], [image])


def in_a_circle() -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 8, 8, 3], "float32")
    first, second = (file.tensor([1, 8, 8, 3], "float32", name=name) for name in ("first", "second"))
    file.operator("RELU", [second], [first])
    file.operator("RELU", [first], [second])
    return file.written([image], [first])


def shorter_than_its_shape() -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 8, 8, 3], "float32")
    other = file.tensor([1, 8, 8, 3], "float32", data=np.ones(5))
    result = file.tensor([1, 8, 8, 3], "float32")
    file.operator("ADD", [image, other], [result], schema.AddOptionsT())
    return file.written([image], [result])


def outside_of_the_file() -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 8, 8, 3], "float32")
    file.model.buffers.append(schema.BufferT(offset=10_000_000, size=100))
    result = file.tensor([1, 8, 8, 3], "float32")
    file.operator("RELU", [image], [result])
    return file.written([image], [result])


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "no flatbuffer": (lambda: b"PK\3\4 an archive", "no .tflite file: its identifier TFL3 is missing"),
    "nothing": (lambda: b"", "no .tflite file"),
    "an identifier alone": (lambda: b"\0\0\0\0TFL3", "holds no graph"),
    "select-ops": (lambda: one("FlexErf"), r"FlexErf \(operator 0\) is TensorFlow's own \(select-ops\)"),
    "a custom operator": (lambda: one("MyOwn"), r"MyOwn \(operator 0\) is custom, which has no translation"),
    "an operator without a translation": (lambda: one("L2_NORMALIZATION"), "L2_NORMALIZATION .* has no translation"),
    "activations of 16 bits": (lambda: one("LOGISTIC", "int16", "int16"), "takes int16"),
    "16 bits inside": (lambda: one("QUANTIZE", "float32", "int16"), "activations of 16 bits"),
    "int8 weights alone": (weights_alone, "int8 weights and float activations .dynamic range quantization."),
    "int4 weights": (weights_of_4_bits, "reads 't1' of int4, which nothing computes or which is not translated"),
    "two images": (two_images, r"2 inputs \(left, right\)"),
    "a fused tanh": (lambda: two_activations(4), "fused with the activation tanh"),
    "a huge result": (of_huge_extent, "at most 268,435,456 numbers"),
    "another result than it says": (of_other_extent, "the file says"),
    "a tensor that is not there": (beyond_its_tensors, "beyond its 1"),
    "a circle": (in_a_circle, "reads 'second', which nothing computes before it"),
    "too few bytes": (shorter_than_its_shape, "has 20 bytes"),
    "bytes outside": (outside_of_the_file, "lies outside of it"),
}


def two_activations(number: int) -> bytes:
    file = TfliteFile()
    image = file.tensor([1, 8, 8, 3], "float32")
    result = file.tensor([1, 8, 8, 3], "float32")
    file.operator("ADD", [image, image], [result], schema.AddOptionsT(fusedActivationFunction=number))
    return file.written([image], [result])


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_cannot_be_translated_is_told_in_one_line(name: str) -> None:
    make, message = WRONG[name]
    with pytest.raises(ModelError, match=message) as told:
        tflite_module(make())
    assert "\n" not in str(told.value)


def test_an_output_is_named_and_an_unknown_one_told() -> None:
    file = TfliteFile()
    image = file.tensor([1, 4], "float32")
    first, second = (file.tensor([1, 4], "float32", name=name) for name in ("first", "second"))
    file.operator("RELU", [image], [first])
    file.operator("NEG", [image], [second])
    content = file.written([image], [first, second])
    given = torch.tensor([[-1.0, 2.0, -3.0, 4.0]])
    assert torch.equal(tflite_module(content)(given), given.relu())
    assert torch.equal(tflite_module(content, "second")(given), -given)
    with pytest.raises(ModelError, match="no output 'third'; it has second, first"):
        tflite_module(content, "third")


def test_a_cut_file_is_told_and_never_a_traceback() -> None:
    for length in range(0, len(WHOLE), 97):
        with pytest.raises(EdgeriftError):
            tflite_module(WHOLE[:length])


def test_a_file_with_wrong_bytes_is_told_or_translated() -> None:
    generator = np.random.default_rng(0)
    images = torch.from_numpy(images_for(WHOLE, 1)).float()
    for _ in range(150):
        wrong = np.frombuffer(WHOLE, np.uint8).copy()
        wrong[generator.integers(0, len(wrong), 6)] = generator.integers(0, 256, 6)
        try:
            module = tflite_module(wrong.tobytes())
        except EdgeriftError:
            continue
        if module.input.shape == (1, 8, 8, 3) and not module.input.free:
            module(images)
