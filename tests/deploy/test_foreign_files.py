"""ONNX files that other tools made: opened, judged, and followed by a twin of their own."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic
from quantized_files import CLASSES, SIZE, float_file, images, quantized_file

from edgerift import zoo
from edgerift.deploy import fidelity, inspect_build, open_build, own_twin, twin_scores
from edgerift.errors import BuildError, ModelError
from edgerift.images import to_float
from edgerift.specification import Specification

_UNSIGNED = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}

#: What `quantize_static` is told, and whether everything is left in integers then.
SPELLINGS: dict[str, tuple[dict[str, Any], bool]] = {
    "default": ({}, False),
    "s8s8-channel": ({"per_channel": True}, False),
    "s8s8-symmetric": ({"extra_options": {"ActivationSymmetric": True}}, False),
    "u8s8": (_UNSIGNED, True),
    "u8s8-channel": ({**_UNSIGNED, "per_channel": True}, True),
    "u8s8-reduced": ({**_UNSIGNED, "per_channel": True, "reduce_range": True}, True),
    "u8u8": ({"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8}, True),
    "qoperator": ({**_UNSIGNED, "quant_format": QuantFormat.QOperator}, True),
}


def answered(path: Path, fed: np.ndarray[Any, Any]) -> torch.Tensor:
    """What the default session of ONNX Runtime answers."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: fed})[0])


