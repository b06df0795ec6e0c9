"""A layer with a batch normalisation that lives: the two in turn while it does, the folded layer afterwards."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgerift.deploy import Normalisation
from edgerift.deploy.twins._normalised_layer import NormalisedLayer
from edgerift.deploy.twins._rounded_weights import RoundedWeight

#: So many levels that rounding is nothing, and the 255 of a build.
FINE, COARSE = (-(2**22), 2**22), (-127, 127)


def pair(groups=1, *, bias=False):
    """A convolution, and a normalisation that has seen something else than what comes."""
    torch.manual_seed(3)
    layer = nn.Conv2d(4, 8, 3, padding=1, groups=groups, bias=bias)
    norm = nn.BatchNorm2d(8)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -0.7, 0.2, 2.0, 0.9, 1.3, -1.1, 0.5]))
        norm.bias.uniform_(-1, 1)
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    return layer, norm, torch.randn(6, 4, 5, 5)


def fused(layer, norm, bounds):
    found = Normalisation(
        norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps,
        torch.zeros(8) if layer.bias is None else layer.bias,
    )  # fmt: skip
    arguments = (layer.stride, layer.padding, layer.dilation, layer.groups)
    return NormalisedLayer(layer.weight, found, bounds, torch.full((8,), 1e-9), F.conv2d, arguments)


@pytest.mark.parametrize(("groups", "bias"), [(1, False), (1, True), (4, False)])
def test_alive_it_is_the_layer_and_then_the_normalisation(groups, bias):
    layer, norm, images = pair(groups, bias=bias)
    own = fused(layer, norm, FINE).train()
    target = torch.randn(6, 8, 5, 5)
    for _ in range(3):  # The running statistics move in between.
        expected, found = norm(layer(images)), own(images)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    (expected * target).sum().backward()
    (found * target).sum().backward()
    for ours, theirs in ((own.weight, layer.weight), (own.gamma, norm.weight), (own.beta, norm.bias)):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(own.mean, norm.running_mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(own.variance, norm.running_var, atol=1e-5, rtol=1e-4)
    own.eval(), norm.eval()
    torch.testing.assert_close(own(images), norm(layer(images)), atol=1e-4, rtol=1e-4)


def test_alive_it_rounds_the_weight_with_the_running_gain_folded_in():
    layer, norm, images = pair()
    gain = (norm.weight * torch.rsqrt(norm.running_var + norm.eps)).detach().view(-1, 1, 1, 1)
    own = fused(layer, norm, COARSE).train()
    levels, scales = own.integers()
    assert levels.abs().max() == 127
    rounded = copy.deepcopy(layer)
    rounded.weight.data = levels * scales.view(-1, 1, 1, 1) / gain
    torch.testing.assert_close(own(images), norm(rounded(images)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("still", ["evaluated", "frozen"])
def test_frozen_it_is_the_folded_layer(still):
    layer, norm, images = pair(bias=True)
    gain = (norm.weight * torch.rsqrt(norm.running_var + norm.eps)).detach()
    bias = norm.bias + (layer.bias - norm.running_mean) * gain
    folded = RoundedWeight(layer.weight, gain.view(-1, 1, 1, 1), COARSE, torch.full((8,), 1e-9))
    own = fused(layer, norm, COARSE).train(still == "frozen")
    own.alive = still != "frozen"
    assert torch.equal(own(images), F.conv2d(images, folded(), bias, padding=1))
    assert all(map(torch.equal, own.integers(), folded.integers()))
    assert torch.equal(own.bias(), bias.detach())
    assert torch.equal(own.mean, norm.running_mean)


def test_a_channel_that_is_switched_off_stays_finite():
    layer, norm, images = pair()
    norm.weight.data[2] = 0.0
    own = fused(layer, norm, COARSE).train()
    found = own(images)
    found.sum().backward()
    assert torch.allclose(found[:, 2], norm.bias[2])
    assert all(bool(parameter.grad.isfinite().all()) for parameter in own.parameters())
