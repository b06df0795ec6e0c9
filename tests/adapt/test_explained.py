"""What is compared with the original: the exported graph, step by step, and the program, layer by layer."""

import dataclasses
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgerift import adapt, errors
from edgerift.adapt import _convert, _export, ptq
from edgerift.images import ImageSet


class Small(nn.Module):
    """A little of everything: a fused clamp, a weighted sum, a pooling, a stored number, a linear layer."""

    def __init__(self, classes=3):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.linear = nn.Linear(4 * 16, classes)
        self.first.weight.data.mul_(30)

    def forward(self, images):
        values = F.relu6(self.first(images))
        values = torch.add(values, self.second(values), alpha=0.5)
        return self.linear(F.avg_pool2d(values, 2).flatten(1))


@pytest.fixture(scope="module")
def noise():
    pixels = torch.randint(256, (32, 3, 8, 8), generator=torch.Generator().manual_seed(1)).byte()
    return ImageSet("noise", pixels, torch.arange(32) % 3, ("a", "b", "c"), "noise")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Small().eval()


def wrong_bounds(module):
    """Stand for a rewriting that forgets a bound."""
    for node in module.graph.nodes:
        if node.target is torch.ops.aten.hardtanh.default:
            node.args = (node.args[0], 0.0, 5.0)


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_a_step_that_changes_the_answers_is_named(model, noise, monkeypatch, target):
    monkeypatch.setattr(_export, "spell_means_as_poolings", wrong_bounds)
    with pytest.raises(
        errors.QuantizationError, match=r"'Small' .* the step 'wrong bounds' changes scores by up to"
    ) as found:
        ptq(model, noise, target=target)
    assert "\n" not in str(found.value)


class Coin(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p, self.linear = p, nn.Linear(192, 3)

    def forward(self, images):
        return self.linear(F.dropout(images.flatten(1), self.p))


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_an_original_that_draws_is_refused(noise, target):
    with pytest.raises(errors.ModelError, match=r"the original is not deterministic: .*training=self\.training"):
        ptq(Coin(0.5).eval(), noise, target=target)
    ptq(Coin(0.0).eval(), noise, target=target)


class Rarely(nn.Module):
    """Draws a number, and looks at it so rarely that two answers are alike."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(192, 3)

    def forward(self, images):
        scores = self.linear(images.flatten(1))
        return scores + (torch.rand_like(scores) > 1).float()


def test_an_operator_that_draws_is_refused_by_name(noise):
    with pytest.raises(errors.QuantizationError, match=r"aten\.rand_like"):
        ptq(Rarely().eval(), noise)


@pytest.mark.parametrize("training", [False, True])
def test_a_model_is_asked_twice_in_evaluation_mode_and_stays_as_it_is(training):
    images = torch.rand(4, 3, 8, 8)
    settled = nn.Sequential(nn.Dropout(), nn.Flatten()).train(training)
    adapt.require_repeatable(settled, images)
    assert settled.training == training
    with pytest.raises(errors.ModelError, match="is not deterministic"):
        adapt.require_repeatable(Coin(0.5).train(training), images)


# Faults that a converter could have: what each does to a program, and the layer that is to be named.
def flipped_channel(program):
    weight = program.tensors["second.weight"].clone()
    weight[1] = -weight[1]
    return program.with_tensors({"second.weight": weight})


def coarse_channel(program):
    weight = program.tensors["linear.weight"].clone()
    weight[0] = (weight[0] // 16) * 16
    return program.with_tensors({"linear.weight": weight})


def other_scale(program):
    return program.with_tensors({"first.scale": program.tensors["first.scale"] * 1.5})


def no_bias(program):
    return program.with_tensors({"second.bias": program.tensors["second.bias"] * 0})


def changed(program, operator, change):
    operations = [change(entry) if entry.operator == operator else entry for entry in program.operations]
    return dataclasses.replace(program, operations=tuple(operations))


def dropped_keyword(program):
    return changed(program, "aten.add.Tensor", lambda entry: entry.replace(keywords={}))


def other_bound(program):
    return changed(
        program, "aten.hardtanh.default", lambda entry: entry.replace(arguments=[entry.arguments[0], 0.0, 3.0])
    )


def other_operator(program):
    return changed(
        program,
        "aten.hardtanh.default",
        lambda entry: entry.replace(operator="aten.relu.default", arguments=entry.arguments[:1]),
    )


def small_grid(program):
    """Halve the range of what the first layer writes."""
    name = next(
        entry.name
        for entry in program.operations
        if entry.operator == "quantized_decomposed.quantize_per_tensor.default"
        and str(entry.arguments[0]) == "{'node': 'hardtanh_default'}"
    )

    def halved(entry):
        if name not in (entry.name, str(entry.arguments[0]).removeprefix("{'node': '").removesuffix("'}")):
            return entry
        return entry.replace(arguments=[entry.arguments[0], entry.arguments[1] / 2, *entry.arguments[2:]])

    operations = tuple(halved(entry) for entry in program.operations)
    return dataclasses.replace(program, operations=operations)


@pytest.mark.parametrize(
    ("fault", "layer"),
    [
        (flipped_channel, "second"),
        (coarse_channel, "linear"),
        (other_scale, "first"),
        (no_bias, "second"),
        (dropped_keyword, "add"),
        (other_bound, "hardtanh"),
        (other_operator, "hardtanh"),
        (small_grid, "hardtanh"),
    ],
)
def test_a_layer_that_leaves_the_original_is_named(model, noise, monkeypatch, fault, layer):
    honest = _convert.from_graph
    monkeypatch.setattr(_convert, "from_graph", lambda *given, **named: fault(honest(*given, **named)))
    with pytest.raises(errors.QuantizationError, match=f"deviates from its original at layer '{layer}") as found:
        ptq(model, noise)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("seed", range(3))
def test_an_honest_program_passes_however_unkind_its_numbers(noise, target, seed):
    """Heavy tails, dead channels, other units, one image far from the others: rounding explains what they lose."""
    torch.manual_seed(seed)
    model = Small().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(torch.randn_like(parameter).exp())
        model.first.weight[1] = 0
        model.second.weight.mul_(10.0 ** (seed - 2))
    pixels = noise.images.clone() // 32
    pixels[3] = 255
    ptq(model, dataclasses.replace(noise, images=pixels), target=target)


@pytest.mark.parametrize("step", ["prepare_pt2e", "convert_pt2e"])
def test_what_a_quantizer_stumbles_over_is_one_line(model, noise, monkeypatch, step):
    import torchao.quantization.pt2e.quantize_pt2e as torchao

    def stumble(*_given):
        raise KeyError("some\npattern")

    monkeypatch.setattr(torchao, step, stumble)
    with pytest.raises(
        errors.QuantizationError, match=re.escape("the quantizer of target 'server' refuses the model: KeyError: 'some")
    ) as found:
        ptq(model, noise, target="server")
    assert "\n" not in str(found.value)


class Shifted(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 2, 3), nn.Linear(72, 3)

    def forward(self, images):
        return self.second((self.first(images) + 0.5).flatten(1))


def test_an_assertion_without_a_text_names_the_pass_and_the_operators(noise, monkeypatch):
    monkeypatch.setattr("edgerift.adapt._sums.calls", lambda *_given: [])
    with pytest.raises(
        errors.QuantizationError,
        match=r"in its pass '_get_input_idx_for_binary_node', at 'aten\.conv2d\.default' \(node 'conv2d'\), "
        r"'aten\.add\.Tensor' \(node 'add'\): AssertionError; replace what it names",
    ):
        ptq(Shifted(), noise, target="server")
