"""Post-training quantization against NumPy: folding, weights, grids, provenance, and what is refused."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgerift import errors, zoo
from edgerift.adapt import PtqSettings, ptq
from edgerift.adapt._convert import quantize
from edgerift.deploy import Provenance, trainable_twin, twin, twin_scores
from edgerift.images import ImageShape, in_channels, to_float

QUANTIZE = "quantized_decomposed.quantize_per_tensor.default"

# Each layer of resnet8 and the batch normalisation behind it, by their names in the original.
LAYERS = {
    "body.0": "body.1",
    "body.3.conv1": "body.3.norm1",
    "body.3.conv2": "body.3.norm2",
    "body.4.conv1": "body.4.norm1",
    "body.4.conv2": "body.4.norm2",
    "body.4.shortcut": None,
    "body.5.conv1": "body.5.norm1",
    "body.5.conv2": "body.5.norm2",
    "body.5.shortcut": None,
    "body.8": None,
}


def folded(original, layer, norm):
    """Fold a batch normalisation: weight * slope and bias * slope + shift, in float64."""
    state = {name: tensor.double().numpy() for name, tensor in original.state_dict().items()}
    weight = state[f"{layer}.weight"]
    bias = state.get(f"{layer}.bias", np.zeros(len(weight)))
    if norm is None:
        return weight, bias, np.ones(len(weight))
    slope = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + 1e-5)
    shift = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * slope
    return weight * slope.reshape(-1, 1, 1, 1), bias * slope + shift, slope


@pytest.mark.parametrize(("layer", "norm"), LAYERS.items())
def test_weights_are_the_folded_ones_on_a_symmetric_grid_per_channel(original, ptq_program, layer, norm):
    weight, bias, _ = folded(original, layer, norm)
    stored = {kind: ptq_program.tensors[f"{layer}.{kind}"] for kind in ("weight", "scale", "zero_point", "bias")}
    assert stored["weight"].dtype == torch.int8
    assert not stored["zero_point"].any()
    levels = stored["weight"].numpy().astype(np.int64)
    scales = stored["scale"].numpy()
    assert np.abs(levels).max() == 127
    largest = np.abs(weight).reshape(len(weight), -1).max(1)
    np.testing.assert_allclose(scales, largest / 127, rtol=1e-5)
    exact = weight / scales.reshape([-1] + [1] * (weight.ndim - 1))
    assert np.abs(exact - levels).max() < 0.501  # A tie may fall either way by float32.
    np.testing.assert_allclose(stored["bias"].numpy(), bias, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def converted(trained, calibration):
    settings = {
        "target": "mobile",
        "classes": 10,
        "shape": ImageShape(3, 32, 32),
        "provenance": Provenance(method="made"),
    }
    return quantize(copy.deepcopy(trained), [to_float(in_channels(calibration.images, 3))], **settings)


@pytest.mark.parametrize(("layer", "norm"), LAYERS.items())
def test_training_starts_from_the_originals_weights_and_the_factor_of_the_folding(original, converted, layer, norm):
    whole, _, slope = folded(original, layer, norm)
    start = converted.weights[layer]
    assert torch.equal(start.weight, original.state_dict()[f"{layer}.weight"])
    np.testing.assert_allclose(start.gain.flatten().numpy(), slope, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose((start.weight * start.gain).numpy(), whole, rtol=1e-3, atol=1e-5)


def test_every_layer_is_known_by_its_name_in_the_original(converted):
    assert set(converted.weights) == set(LAYERS)
    expected = {f"{layer}.{kind}" for layer in LAYERS for kind in ("weight", "scale", "zero_point", "bias")}
    assert expected | {"normalise.mean", "normalise.std"} == set(converted.program.tensors)


def ends(program):
    """Give the least and the greatest real value of each activation's grid, in order, and its dtype."""
    found = []
    for operation in program.operations:
        if operation.operator == QUANTIZE:
            _, scale, zero, low, high, dtype = operation.arguments
            found.append((scale * (low - zero), scale * (high - zero), dtype["dtype"], scale))
    return found


