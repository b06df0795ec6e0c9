"""Twins with layers back in float, against the twin and against the network without rounding."""

import pytest
import torch
import torch.nn.functional as F
from made_networks import HARDTANH, RELU, branches, clamps, flat, layers, residual, stem, unrounded
from program_maker import LIMITS

from edgerift.deploy import layers as layer_names
from edgerift.deploy import restored_twin, twin
from edgerift.deploy.twins._restored import restore
from edgerift.errors import RecipeError

NETWORKS = [layers, residual, clamps, branches, unrounded]


def made(make_program, network, target="mobile"):
    maker = make_program(target)
    return maker.program(network(maker)), maker.images


def chain(maker):
    """Two convolutions with a ReLU and a clamp, then a linear layer; no sum, so that only layers round."""
    image = maker.rounded("image", grid=(1 / 255, LIMITS[maker.dtype][0]))
    first = maker.rounded(maker.call(RELU, maker.convolution(image, 6, 3, 2)))
    second = maker.rounded(maker.call(HARDTANH, maker.convolution(first, 6, 3), 0.0, 0.4))
    return maker.rounded(maker.linear(flat(maker, second), 5))


def on_grid(images):
    return torch.round(images * 255) / 255


def real(program, name):
    """A layer's weight as its levels and scales say, and its bias."""
    weight, scale = program.tensors[f"{name}.weight"].float(), program.tensors[f"{name}.scale"]
    return weight * scale.view([-1] + [1] * (weight.dim() - 1)), program.tensors[f"{name}.bias"]


def chain_in_float(program, images):
    (first, second, last) = (real(program, name) for name in layer_names(program))
    inner = F.relu(F.conv2d(images, *first, stride=2))
    return F.linear(F.hardtanh(F.conv2d(inner, *second), 0.0, 0.4).flatten(1), *last)


def before_rounding(program, name, seed=0):
    """A weight that rounds to the program's."""
    weight, _ = real(program, name)
    scale = program.tensors[f"{name}.scale"].view([-1] + [1] * (weight.dim() - 1))
    return weight + (torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed)) - 0.5) * scale


@pytest.mark.parametrize(
    ("network", "count"), [(layers, 4), (residual, 3), (clamps, 4), (branches, 2), (unrounded, 3), (chain, 3)]
)
def test_layers_are_named_in_the_order_of_the_program(make_program, network, count):
    program, _ = made(make_program, network)
    names = layer_names(program)
    expected = [name.removesuffix(".weight") for name in program.tensors if name.endswith(".weight")]
    assert list(names) == expected
    assert len(names) == count


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("network", NETWORKS)
def test_restoring_nothing_is_the_twin(make_program, network, target):
    program, images = made(make_program, network, target)
    assert torch.equal(restore(program, [])(images), twin(program)(images))


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_restoring_every_layer_is_the_network_in_float(make_program, target):
    program, images = made(make_program, chain, target)
    images, names = on_grid(images), layer_names(program)
    expected = chain_in_float(program, images)
    found = restore(program, names)(images)
    assert torch.allclose(found, expected, atol=1e-5)
    assert (twin(program)(images) - expected).abs().max() > 1e-3


def test_one_layer_neither_rounds_nor_clips_and_the_others_do(make_program):
    """By hand: only the first layer in float, the others as the twin rounds them."""
    program, images = made(make_program, chain)
    images = on_grid(images)
    first, second, last = (real(program, name) for name in layer_names(program))
    grids = [step.arguments[1:5] for step in program.operations if "quantize_per_tensor" in step.operator][1::2]

    def rounded(value, grid):
        scale, zero, low, high = grid
        return (torch.clamp(torch.round(value / scale) + zero, low, high) - zero) * scale

    inner = F.relu(F.conv2d(images, *first, stride=2))
    deeper = rounded(F.hardtanh(F.conv2d(inner, *second), 0.0, 0.4), grids[2])
    expected = rounded(F.linear(deeper.flatten(1), *last), grids[-1])
    found = restored_twin(program, layer_names(program)[0])(images)
    assert inner.max() > grids[1][0] * (grids[1][3] - grids[1][1])  # Something would be clipped.
    step = grids[-1][0]
    assert (found - expected).abs().max() / step < 1.01
    assert (found == expected).float().mean() > 0.9


@pytest.mark.parametrize("network", [layers, residual, clamps, branches])
def test_each_layer_changes_the_answer_and_keeps_the_gradient(make_program, network):
    program, images = made(make_program, network)
    expected = twin(program)(images)
    for name in layer_names(program):
        batch = images.clone().requires_grad_()
        found = restored_twin(program, name)(batch)
        assert not torch.equal(found, expected)
        assert torch.autograd.grad(found.sum(), batch)[0].any()


def test_a_sum_behind_a_layer_rounds_as_before(make_program):
    """The last operation of this network is a sum: its levels stay levels, whichever layer is restored."""
    program, images = made(make_program, residual)
    scale = program.operations[-1].arguments[1]
    for name in layer_names(program):
        levels = restored_twin(program, name)(images) / scale
        assert torch.allclose(levels, levels.round(), atol=1e-3)


def test_a_result_that_is_only_moved_stays_in_float(make_program):
    """A flattening writes its values on the layer's grid again, which is the layer's rounding and no other."""
    maker = make_program()
    convolved = maker.rounded(maker.convolution(stem(maker), 4))
    program = maker.program(flat(maker, convolved))
    found = restored_twin(program, layer_names(program)[-1])(maker.images) / maker.grid(convolved)[0]
    assert not torch.allclose(found, found.round(), atol=1e-3)


@pytest.mark.parametrize("index", [0, 2])
def test_the_weight_before_rounding_is_used(make_program, index):
    program, images = made(make_program, chain)
    images = on_grid(images)
    name = layer_names(program)[index]
    original = before_rounding(program, name)
    rounded = restored_twin(program, name)(images)
    found = restored_twin(program, name, {name: original})(images)
    assert not torch.equal(found, rounded)
    assert torch.equal(restored_twin(program, name, {"other": original})(images), rounded)
    parameters = {kept: real(program, kept) for kept in layer_names(program)}
    parameters[name] = original, parameters[name][1]
    whole = restore(program, layer_names(program), {name: original})(images)
    first, second, last = parameters.values()
    inner = F.hardtanh(F.conv2d(F.relu(F.conv2d(images, *first, stride=2)), *second), 0.0, 0.4)
    assert torch.allclose(whole, F.linear(inner.flatten(1), *last), atol=1e-5)


@pytest.mark.parametrize("change", ["trained", "shape"])
def test_another_weight_than_the_one_that_was_rounded_is_not_used(make_program, change):
    """After further training the original's weight is another one: it does not undo this layer's rounding."""
    program, images = made(make_program, chain)
    name = layer_names(program)[1]
    original = before_rounding(program, name)
    if change == "trained":
        original.view(-1)[5] += program.tensors[f"{name}.scale"].max()
    else:
        original = original[:3]
    found = restored_twin(program, name, {name: original})(images)
    assert torch.equal(found, restored_twin(program, name)(images))


def test_an_unknown_layer_is_named(make_program):
    program, _ = made(make_program, chain)
    with pytest.raises(RecipeError, match=r"unknown layer 'layer_00'; did you mean 'layer_0'\?"):
        restored_twin(program, "layer_00")