@pytest.mark.parametrize("pool", ["GlobalAveragePool", "ReduceMean"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_quantized_file_is_judged_by_the_runtime_and_followed_by_its_twin(
    tmp_path: Path, name: str, pool: str
) -> None:
    options, is_integer = SPELLINGS[name]
    path = quantized_file(float_file(tmp_path / "float.onnx", pool=pool), tmp_path / "int8.onnx", **options)
    shown = images(300)

    build = open_build(path)
    answers = build.predict(shown)

    assert torch.equal(answers, answered(path, shown.numpy() / np.float32(255)))
    near = fidelity(None, build, shown)
    assert near.label_disagreement == 0
    if is_integer and pool == "GlobalAveragePool":
        assert near.equal_logits == 1
        assert build.integer_macs() == 1
    else:
        assert near.equal_logits >= 0.99
    assert near.max_lsb <= 1


def test_the_gradient_of_a_twin_is_that_of_the_network_it_was_quantized_from(tmp_path: Path) -> None:
    source = float_file(tmp_path / "float.onnx")
    exact = own_twin(open_build(source))
    near = own_twin(open_build(quantized_file(source, tmp_path / "int8.onnx", **_UNSIGNED)))
    gradients = []
    for module in (exact, near):
        shown = (images(16).float() / 255).requires_grad_()
        module(shown)[:, 0].sum().backward()
        assert shown.grad is not None
        gradients.append(shown.grad.flatten())

    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.9


@pytest.mark.parametrize(
    ("made", "fed"),
    [
        ({"channels": 3}, lambda shown: shown / np.float32(255)),
        ({"channels": 3, "layout": "nhwc"}, lambda shown: (shown / np.float32(255)).transpose(0, 2, 3, 1)),
        ({"dtype": "uint8"}, lambda shown: shown),
        ({"image": "images:0"}, lambda shown: shown / np.float32(255)),
    ],
    ids=["colour", "channels-last", "bytes", "name"],
)
def test_a_file_says_itself_how_it_wants_its_images(tmp_path: Path, made: Any, fed: Any) -> None:
    path = quantized_file(float_file(tmp_path / "float.onnx", **made), tmp_path / "int8.onnx", **_UNSIGNED)
    shown = images(70, made.get("channels", 1))

    build = open_build(path)

    assert torch.equal(build.predict(shown), answered(path, np.ascontiguousarray(fed(shown.numpy()))))
    assert torch.equal(twin_scores(own_twin(build), shown), build.predict(shown))


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    free = float_file(tmp_path / "free.onnx")
    fixed = float_file(tmp_path / "fixed.onnx", batch=8)
    shown = images(21)

    assert open_build(fixed).specification.input.batch == 8
    torch.testing.assert_close(open_build(fixed).predict(shown), open_build(free).predict(shown))
    assert own_twin(open_build(fixed))(shown.float() / 255).shape == (21, CLASSES)


def test_a_specification_says_what_the_file_does_not(tmp_path: Path) -> None:
    path = float_file(tmp_path / "float.onnx", channels=3)
    specification = Specification(input={"mean": "imagenet", "std": "imagenet", "channels": "bgr"})
    shown = images(9, 3)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    fed = (shown.numpy() / np.float32(255) - mean[:, None, None]) / std[:, None, None]

    build = open_build(path, specification=specification)

    expected = answered(path, np.ascontiguousarray(fed[:, ::-1]))
    torch.testing.assert_close(build.predict(shown), expected)
    torch.testing.assert_close(twin_scores(own_twin(build), shown), expected, atol=1e-5, rtol=1e-5)


def test_a_grey_build_refuses_colour_as_a_grey_network_does(tmp_path: Path) -> None:
    path = float_file(tmp_path / "grey.onnx")
    colour = images(3, 3)

    with pytest.raises(ModelError, match="3 channels and the model takes greyscale images") as refused:
        open_build(path).predict(colour)
    with pytest.raises(ModelError) as also:
        zoo.load_file(path, size=SIZE)(to_float(colour))
    assert str(refused.value) == str(also.value)


def test_a_rounded_softmax_has_a_gradient_before_it(tmp_path: Path) -> None:
    source = float_file(tmp_path / "float.onnx", softmax=True)
    build = open_build(quantized_file(source, tmp_path / "int8.onnx", **_UNSIGNED))
    twin = own_twin(build)
    shown = (images(8).float() / 255).requires_grad_()

    assert fidelity(None, build, images(100)).equal_logits == 1
    logits = twin.before_softmax(shown)
    assert torch.equal(logits.softmax(1).argmax(1), build.predict(images(8)).argmax(1))
    logits[:, 0].sum().backward()
    assert shown.grad is not None
    assert (shown.grad.flatten(1).abs().amax(1) > 0).all()


def test_a_twin_can_be_copied_and_sent_to_another_process(tmp_path: Path) -> None:
    source = float_file(tmp_path / "float.onnx", softmax=True)
    twin = own_twin(open_build(quantized_file(source, tmp_path / "int8.onnx", **_UNSIGNED)))
    shown = images(3).float() / 255
    for module in (twin, twin.before_softmax):
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert torch.equal(other(shown), module(shown))


def test_what_quantizes_as_it_runs_answers_images_one_at_a_time(tmp_path: Path) -> None:
    quantize_dynamic(str(float_file(tmp_path / "float.onnx")), str(tmp_path / "dynamic.onnx"))
    build = open_build(tmp_path / "dynamic.onnx")
    shown = images(20)

    alone = [answered(build.path, image[None].numpy() / np.float32(255)) for image in shown]
    assert torch.equal(build.predict(shown), torch.cat(alone))
    assert inspect_build(build.path).dynamic
    near = fidelity(None, build, shown)
    assert near.label_disagreement == 0
    assert near.max_lsb < 1e-5


def test_weights_in_another_file_are_read_from_the_models_folder(tmp_path: Path) -> None:
    path, folder = float_file(tmp_path / "whole.onnx"), tmp_path / "split"
    folder.mkdir()
    onnx.save(onnx.load(path), folder / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)

    build = open_build(folder / "model.onnx")

    assert torch.equal(build.predict(images(9)), open_build(path).predict(images(9)))
    assert inspect_build(build.path).no_twin == ""
    (folder / "weights").unlink()
    with pytest.raises(BuildError, match="'weights', and there is no such file; copy it beside the model"):
        open_build(folder / "model.onnx")


def test_an_operator_without_a_translation_is_named(tmp_path: Path) -> None:
    model = onnx.load(float_file(tmp_path / "float.onnx"))
    model.graph.node.append(onnx.helper.make_node("Shrink", ["scores"], ["unit"], name="thrifty", lambd=0.0))
    model.graph.output[0].name = "unit"
    onnx.save(model, tmp_path / "unit.onnx")

    build = open_build(tmp_path / "unit.onnx")

    assert build.predict(images(3)).shape == (3, CLASSES)
    with pytest.raises(ModelError, match="the operator Shrink 'thrifty' has no translation"):
        own_twin(build)
    assert "Shrink" in inspect_build(build.path).no_twin


def test_a_model_of_no_single_image_is_refused(tmp_path: Path) -> None:
    model = onnx.load(float_file(tmp_path / "float.onnx"))
    model.graph.input.append(onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.FLOAT, [1]))
    onnx.save(model, tmp_path / "two.onnx")

    with pytest.raises(
        BuildError, match=r"two\.onnx has 2 inputs \('pixels', 'mask'\); a classifier of images has one"
    ):
        open_build(tmp_path / "two.onnx")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.5])
def test_a_scale_that_no_quantizer_writes_is_named(tmp_path: Path, wrong: float) -> None:
    float_file(tmp_path / "float.onnx")
    model = onnx.load(quantized_file(tmp_path / "float.onnx", tmp_path / "int8.onnx", **_UNSIGNED))
    scale = next(tensor for tensor in model.graph.initializer if tensor.name == "pixels_scale")
    scale.CopyFrom(onnx.numpy_helper.from_array(np.array(wrong, np.float32), scale.name))
    onnx.save(model, tmp_path / "wrong.onnx")

    with pytest.raises(BuildError, match=rf"wrong\.onnx is damaged: the scale of 'pixels\w*' is {wrong:g}; copy it"):
        open_build(tmp_path / "wrong.onnx")


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    build = open_build(float_file(tmp_path / "float.onnx"))

    with pytest.raises(BuildError, match=rf"float\.onnx takes images \[1, {SIZE}, {SIZE}\]; got \[1, 9, 9\]"):
        build.predict(torch.zeros(1, 1, 9, 9, dtype=torch.uint8))
