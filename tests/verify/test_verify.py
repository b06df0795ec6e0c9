"""What the checks say of a program that is what it claims to be, and of those that are not."""

import copy
from dataclasses import replace

import pytest
import torch

from edgerift.adapt import RoundingSettings, folded_layers, ptq, reround
from edgerift.deploy import Provenance, quiet, stored_layers
from edgerift.errors import InputError, RecipeError
from edgerift.verify import QUANTIZERS, match, verify


def verdicts(found):
    return {check.name: check.verdict for check in found.checks}


def test_what_post_training_quantization_makes_conforms(quantized):
    found = verify(quantized.original, program=quantized.program)
    assert (found.verdict, found.quantizer, found.layers, found.builds) == ("conforms", "ptq", 3, ())
    assert set(verdicts(found).values()) == {"conforms"}
    assert set(verdicts(found)) == {"origin", "rounding", "truncation", "scales", "biases", "provenance"}
    assert found.check("rounding").figures == {"off": 0, "far": 0, "codes": 0}
    assert found.weights == 8 * 9 + 16 * 72 + 4 * 16


@pytest.mark.parametrize("by", [-3, -1, 1, 2])
@pytest.mark.parametrize(("layer", "index"), [("inner", (3, 5, 2, 1)), ("last", (2, 7)), ("stem", (0, 0, 1, 1))])
def test_one_changed_code_is_named_by_layer_and_index(quantized, layer, index, by):
    honest = int(quantized.program.tensors[f"{layer}.weight"][index])
    if not -127 <= honest + by <= 127:
        pytest.skip("there is no such code")
    found = verify(quantized.original, program=quantized.changed(layer, index, by))
    assert found.verdict == "deviates"
    (place,) = found.check("rounding").places
    assert (place.layer, place.index, place.found, place.expected) == (layer, index, honest + by, honest)
    assert layer in found.check("rounding").text


def test_turned_roundings_break_the_rounding_and_not_the_law_of_truncation(quantized):
    changed, floats = (
        {},
        {layer.name: layer.weight for layer in folded_layers(quantized.original, quantized.program.shape)},
    )
    for layer in stored_layers(quantized.program):
        residual = floats[layer.name] / layer.scale - layer.codes
        turned = torch.rand(residual.shape, generator=torch.Generator().manual_seed(1)) < 0.2
        codes = layer.codes + torch.where(turned, residual.sign(), 0).long()
        changed[f"{layer.name}.weight"] = codes.clamp(-127, 127).to(torch.int8)
    found = verify(quantized.original, program=quantized.program.with_tensors(changed))
    told = verdicts(found)
    assert (told["rounding"], told["truncation"], told["origin"]) == ("deviates", "conforms", "conforms")
    assert 0.15 < found.check("rounding").figures["off"] < 0.25
    assert found.check("rounding").figures["far"] == 0


def test_a_float_model_moved_inside_its_codes_breaks_the_law_of_truncation_and_not_the_rounding(quantized):
    found = verify(quantized.moved(0.3), program=quantized.program)
    told = verdicts(found)
    assert (told["rounding"], told["truncation"]) == ("conforms", "deviates")
    assert "inner" in found.check("truncation").text
    # The shares beyond .49 of a step: uniform errors have 2 %, normal ones of .3 that end at .499 have 10 % there.
    assert found.check("truncation").layers[1].figures["edge"] > 0.08


def test_a_small_move_leaves_what_nobody_could_tell_from_chance(quantized):
    generator = torch.Generator().manual_seed(3)
    original = quantized.moved(0.0)
    codes, scale = (quantized.program.tensors[f"inner.{part}"] for part in ("weight", "scale"))
    within = torch.rand(codes.shape, generator=generator) - 0.5
    within[codes.abs() == 127] = 0
    original.inner.weight.copy_((codes + within) * scale.view(-1, 1, 1, 1))
    assert verdicts(verify(original, program=quantized.program))["truncation"] == "conforms"


def test_another_seeds_original_is_not_where_a_program_comes_from(quantized):
    found = verify(type(quantized.original)(1), program=quantized.program)
    told = verdicts(found)
    assert (found.verdict, told["origin"], told["provenance"]) == ("deviates", "deviates", "deviates")
    assert found.check("origin").figures["distance"] > 1


@pytest.mark.parametrize(("change", "check"), [(("last.bias", 1.0), "biases"), (("inner.scale", 0.05), "scales")])
def test_a_moved_bias_and_a_raised_scale_are_found(quantized, change, check):
    name, by = change
    tensor = quantized.program.tensors[name].clone()
    tensor[2] += by if check == "biases" else by * tensor[2]
    found = verify(quantized.original, program=quantized.program.with_tensors({name: tensor}))
    assert verdicts(found)[check] == "deviates"
    assert name.split(".")[0] in found.check(check).text
    if check == "biases":
        assert [place.index for place in found.check(check).places] == [(2,)]


def test_clipped_weights_are_the_scales_affair_and_named_there(quantized):
    """A calibration may cut outliers: then their codes are the last ones, which are nearest all the same."""
    scale = quantized.program.tensors["inner.scale"] * 0.8
    layer = next(one for one in folded_layers(quantized.original, quantized.program.shape) if one.name == "inner")
    codes = (layer.weight / scale.double().view(-1, 1, 1, 1)).round().clamp(-127, 127).to(torch.int8)
    changed = quantized.program.with_tensors({"inner.scale": scale, "inner.weight": codes})
    found = verify(quantized.original, program=changed, quantizer="brevitas")
    assert (verdicts(found)["rounding"], verdicts(found)["scales"]) == ("conforms", "unknown")
    assert found.check("scales").named == ("a calibration that clips",)
    assert "clipped: inner" in found.check("scales").text


