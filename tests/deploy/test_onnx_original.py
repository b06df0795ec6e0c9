"""ONNX files as originals: what ONNX Runtime answers, kept whole in an original of edgerift."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnx_models import asked, made

from edgerift import zoo
from edgerift.errors import ModelError
from edgerift.specification import Specification

DRAWN = np.random.default_rng(0)
WEIGHTS = {
    "kernel": DRAWN.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "shift": DRAWN.normal(size=4).astype(np.float32),
    "head": DRAWN.normal(size=(4 * 6 * 6, 5)).astype(np.float32),
}
IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def model(height=8, width=8):
    nodes = [
        helper.make_node("Conv", ["x", "kernel", "shift"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "head"], ["y"]),
    ]
    return made(nodes, WEIGHTS, ["N", 3, height, width])


@pytest.mark.parametrize("external", [False, True])
def test_an_onnx_file_is_an_original_with_a_gradient(external, tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(model(), path, save_as_external_data=external, location="net.data", size_threshold=0)
    found = zoo.load_file(path, size=8, specification=Specification(input={"mean": 0.5, "std": 0.25}))
    expected = asked(model(), ((IMAGES - 0.5) / 0.25).numpy())
    torch.testing.assert_close(found(IMAGES), expected, rtol=1e-5, atol=1e-5)
    assert (found.architecture.name, found.architecture.classes) == ("onnx", 5)
    zoo.save(found, tmp_path / "original.safetensors")
    path.unlink()
    again = zoo.load(tmp_path / "original.safetensors")
    assert torch.equal(again(IMAGES), found(IMAGES))
    given = IMAGES.clone().requires_grad_()
    again(given)[:, 0].sum().backward()
    assert given.grad.abs().amax() > 0


def test_a_file_for_other_images_or_a_damaged_one_is_told(tmp_path):
    onnx.save(model(), tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="takes images of 8 x 8 pixels; pass --size 8"):
        zoo.load_file(tmp_path / "net.onnx", size=16)
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "net.onnx").read_bytes()[:-400])
    with pytest.raises(ModelError):
        zoo.load_file(tmp_path / "cut.onnx", size=8)
