"""`.tflite` files as originals, and what their metadata say of the image and the classes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from tflite_cases import CASES, images_for
from tflite_files import TfliteFile, answered

from edgerift import zoo
from edgerift.deploy import describe_tflite, tflite_module
from edgerift.errors import BuildError, ModelError
from edgerift.specification import Specification

IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
DRAWN = np.random.default_rng(0)
SPECIFICATION = Specification(input={"mean": 0.5, "std": 0.25}, output={"kind": "probabilities"})


def network(file: TfliteFile | None = None, dtype: str = "float32", scale: Any = None, zero: int = 0) -> bytes:
    """A convolution, a mean, a matrix product and a softmax, all in float behind the input."""
    file = file or TfliteFile()
    image = given = file.tensor([1, 8, 8, 3], dtype, scale, zero, name="image", signature=[-1, 8, 8, 3])
    if dtype != "float32":
        image = file.tensor([1, 8, 8, 3], "float32")
        file.operator("DEQUANTIZE", [given], [image], version=2)
    weight = file.tensor([4, 3, 3, 3], "float32", data=DRAWN.normal(size=(4, 3, 3, 3)))
    bias = file.tensor([4], "float32", data=DRAWN.normal(size=4))
    maps = file.tensor([1, 4, 4, 4], "float32")
    options = schema.Conv2DOptionsT(padding=0, strideW=2, strideH=2, fusedActivationFunction=1)
    file.operator("CONV_2D", [image, weight, bias], [maps], options)
    axes, means = file.tensor([2], "int32", data=[1, 2]), file.tensor([1, 4], "float32")
    file.operator("MEAN", [maps, axes], [means], schema.ReducerOptionsT())
    head, scores = file.tensor([5, 4], "float32", data=DRAWN.normal(size=(5, 4))), file.tensor([1, 5], "float32")
    file.operator("FULLY_CONNECTED", [means, head, -1], [scores], schema.FullyConnectedOptionsT())
    result = file.tensor([1, 5], "float32", name="probabilities")
    file.operator("SOFTMAX", [scores], [result], schema.SoftmaxOptionsT(beta=1.0))
    return file.written([given], [result])


class Written:
    """Metadata, table by table, after the positions of the schema's fields."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(256)

    def table(self, fields: dict[int, int], numbers: dict[int, int] | None = None) -> int:
        """Write a table with references to what was written before, and numbers of one byte."""
        self.builder.StartObject(8)
        for slot, place in fields.items():
            self.builder.PrependUOffsetTRelativeSlot(slot, place, 0)
        for slot, number in (numbers or {}).items():
            self.builder.PrependInt8Slot(slot, number, 0)
        return int(self.builder.EndObject())

    def tables(self, *places: int) -> int:
        """Write a vector of tables."""
        self.builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self.builder.PrependUOffsetTRelative(place)
        return int(self.builder.EndVector())

    def floats(self, *numbers: float) -> int:
        """Write a vector of numbers."""
        return int(self.builder.CreateNumpyVector(np.array(numbers, np.float32)))

    def finished(self, root: int) -> bytes:
        """Write the root."""
        self.builder.Finish(root, b"M001")
        return bytes(self.builder.Output())


def metadata(mean: tuple[float, ...], std: tuple[float, ...], labels: str = "") -> bytes:
    """What the Task Library's writer makes of an image classifier."""
    made = Written()
    options = made.table({0: made.floats(*mean), 1: made.floats(*std)})
    image = made.table({1: made.table({}, {0: 1})}, {0: 2})
    given = made.table({3: image, 4: made.tables(made.table({1: options}, {0: 1}))})
    files = {}
    if labels:
        name = made.builder.CreateString(labels)
        files[6] = made.tables(made.table({0: name}, {2: 2}))
    graph = made.table({2: made.tables(given), 3: made.tables(made.table(files))})
    return made.finished(made.table({3: made.tables(graph)}))