def convolved(images, weight, bias):
    """Convolve `[N,C,H,W]` with 3x3 kernels and one pixel of padding, in float64 NumPy."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weight) + bias.reshape(1, -1, 1, 1)


@pytest.mark.parametrize(("target", "dtype"), [("mobile", "int8"), ("server", "uint8")])
def test_the_grids_hold_what_the_calibration_images_gave(original, digits, target, dtype):
    program = ptq(original, digits.train, target=target, calibration_images=320)
    pixels = (digits.train.images.numpy() / 255 - 128 / 255) / 0.5
    first = np.maximum(convolved(pixels, *folded(original, "body.0", "body.1")[:2]), 0)
    for (low, high, kind, scale), values in zip(ends(program), (pixels, first), strict=False):
        assert kind == dtype
        assert abs(low - values.min()) <= scale
        # The histogram observer may cut a thin tail off, where that lessens the squared error.
        assert np.quantile(values, 0.999) - scale <= high <= values.max() + scale


def test_the_calibration_images_decide_the_grids(lenet, digits):
    first, other = (ptq(lenet, digits.train, target="server", calibration_images=8, seed=seed) for seed in (0, 1))
    assert ends(first) != ends(other)


def test_the_program_answers_nearly_as_the_original(original, ptq_program, digits):
    with torch.inference_mode():
        expected = original(to_float(digits.test.images))
        answers = ptq_program.module()(to_float(digits.test.images))
    assert torch.equal(twin_scores(twin(ptq_program), digits.test.images), answers)
    spread = float(expected.max() - expected.min())
    assert 0 < float((answers - expected).abs().max()) < 0.1 * spread
    assert float((answers.argmax(1) == expected.argmax(1)).float().mean()) > 0.9


def test_provenance_says_how_and_from_what(original, ptq_program, calibration):
    provenance = ptq_program.provenance
    assert (provenance.method, ptq_program.target, ptq_program.classes, ptq_program.shape) == (
        "ptq",
        "mobile",
        10,
        (3, 32, 32),
    )
    assert PtqSettings(**provenance.settings) == PtqSettings()
    assert len(provenance.original) == 32
    other = copy.deepcopy(original)
    with torch.no_grad():
        other.body[8].bias[0] += 1e-3
    changed = ptq(other, calibration, target="server", calibration_images=8).provenance
    assert changed.original != provenance.original
    assert changed.settings["calibration_images"] == 8


def test_training_mode_and_frozen_parameters_do_not_matter(trained, calibration):
    model = copy.deepcopy(trained).train().requires_grad_(False)
    plain, program = (ptq(each, calibration, target="server") for each in (trained, model))
    assert model.training
    assert program.operations == plain.operations
    assert all(torch.equal(program.tensors[name], tensor) for name, tensor in plain.tensors.items())


def test_an_untrained_trainable_twin_is_the_program(original, converted, digits):
    student = trainable_twin(converted.program, converted.weights).eval()
    images = to_float(digits.test.images)
    with torch.inference_mode():
        difference = (student(images) - twin(converted.program)(images)).abs()
    # The factor of the folding rounds in float32, which moves a few values across a tie.
    assert difference.max() < 2.01 * ends(converted.program)[-1][3]
    assert (difference == 0).float().mean() > 0.9
    program = student.program()
    for name, tensor in converted.program.tensors.items():
        if name.endswith(".weight"):
            assert (program.tensors[name].int() - tensor.int()).abs().max() <= 1, name


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(trained, calibration, value):
    model = copy.deepcopy(trained)
    with torch.no_grad():
        model.body[4].conv2.weight[0, 0, 0, 0] = value
    with pytest.raises(errors.ModelError, match=r"^weight 'body\.4\.conv2\.weight' .* NaN or infinity"):
        ptq(model, calibration)


class Answers(nn.Module):
    def __init__(self, function, classes=10):
        super().__init__()
        self.linear = nn.Linear(3, classes)
        self.function = function

    def forward(self, images):
        return self.function(self.linear(images.mean((2, 3))))


@pytest.mark.parametrize(
    ("model", "target", "kind", "text"),
    [
        (zoo.create("lenet", 7), "mobile", errors.ModelError, "'lenet' has 7 classes, the data has 10"),
        (Answers(nn.Identity(), 5), "mobile", errors.ModelError, r"returns \[N, 5\] .* logits \[N, 10\]"),
        (Answers(lambda x: (x, x)), "mobile", errors.ModelError, r"returns \[N, 10\] and \[N, 10\]"),
        (Answers(lambda x: x[:, :, None]), "mobile", errors.ModelError, r"returns \[N, 10, 1\]"),
        (Answers(nn.Identity()), "mobil", errors.RecipeError, "unknown target 'mobil'; did you mean 'mobile'"),
    ],
)
def test_wrong_input_is_one_line(calibration, model, target, kind, text):
    with pytest.raises(kind, match=text) as caught:
        ptq(model, calibration, target=target)
    assert "\n" not in str(caught.value)


def test_unknown_settings_are_refused(original, calibration):
    with pytest.raises(errors.RecipeError, match="did you mean 'calibration_images'"):
        ptq(original, calibration, calibration_image=8)


class Products(nn.Module):
    """A convolution, then something that no program may do in float, then a linear layer."""

    def __init__(self, function, size):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(size, 10)
        self.function = function

    def forward(self, images):
        return self.linear(self.function(self.convolution(images)).flatten(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(96, 8, batch_first=True)
        self.linear = nn.Linear(8, 10)

    def forward(self, images):
        return self.linear(self.lstm(images.permute(0, 2, 1, 3).flatten(2))[0][:, -1])


class OwnWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 10)

    def forward(self, images):
        weight = images.mean((0, 2, 3)).view(3, 1, 1, 1).expand(3, 3, 1, 1)
        return self.linear(F.conv2d(images, weight).mean((2, 3)))


class Gram(nn.Module):
    def __init__(self, product):
        super().__init__()
        self.product = product

    def forward(self, features):
        flat = features.flatten(2)
        return self.product(flat, flat.transpose(1, 2))


def unfollowed(channels):
    return nn.BatchNorm2d(channels, track_running_stats=False)


@pytest.mark.parametrize(
    ("make", "operator"),
    [
        (lambda: Products(Gram(torch.matmul), 16), "aten.matmul.default"),
        (lambda: Products(lambda x: torch.cumsum(x, 2).mean((2, 3)), 4), "aten.cumsum.default"),
        (lambda: Products(nn.Sequential(nn.ConvTranspose2d(4, 4, 3), nn.AdaptiveAvgPool2d(1)), 4), "conv_transpose2d"),
        (lambda: Products(nn.Sequential(unfollowed(4), nn.AdaptiveAvgPool2d(1)), 4), "aten.batch_norm.default"),
        (Recurrent, "aten.lstm.input"),
        (OwnWeights, "computed from the image"),
    ],
)
def test_an_operator_that_cannot_run_in_integers_is_named(calibration, make, operator):
    with pytest.raises(errors.QuantizationError, match=operator) as caught:
        ptq(make(), calibration, target="server")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_a_product_of_activations_stays_in_float_and_is_refused(calibration, target):
    with pytest.raises(errors.QuantizationError, match=rf"aten\.bmm\.default.* stays in float on target '{target}'"):
        ptq(Products(Gram(torch.bmm), 16), calibration, target=target)
