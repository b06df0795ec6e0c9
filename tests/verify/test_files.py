"""Files: what is read back of those of each runtime, and of those that other tools write."""

import hashlib
import json
import math

import numpy as np
import onnx
import pytest
import torch
from exported_pte import SIZE, Residual, export_pte, seeded
from onnx import TensorProto, helper, numpy_helper
from quantized_files import float_file, quantized_file
from torch import nn

from edgerift import zoo
from edgerift.adapt import ptq
from edgerift.deploy import artefact_digest, build, quiet, stored_layers
from edgerift.errors import BuildError, InputError, ModelError
from edgerift.verify import verify

SPELLINGS = {
    "default": {},
    "by channel": {"per_channel": True, "reduce_range": True},
    "unsigned": {"activation_type": "QUInt8", "weight_type": "QUInt8"},
    "operators": {"quant_format": "QOperator"},
}


@pytest.fixture(scope="module")
def built(quantized, litert_build, tmp_path_factory):
    """The program as a file of each runtime whose weights can be read back."""
    folder = tmp_path_factory.mktemp("built")
    with quiet():
        build(quantized.program, "onnxruntime", folder / "model.onnx")
        build(quantized.program, "executorch", folder / "model.pte")
    return {
        "onnxruntime": folder / "model.onnx",
        "litert": litert_build,
        "executorch": folder / "model.pte",
    }


@pytest.fixture(scope="module")
def float_onnx(tmp_path_factory):
    return float_file(tmp_path_factory.mktemp("float") / "float.onnx")


def options(spelling):
    from onnxruntime.quantization import QuantFormat, QuantType

    kinds = {"activation_type": QuantType, "weight_type": QuantType, "quant_format": QuantFormat}
    return {name: kinds[name][value] if name in kinds else value for name, value in SPELLINGS[spelling].items()}


def change_code(source, path, by=1):
    """Write a copy in which one code of the first convolution is another; returns the index of it."""
    model = onnx.load(source)
    stored = next(one for one in model.graph.initializer if one.data_type in (2, 3) and len(one.dims) == 4)
    values = numpy_helper.to_array(stored).copy()
    ends = np.iinfo(values.dtype)
    inside = (values > ends.min + 20) & (values < ends.max - 20)
    place = tuple(int(one) for one in np.argwhere(inside)[3])
    values[place] += by
    stored.CopyFrom(numpy_helper.from_array(values, stored.name))
    onnx.save(model, path)
    return place


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert", "executorch"])
def test_a_runtimes_file_holds_the_layers_of_its_program(quantized, built, runtime):
    expected, found = stored_layers(quantized.program), stored_layers(built[runtime], runtime)
    assert len(found) == len(expected) == 3
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours.codes, theirs.codes)
        assert torch.equal(ours.scale.float(), theirs.scale.float())
        assert ours.input_scale == pytest.approx(theirs.input_scale, rel=1e-6)
        assert (ours.bias - theirs.bias).abs().le(0.501 * ours.bias_step).all()