def test_channels_of_very_small_weights_may_have_a_coarser_scale(quantized):
    """Their biases would not fit 32 bits on the grid that follows from the range."""
    original = copy.deepcopy(quantized.original)
    original.stem.weight[3].mul_(1e-5)
    with quiet():
        program = ptq(original, quantized.images, calibration_images=32)
    (stem, *_) = folded_layers(original, program.shape)
    assert program.tensors["stem.scale"][3] > 100 * stem.weight[3].abs().max() / 127
    assert verify(original, program=program).check("scales").verdict == "conforms"


def test_zeros_of_a_pruned_model_are_left_out(quantized):
    original = quantized.moved(0.0)
    original.inner.weight.copy_(quantized.original.inner.weight)
    original.inner.weight[torch.rand(original.inner.weight.shape) < 0.7] = 0
    with quiet():
        program = ptq(original, quantized.images, calibration_images=32)
    found = verify(original, program=program)
    assert found.verdict == "conforms"
    assert found.check("truncation").figures["errors"] < 0.5 * found.weights


def test_a_trained_program_is_neither_accused_nor_cleared(quantized):
    """The codes of a trained program do not follow from the original; a few that moved by a step are no surprise."""
    provenance = Provenance(method="qat", settings={"train": {"learning_rate": 0.001, "epochs": 1}})
    program = replace(quantized.changed("inner", (3, 5, 2, 1), 1), provenance=provenance)
    found = verify(quantized.original, program=program)
    assert (found.quantizer, found.verdict) == ("qat", "unknown")
    assert verdicts(found)["rounding"] == "unknown"


@pytest.mark.parametrize(
    ("images", "verdict"), [(64, "deviates"), (64_000, "unknown"), (10**9, "unknown"), (None, "unknown")]
)
def test_how_far_a_training_moves_codes_goes_by_its_steps(quantized, images, verdict):
    codes = quantized.program.tensors["inner.weight"]
    moved = 0.7 * torch.randn(codes.shape, generator=torch.Generator().manual_seed(0))
    changed = (codes + moved.round()).clamp(-127, 127).to(torch.int8)
    train = {"learning_rate": 0.001, "epochs": 1, "batch_size": 64}
    provenance = Provenance(method="qat", settings={"train": train}, trained_on=images)
    program = replace(quantized.program.with_tensors({"inner.weight": changed}), provenance=provenance)
    found = verify(quantized.original, program=program, checks=["rounding"])
    assert verdicts(found) == {"rounding": verdict}


def test_layers_of_other_names_are_matched_by_their_content(quantized):
    stored = stored_layers(quantized.program)
    renamed = [replace(one, name=f"layer {number}") for number, one in enumerate(stored)]
    found = match(renamed, folded_layers(quantized.original, quantized.program.shape))
    assert [layer.original.name for layer in found.layers] == ["stem", "inner", "last"]
    assert (found.unknown, found.missing) == ((), ())


def test_wrong_input_is_worded_in_one_line(quantized):
    with pytest.raises(InputError, match="nothing to verify"):
        verify(quantized.original)
    with pytest.raises(RecipeError, match="unknown quantizer 'onxruntime'; did you mean 'onnxruntime'"):
        verify(quantized.original, program=quantized.program, quantizer="onxruntime")
    with pytest.raises(RecipeError, match="unknown check 'roundings'; did you mean 'rounding'"):
        verify(quantized.original, program=quantized.program, checks=["roundings"])
    assert "ptq" in QUANTIZERS.names()


def equalised(original):
    """The same function, with other ranges of the channels between the first two layers."""
    other = type(original)()
    other.load_state_dict(original.state_dict())
    factor = torch.tensor([0.3, 0.5, 0.8, 1.0, 1.3, 2.0, 3.0, 0.4])
    other.norm.weight *= factor
    other.norm.bias *= factor
    other.inner.weight /= factor[None, :, None, None]
    return other


def test_channels_that_were_equalised_are_named_and_not_accused(quantized):
    with quiet():
        program = ptq(equalised(quantized.original), quantized.images, calibration_images=32)
    told = replace(program, provenance=Provenance(method="unknown"))
    found = verify(quantized.original, program=told)
    assert (found.verdict, found.check("origin").verdict) == ("unknown", "unknown")
    assert found.check("origin").named == ("cross-layer equalisation",)
    assert "stem, inner" in found.check("origin").text
    assert "deviates" not in verdicts(found).values()
    codes = program.tensors["last.weight"].clone()
    codes[1, 2] += 3
    found = verify(quantized.original, program=told.with_tensors({"last.weight": codes}), quantizer="onnxruntime")
    assert found.check("rounding").verdict == "deviates"  # The other layers are compared as ever.


def test_roundings_chosen_by_a_loss_are_named_and_not_accused(quantized):
    with quiet():
        chosen = reround(quantized.original, quantized.program, quantized.images, settings=RoundingSettings(flip=0))
    found = verify(quantized.original, program=chosen)
    assert (found.quantizer, found.verdict) == ("adaround", "unknown")
    assert found.check("truncation").verdict == "conforms"
    unnamed = verify(quantized.original, program=replace(chosen, provenance=Provenance(method="unknown")))
    assert "adaround" in unnamed.check("rounding").named
    assert unnamed.verdict == "unknown"
