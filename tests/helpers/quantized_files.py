"""A small network as a float ONNX file, and the files that other tools make of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

SIZE: Final = 12
CLASSES: Final = 5


def float_file(
    path: Path,
    *,
    channels: int = 1,
    layout: str = "nchw",
    dtype: str = "float32",
    batch: int | str = "batch",
    softmax: bool = False,
    pool: str = "GlobalAveragePool",
    image: str = "pixels",
    seed: int = 0,
    spread: bool = False,
) -> Path:
    """Write a network of three convolutions, a residual sum, a mean and a linear layer.

    With `spread` its last layer is such that the smooth images below get all classes.
    """
    draw = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray[Any, Any]:
        fan = int(np.prod(shape[1:]))
        return (draw.normal(size=shape) / np.sqrt(fan)).astype(np.float32)

    stored = {
        "w1": weight(8, channels, 3, 3),
        "w2": weight(8, 8, 3, 3),
        "w3": weight(8, 8, 3, 3),
        "b1": weight(8, 1)[:, 0],
        "b2": weight(8, 1)[:, 0],
        "fc": weight(CLASSES, 8) * 3,
        "axes": np.array([2, 3], np.int64),
    }
    nodes, x = [], image
    if dtype == "uint8":
        stored["unit"] = np.float32(1 / 255)
        nodes += [helper.make_node("Cast", [x], ["cast"], to=TensorProto.FLOAT)]
        nodes += [helper.make_node("Mul", ["cast", "unit"], ["real"])]
        x = "real"
    if layout == "nhwc":
        nodes.append(helper.make_node("Transpose", [x], ["first"], perm=[0, 3, 1, 2]))
        x = "first"
    pads = [1, 1, 1, 1]
    mean = ["r3", "axes"] if pool == "ReduceMean" else ["r3"]
    nodes += [
        helper.make_node("Conv", [x, "w1", "b1"], ["c1"], pads=pads),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], pads=pads),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], pads=pads),
        helper.make_node("Add", ["c3", "r1"], ["a3"]),
        helper.make_node("Relu", ["a3"], ["r3"]),
        helper.make_node(pool, mean, ["m"]),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("Gemm", ["f", "fc"], ["scores"], transB=1),
    ]
    if spread:
        stored |= _nearest(nodes[:-1], stored, image, channels)
        nodes[-1] = helper.make_node("Gemm", ["f", "fc", "fb"], ["scores"], transB=1)
    output = "scores"
    if softmax:
        nodes.append(helper.make_node("Softmax", ["scores"], ["shares"], axis=1))
        output = "shares"
    extents = [channels, SIZE, SIZE] if layout == "nchw" else [SIZE, SIZE, channels]
    kind = TensorProto.UINT8 if dtype == "uint8" else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(image, kind, [batch, *extents])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def _nearest(nodes: list[Any], stored: dict[str, Any], image: str, channels: int) -> dict[str, Any]:
    """A last layer that answers with the nearest of five images' features: all classes, about equally often."""
    import onnxruntime

    graph = helper.make_graph(
        nodes,
        "features",
        [helper.make_tensor_value_info(image, TensorProto.FLOAT, ["batch", channels, SIZE, SIZE])],
        [helper.make_tensor_value_info("f", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {image: images(100, channels).numpy() / np.float32(255)})
    centre, size = features.mean(0), np.float32(4 / features.std() ** 2)
    points = features[:CLASSES] - centre
    weight = points * size
    return {"fc": weight, "fb": -weight @ centre - (points**2).sum(1) * size / 2}


def images(count: int, channels: int = 1, seed: int = 1) -> torch.Tensor:
    """Draw smooth images, uint8 `[N,C,SIZE,SIZE]`."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
    return (smooth * 255).round().to(torch.uint8)


def quantized_file(source: Path, path: Path, **options: Any) -> Path:
    """Quantize a float file as ONNX Runtime's tool does, with these options; none are its defaults."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    image = onnx.load(source).graph.input[0]
    extents = [dimension.dim_value for dimension in image.type.tensor_type.shape.dim]
    channels = extents[1] if extents[1] in (1, 3) else extents[3]
    drawn = images(32, channels)
    fed = drawn.numpy() if image.type.tensor_type.elem_type == TensorProto.UINT8 else drawn.numpy() / np.float32(255)
    fed = fed.transpose(0, 2, 3, 1) if extents[1] not in (1, 3) else fed
    step = extents[0] or len(fed)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = [fed[start : start + step] for start in range(0, len(fed), step)]

        def get_next(self) -> dict[str, Any] | None:
            return {image.name: self._left.pop()} if self._left else None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_static(str(source), str(path), Reader(), **options)
    return path