class Flat(nn.Module):
    """Its convolution is flattened before it is rounded, and so written as integer sums, a factor and an addition."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 5, 3), nn.Linear(5 * 36, 4)

    def forward(self, images):
        return self.last(self.first(images).relu().flatten(1))


def test_a_convolution_that_is_written_in_parts_is_read_back_whole(quantized, tmp_path):
    torch.manual_seed(0)
    original = Flat()
    with quiet():
        program = ptq(original, quantized.images, target="server", calibration_images=32)
        build(program, "onnxruntime", tmp_path / "model.onnx")
    operators = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert {"ConvInteger", "Cast"} < operators
    expected, found = stored_layers(program)[0], stored_layers(tmp_path / "model.onnx", "onnxruntime")[0]
    assert torch.equal(found.codes, expected.codes)
    assert torch.allclose(found.scale.double(), expected.scale.double(), rtol=1e-6, atol=0)
    assert found.input_scale == pytest.approx(expected.input_scale, rel=1e-6)
    assert torch.allclose(found.bias, original.first.bias.double(), rtol=0, atol=1e-6)
    compared = verify(original, tmp_path / "model.onnx", program=program)
    assert (compared.verdict, compared.layers) == ("conforms", 2)


@pytest.mark.parametrize(
    ("shape", "is_bias"),
    [((1, 5, 1, 1), True), ((5, 1, 1), True), ((), False), ((1,), False), ((6,), False), ((1, 5, 6, 6), False)],
)
def test_a_constant_is_a_bias_if_it_has_a_value_for_each_channel(quantized, tmp_path, shape, is_bias):
    torch.manual_seed(0)
    with quiet():
        program = ptq(Flat(), quantized.images, target="server", calibration_images=32)
        build(program, "onnxruntime", tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    sums = next(node for node in model.graph.node if node.op_type == "ConvInteger")
    cast = next(node for node in model.graph.node if sums.output[0] in node.input)
    product = next(node for node in model.graph.node if cast.output[0] in node.input)
    added = next(node for node in model.graph.node if product.output[0] in node.input)
    values = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    model.graph.initializer.append(numpy_helper.from_array(values, "added"))
    for place, name in enumerate(added.input):
        if name != product.output[0]:
            added.input[place] = "added"
    onnx.save(model, tmp_path / "other.onnx")
    bias = stored_layers(tmp_path / "other.onnx", "onnxruntime")[0].bias
    assert (None if bias is None else bias.tolist()) == (values.flatten().tolist() if is_bias else None)


@pytest.mark.parametrize("runtime", ["onnxruntime", "litert", "executorch"])
def test_a_build_that_was_compiled_from_the_program_conforms(quantized, built, runtime):
    found = verify(quantized.original, built[runtime], program=quantized.program)
    assert found.verdict == "conforms"
    assert found.check("compilation").verdict == "conforms"
    assert found.builds[0].sha256 == artefact_digest(runtime, built[runtime])


@pytest.mark.parametrize("per_channel", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_pte_of_another_tool_conforms_and_one_of_another_network_does_not(tmp_path, per_channel):
    """Quantized and lowered without edgerift; nothing but the float original is at hand."""
    plain = zoo.Architecture(name="residual", classes=10, size=SIZE, mean=(0,) * 3, std=(1,) * 3)
    network = seeded(Residual).eval()
    path = export_pte(network, tmp_path / "model.pte", per_channel=per_channel)
    found = verify(zoo.Classifier(network, plain), path)
    assert (found.verdict, found.layers) == ("conforms", 5), found
    other = verify(zoo.Classifier(Residual().eval(), plain), path)
    assert (other.verdict, other.check("origin").verdict) == ("deviates", "deviates")


def test_one_flipped_bit_of_a_build_is_named(quantized, built, tmp_path):
    place = change_code(built["onnxruntime"], tmp_path / "model.onnx", by=2)
    found = verify(quantized.original, tmp_path / "model.onnx", program=quantized.program)
    part = found.check("compilation")
    assert (found.verdict, part.verdict) == ("deviates", "deviates")
    assert part.places[0].index == place
    assert part.places[0].found == part.places[0].expected + 2


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_file_of_onnx_runtimes_own_tool_conforms(float_onnx, tmp_path, spelling):
    path = quantized_file(float_onnx, tmp_path / "int8.onnx", **options(spelling))
    original = zoo.load_file(float_onnx, size=zoo.file_size(float_onnx))
    found = verify(original, path)
    assert (found.verdict, found.quantizer, found.layers) == ("conforms", "onnxruntime", 4)
    place = change_code(path, tmp_path / "other.onnx")
    other = verify(original, tmp_path / "other.onnx")
    assert other.verdict == "deviates"
    assert [one.index for one in other.check("rounding").places] == [place]


def test_a_file_quantized_as_it_runs_conforms(float_onnx, tmp_path):
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(str(float_onnx), str(tmp_path / "int8.onnx"))
    found = verify(zoo.load_file(float_onnx, size=zoo.file_size(float_onnx)), tmp_path / "int8.onnx")
    assert (found.verdict, found.layers) == ("conforms", 4)


def test_a_changed_code_of_an_unknown_tool_is_named_with_what_would_explain_it(float_onnx, tmp_path):
    path = quantized_file(float_onnx, tmp_path / "int8.onnx")
    change_code(path, tmp_path / "other.onnx")
    model = onnx.load(tmp_path / "other.onnx")
    model.producer_name = "someone"
    onnx.save(model, tmp_path / "other.onnx")
    found = verify(zoo.load_file(float_onnx, size=zoo.file_size(float_onnx)), tmp_path / "other.onnx")
    assert (found.quantizer, found.verdict) == ("", "unknown")
    assert "qat" in found.check("rounding").named


def test_a_batch_normalisation_of_a_float_file_is_folded(float_onnx, tmp_path):
    model = onnx.load(float_onnx)
    draw = np.random.default_rng(0)
    figures = {name: draw.uniform(0.5, 2, 8).astype(np.float32) for name in ("gain", "shift", "mean", "variance")}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    made = helper.make_node("BatchNormalization", ["before", *figures], [first.output[0]])
    first.output[0] = "before"
    model.graph.node.insert(1, made)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in figures.items())
    onnx.save(model, tmp_path / "normalised.onnx")
    plain = stored_layers(float_onnx, "onnxruntime")[0]
    folded = stored_layers(tmp_path / "normalised.onnx", "onnxruntime")[0]
    slope = torch.tensor(figures["gain"] / np.sqrt(figures["variance"] + 1e-5)).double()
    assert torch.allclose(folded.real, plain.real * slope.view(-1, 1, 1, 1), rtol=1e-5)
    shift = torch.tensor(figures["shift"]) + (plain.bias - torch.tensor(figures["mean"])) * slope
    assert torch.allclose(folded.bias, shift, rtol=1e-5)


def test_a_build_with_a_layer_more_does_not_conform(float_onnx, tmp_path):
    path = quantized_file(float_onnx, tmp_path / "int8.onnx")
    model = onnx.load(path)
    weight = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weight, "hidden"))
    model.graph.node.append(helper.make_node("Gemm", ["scores", "hidden"], ["other"], transB=1))
    model.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, None))
    onnx.save(model, tmp_path / "more.onnx")
    found = verify(zoo.load_file(float_onnx, size=zoo.file_size(float_onnx)), tmp_path / "more.onnx")
    assert (found.verdict, found.check("origin").verdict) == ("deviates", "deviates")
    assert "no layer of the original has this shape" in found.check("origin").text


def test_a_digest_that_the_card_states_is_compared(quantized, built, tmp_path):
    path = built["onnxruntime"]
    for stated, verdict in ((artefact_digest("onnxruntime", path), "conforms"), ("0" * 64, "deviates")):
        card = tmp_path / "card.json"
        card.write_text(json.dumps({"fingerprint": {"onnxruntime": {"sha256": stated, "version": "1"}}}))
        checks = ["provenance"]
        found = verify(quantized.original, path, program=quantized.program, card=card, checks=checks)
        assert found.check("provenance").verdict == verdict
    assert hashlib.sha256(path.read_bytes()).hexdigest() == artefact_digest("onnxruntime", path)


def test_what_cannot_be_read_back_is_said(quantized, tmp_path):
    (tmp_path / "model.pt2").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be read back: inductor packs them"):
        stored_layers(tmp_path / "model.pt2", "inductor")
    for content in (b"", b"ET12" * 100):
        (tmp_path / "model.pte").write_bytes(content)
        with pytest.raises(ModelError, match="not an ExecuTorch program"):
            stored_layers(tmp_path / "model.pte", "executorch")
    with pytest.raises(BuildError, match="no build at"):
        verify(quantized.original, tmp_path / "model.onnx", program=quantized.program)
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="does not say the shape of its images"):
        verify(quantized.original, tmp_path / "model.onnx")
