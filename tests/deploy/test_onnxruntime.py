"""ONNX Runtime builds: what is in the file, what they answer, and how they refuse."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from edgerift.deploy import Operation, build, given_build, open_build, twin
from edgerift.deploy.runtimes.onnxruntime._macs import integer_share
from edgerift.errors import BuildError
from edgerift.steps import Store

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


@pytest.fixture(scope="module")
def program(make_program):
    """Two convolutions with a residual addition, global pooling and a linear layer, on 16x16 images."""
    maker = make_program()
    first = maker.convolution(maker.rounded("image"), 8, kernel=3, stride=2, padding=1)
    first = maker.rounded(maker.call("aten.relu.default", first))
    second = maker.rounded(maker.convolution(first, 8, kernel=3, padding=1))
    added = maker.rounded(maker.call("aten.add.Tensor", second, first))
    pooled = maker.rounded(maker.call("aten.adaptive_avg_pool2d.default", added, [1, 1]))
    flat = maker.rounded(maker.call("aten.flatten.using_ints", pooled, 1), grid=maker.grid(pooled))
    return maker.program(maker.rounded(maker.linear(flat, 5)))


@pytest.fixture(scope="module")
def built(program, tmp_path_factory):
    return build(program, "onnxruntime", tmp_path_factory.mktemp("build") / "model.onnx")


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (150, 3, 16, 16), generator=generator, dtype=torch.uint8)


def test_answers_are_float_logits_whatever_the_batch(built, images):
    answers = built.predict(images)
    assert answers.dtype == torch.float32
    assert answers.shape == (150, 5)
    for size in (1, 7, 64):
        assert torch.equal(torch.cat([built.predict(part) for part in torch.split(images, size)]), answers)


def test_answers_do_not_depend_on_memory_layout(built, images):
    assert torch.equal(built.predict(images.contiguous(memory_format=torch.channels_last)), built.predict(images))


def test_answers_are_those_of_a_session_with_default_options(built, images):
    session = onnxruntime.InferenceSession(str(built.path), providers=["CPUExecutionProvider"])
    answers = session.run(None, {"images": (images / 255).numpy()})[0]
    assert np.array_equal(answers, built.predict(images).numpy())


def test_the_file_is_whole_and_runs_in_any_folder(built, images, tmp_path):
    model = onnx.load(built.path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.HasField("data_location") and tensor.data_location for tensor in model.graph.initializer)
    assert [entry.name for entry in built.path.parent.iterdir()] == ["model.onnx"]
    assert not any(node.metadata_props for node in model.graph.node)
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(built.path.read_bytes())
    assert torch.equal(open_build(moved).predict(images), built.predict(images))


def test_the_file_is_standard_onnx_with_uint8_activations_and_int32_biases(built):
    graph = onnx.load(built.path).graph
    assert {opset.domain for opset in onnx.load(built.path).opset_import} == {""}
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    zero_points = [kinds[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert set(zero_points) == {onnx.TensorProto.UINT8}
    assert not any(node.op_type in ("Relu", "Clip") for node in graph.node)
    makers = {node.output[0]: node for node in graph.node}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert [kinds[makers[node.input[2]].input[0]] for node in layers] == [onnx.TensorProto.INT32] * 3


def test_the_same_program_gives_the_same_bytes_and_no_noise(program, built, tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = build(program, "onnxruntime", tmp_path / "again.onnx")
    assert capfd.readouterr() == ("", "")
    assert again.path.read_bytes() == built.path.read_bytes()
    assert again.fingerprint() == built.fingerprint()
    assert again.fingerprint().version == onnxruntime.__version__


@pytest.fixture
def apart(built, tmp_path):
    """The built model with its weights in a file beside it."""
    folder = tmp_path / "apart"
    folder.mkdir()
    model = onnx.load(built.path)
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=100)
    return folder / "model.onnx"


def turn_first_weights(model, file):
    """Turn the lowest bit of the weights of one layer, where they lie in their file."""
    tensors = onnx.load(model, load_external_data=False).graph.initializer
    layer = next(tensor for tensor in tensors if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4)
    place = {entry.key: entry.value for entry in layer.external_data}
    start, content = int(place.get("offset", 0)), bytearray(file.read_bytes())
    for index in range(start, start + int(place["length"])):
        content[index] ^= 1
    file.write_bytes(content)


def test_weights_in_another_file_belong_to_the_build(apart, built, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opened = open_build(apart)
    assert torch.equal(opened.predict(images), built.predict(images))
    assert opened.integer_macs() == built.integer_macs()
    given = given_build(apart)
    assert given.sha256 == opened.fingerprint().sha256
    kept = Store(tmp_path / "store").get(given) / "model.onnx"
    weights = apart.with_name("weights.bin")
    turn_first_weights(apart, weights)
    changed = open_build(apart)
    assert not torch.equal(changed.predict(images), built.predict(images))
    assert changed.fingerprint().sha256 not in (given.sha256, built.fingerprint().sha256)
    with pytest.raises(BuildError, match="has changed since it was named"):
        Store(tmp_path / "other").get(given)
    assert torch.equal(open_build(kept).predict(images), built.predict(images))
    weights.unlink()
    with pytest.raises(BuildError, match=r"weights in 'weights.bin', and there is no such file"):
        open_build(apart)
    assert torch.equal(open_build(kept).predict(images), built.predict(images))


@pytest.mark.parametrize("place", ["../weights.bin", "/weights.bin", "link.bin"])
def test_weights_outside_the_models_folder_are_refused(apart, place):
    outside = apart.parent.parent / "weights.bin"
    apart.with_name("weights.bin").rename(outside)
    apart.with_name("link.bin").symlink_to(outside)
    model = onnx.load(apart, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = place if place != "/weights.bin" else str(outside)
    apart.write_bytes(model.SerializeToString())
    for open_it in (open_build, given_build):
        with pytest.raises(BuildError, match="which is not beside it") as refusal:
            open_it(apart)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("damage", [b"", b"not a model", None], ids=["empty", "text", "truncated"])
def test_a_damaged_file_is_refused_in_one_line(built, tmp_path, damage):
    path = tmp_path / "damaged.onnx"
    path.write_bytes(built.path.read_bytes()[:1000] if damage is None else damage)
    with pytest.raises(BuildError, match=r"ONNX Runtime cannot load .*damaged\.onnx") as refusal:
        open_build(path)
    assert "\n" not in str(refusal.value)
    with pytest.raises(BuildError):
        integer_share(path)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(2, 3, 20, 20, dtype=torch.uint8), torch.zeros(2, 3, 16, 16)], ids=["size", "type"]
)
def test_wrong_images_are_refused_in_one_line(built, wrong):
    with pytest.raises(BuildError) as refusal:
        built.predict(wrong)
    assert "\n" not in str(refusal.value)


def test_a_bias_beyond_int32_is_refused_and_leaves_no_file(program, tmp_path):
    scale = next(name for name in program.tensors if name.endswith(".scale"))
    damaged = program.with_tensors({scale: program.tensors[scale] * 1e-9})
    with pytest.raises(BuildError, match="does not fit in int32"):
        build(damaged, "onnxruntime", tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_an_operator_that_onnx_lacks_is_refused_in_one_line(program, tmp_path):
    last = program.operations[-1]
    odd = Operation(name="odd", operator="aten.channel_shuffle.default", arguments=[{"node": last.name}, 5])
    broken = dataclasses.replace(program, operations=(*program.operations, odd), output="odd")
    with pytest.raises(BuildError, match="ONNX Runtime refused the program") as refusal:
        build(broken, "onnxruntime", tmp_path / "model.onnx")
    assert "\n" not in str(refusal.value)


def test_it_answers_as_the_converted_graph_within_rounding(program, built, images):
    expected = twin(program)(images / 255)
    step = program.operations[-1].arguments[1]
    assert float((built.predict(images) - expected).abs().max()) <= 3.01 * step


class HalfQuantized(nn.Module):
    """A convolution that ONNX Runtime can run in integers, and one that it cannot."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 3, 3, 3))
        self.levels = nn.Parameter(torch.ones(6, 4, 1, 1, dtype=torch.int8), requires_grad=False)

    def forward(self, images):
        pair = torch.ops.quantized_decomposed
        grid = (0.1, 0, 0, 255, torch.uint8)
        values = torch.nn.functional.conv2d(images, self.weight)
        values = pair.dequantize_per_tensor(pair.quantize_per_tensor(values, *grid), *grid)
        weight = pair.dequantize_per_tensor(self.levels, 0.1, 0, -127, 127, torch.int8)
        values = torch.nn.functional.conv2d(values, weight)
        return pair.dequantize_per_tensor(pair.quantize_per_tensor(values, *grid), *grid)


def test_the_integer_share_counts_multiply_accumulates(make_program, tmp_path):
    path = tmp_path / "half.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(HalfQuantized().eval(), (torch.zeros(2, 3, 10, 10),), dynamo=True, verbose=False)
    exported.save(path)
    pixels = 2 * 8 * 8
    in_float, in_integers = pixels * 4 * 27, pixels * 6 * 4
    assert integer_share(path) == pytest.approx(in_integers / (in_float + in_integers))
