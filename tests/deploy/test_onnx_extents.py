"""What an ONNX graph computes from the extents of its image, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from onnx import helper, numpy_helper
from onnx_models import asked, computed, made


def _whole(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


def _real(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_a_constant_for_each_image_of_a_batch_is_joined_to_it() -> None:
    half = numpy_helper.from_array(np.array([0.5], np.float32))
    nodes = [
        helper.make_node("Shape", ["x"], ["extents"]),
        helper.make_node("Gather", ["extents", "first"], ["count"]),
        helper.make_node("Unsqueeze", ["count", "axes"], ["counts"]),
        helper.make_node("Concat", ["counts", "rest"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["token"], value=half),
        helper.make_node("Concat", ["token", "x"], ["y"], axis=1),
    ]
    constants = {"first": np.array(0), "axes": _whole(0), "rest": _whole(1, 5)}
    model = made(nodes, constants, ("batch", 3, 5))
    images = _real(4, 3, 5)

    assert torch.equal(computed(model, images), asked(model, images))


def test_amounts_that_the_extents_of_the_image_decide_are_computed_with_it() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["extents"]),
        helper.make_node("Mod", ["extents", "window"], ["rest"]),
        helper.make_node("Sub", ["window", "rest"], ["missing"]),
        helper.make_node("Mul", ["missing", "inner"], ["after"]),
        helper.make_node("Concat", ["none", "after"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads"], ["padded"]),
        helper.make_node("Slice", ["padded", "after", "extents"], ["y"]),
    ]
    window = {"window": _whole(1, 2, 4, 4), "inner": _whole(0, 0, 1, 1), "none": _whole(0, 0, 0, 0)}
    model = made(nodes, window, ("batch", 2, 6, 7))
    images = _real(3, 2, 6, 7)

    assert torch.equal(computed(model, images), asked(model, images))


def test_places_that_the_extents_of_the_image_decide_are_computed_with_it() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["extents"]),
        helper.make_node("Sub", ["extents", "one"], ["last"]),
        helper.make_node("Unsqueeze", ["last", "first"], ["place"]),
        helper.make_node("GatherND", ["x", "place"], ["corner"]),
        helper.make_node("ScatterND", ["x", "origin", "corner"], ["moved"]),
        helper.make_node("Tile", ["moved", "extents"], ["y"]),
    ]
    constants = {"one": _whole(1), "first": _whole(0), "origin": _whole(0, 0, 0).reshape(1, 3)}
    model = made(nodes, constants, ("batch", 2, 3))
    images = _real(3, 2, 3)

    assert torch.equal(computed(model, images), asked(model, images))