def labelled(mean: tuple[float, ...], std: tuple[float, ...], labels: tuple[str, ...], **settings: Any) -> bytes:
    file = TfliteFile()
    file.metadata("TFLITE_METADATA", metadata(mean, std, "labels.txt"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("labels.txt", "\n".join(labels))
    return network(file, **settings) + archive.getvalue()


def test_a_float_file_is_an_original_with_the_answers_of_litert_and_a_gradient(tmp_path: Path) -> None:
    content = network()
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    found = zoo.load_file(path, size=8, specification=SPECIFICATION)
    fed = ((IMAGES - 0.5) / 0.25).permute(0, 2, 3, 1).contiguous()
    expected = torch.from_numpy(answered(content, fed.numpy()))
    torch.testing.assert_close(found(IMAGES).softmax(1), expected, rtol=1e-4, atol=1e-5)
    assert (found.architecture.name, found.architecture.classes) == ("tflite", 5)
    zoo.save(found, tmp_path / "original.safetensors")
    path.unlink()
    again = zoo.load(tmp_path / "original.safetensors")
    assert torch.equal(again(IMAGES), found(IMAGES))
    given = IMAGES.clone().requires_grad_()
    again(given)[:, 0].sum().backward()
    assert given.grad is not None
    assert given.grad.abs().amax() > 0


def test_the_scores_of_a_model_are_what_enters_its_softmax() -> None:
    module = tflite_module(network())
    fed = IMAGES.permute(0, 2, 3, 1)
    assert torch.equal(module.scores(fed).softmax(1), module(fed))
    plain = module.scores
    assert plain.scores is plain
    assert module.step is None


def test_the_step_of_quantized_scores_is_that_of_their_grid() -> None:
    content = CASES["convolution"](np.random.default_rng(0))
    quantization = describe_tflite(content, "net.tflite").specification.output.quantization
    assert quantization is not None
    assert tflite_module(content).step == quantization.scale
    content = CASES["dequantize int8"](np.random.default_rng(0))
    module = tflite_module(content)
    found = module(torch.from_numpy(images_for(content, 6)).float()).unique()
    assert module.step == pytest.approx(float(found.diff().min()), rel=1e-4)


def test_the_metadata_tell_the_normalisation_and_the_labels() -> None:
    labels = ("cat", "dog", "owl", "eel", "bee")
    found = describe_tflite(labelled((127.5,), (127.5,), labels), "net.tflite")
    assert found.labels == labels
    assert found.specification.input.scale == pytest.approx((1 / 127.5,))
    assert found.specification.input.offset == pytest.approx((-1.0,))
    assert found.specification.input.layout == "nhwc"
    assert found.specification.input.batch is None
    assert found.extents == (8, 8, 3)
    assert found.specification.output.background is None


def test_a_background_among_the_labels_is_dropped() -> None:
    found = describe_tflite(labelled((0.0,), (255.0,), ("background", "a", "b", "c", "d")), "net.tflite")
    assert found.specification.output.background == "first"


BYTES = {
    "grey levels": ("int8", 1.0, -128, (), (-128, 127)),
    "grey levels around zero": ("int8", 1.0, 0, (), (-128, 127)),
    "0 to 1": ("int8", 1 / 255, -128, (), (-128, 127)),
    "-1 to 1": ("int8", 1 / 127.5, -1, (), (-128, 127)),
    "-1 to 1, symmetric": ("int8", 1 / 128, 0, (), (-128, 127)),
    "uint8, 0 to 1": ("uint8", 1 / 255, 0, (), (0, 255)),
    "uint8, -1 to 1": ("uint8", 1 / 127.5, 128, (), (0, 255)),
    "-1 to 1 by the metadata": ("int8", 1 / 127.5, -1, (127.5, 127.5), (-128, 127)),
    "-2 to 2 by the metadata": ("int8", 2 / 127.5, -1, (127.5, 63.75), (-128, 127)),
    "other numbers": ("int8", 0.02, -10, (), (-10, 40)),
    "other numbers by the metadata": ("int8", 0.02, -10, (127.5, 127.5), (-60, 40)),
}


@pytest.mark.parametrize("name", BYTES)
def test_the_grid_and_the_metadata_say_what_an_integer_input_is_fed(name: str) -> None:
    dtype, scale, zero, told, expected = BYTES[name]
    settings = {"dtype": dtype, "scale": np.float32(scale), "zero": zero}
    content = labelled((told[0],), (told[1],), ("a",), **settings) if told else network(**settings)
    given = describe_tflite(content, "net.tflite").specification.input
    fed = given.prepare(torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2).expand(1, 3, 1, 2))
    assert fed[0, 0, :, 0].tolist() == list(expected)


def test_no_two_grey_levels_become_one_where_they_are_fed_byte_by_byte() -> None:
    content = labelled((127.5,), (127.5,), ("a",), dtype="int8", scale=np.float32(1 / 127.5), zero=-1)
    given = describe_tflite(content, "net.tflite").specification.input
    fed = given.prepare((torch.arange(256) / 255).reshape(1, 1, 16, 16).expand(1, 3, 16, 16))
    assert len(fed.unique()) == 256


def test_a_uint8_input_without_a_grid_is_cast_and_normalised_by_the_model() -> None:
    file = TfliteFile()
    image, real = file.tensor([1, 8, 8, 3], "uint8"), file.tensor([1, 8, 8, 3], "float32")
    file.operator("CAST", [image], [real], schema.CastOptionsT())
    factor, result = file.tensor([], "float32", data=np.float32(1 / 255)), file.tensor([1, 8, 8, 3], "float32")
    file.operator("MUL", [real, factor], [result], schema.MulOptionsT())
    content = file.written([image], [result])
    given = describe_tflite(content, "net.tflite").specification.input
    fed = given.prepare(torch.full((1, 3, 8, 8), 0.2))
    assert fed.unique().tolist() == [51.0]
    assert tflite_module(content)(fed).unique().tolist() == pytest.approx([0.2])


def test_the_arithmetic_of_a_file_is_told() -> None:
    assert describe_tflite(network(), "net.tflite").arithmetic == ("float",)
    file = TfliteFile()
    image = file.tensor([1, 8, 8, 3], "float32")
    weight = file.tensor([4, 1, 1, 3], "int8", 0.1, data=np.ones((4, 1, 1, 3)))
    bias, result = file.tensor([4], "float32", data=np.ones(4)), file.tensor([1, 8, 8, 4], "float32")
    file.operator("CONV_2D", [image, weight, bias], [result], schema.Conv2DOptionsT(strideW=1, strideH=1))
    found = describe_tflite(file.written([image], [result]), "net.tflite")
    assert (found.arithmetic, found.operators) == (("dynamic range",), {"CONV_2D": 1})


def test_damaged_metadata_are_told() -> None:
    file = TfliteFile()
    file.metadata("TFLITE_METADATA", b"\xff\xff\xff\x7fM001" + bytes(30))
    with pytest.raises(ModelError, match="damaged"):
        describe_tflite(network(file), "net.tflite")


def test_a_file_for_other_than_images_is_told(tmp_path: Path) -> None:
    file = TfliteFile()
    row = file.tensor([1, 40], "float32")
    result = file.tensor([1, 40], "float32")
    file.operator("RELU", [row], [result])
    (tmp_path / "net.tflite").write_bytes(file.written([row], [result]))
    with pytest.raises(BuildError, match=r"net.tflite takes \[1, 40\]; images are"):
        describe_tflite((tmp_path / "net.tflite").read_bytes(), "net.tflite")
    with pytest.raises(ModelError, match=r"this is no .tflite model of images: the file takes \[1, 40\]"):
        zoo.load_file(tmp_path / "net.tflite", size=8)
