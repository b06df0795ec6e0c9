"""The folded copy against the model it is made from; in float64, where rounding cannot turn a ReLU around."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from edgerift import zoo
from edgerift.deploy import folded
from edgerift.deploy.twins._frozen_layers import Bounds, Fork, FrozenConvolution, add_into
from edgerift.deploy.twins._integer_convolution import Geometry


def settled(model):
    """Let the batch normalisations see something, so that none of their figures is 0 or 1."""
    draws = torch.Generator().manual_seed(5)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for name, tensor in layer.state_dict().items():
                if name == "running_var":
                    tensor.copy_(torch.rand(len(tensor), generator=draws) + 0.5)
                elif tensor.dim():
                    tensor.copy_(torch.rand(len(tensor), generator=draws) - 0.3)
    return model.double().eval()


def answer(model, images):
    images = images.detach().requires_grad_()
    logits = model(images)
    weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view_as(logits)
    return logits.detach(), torch.autograd.grad((logits * weights).sum(), images)[0]


def assert_equal(model, images, tolerance=1e-9):
    cheap = folded(model)
    expected, found = answer(model, images), answer(cheap, images)
    before = images.clone()
    with torch.no_grad():
        assert torch.equal(cheap(images), found[0])
    assert torch.equal(images, before)
    for wanted, given in zip(expected, found, strict=True):
        assert wanted.abs().max() > 0
        assert ((wanted - given).abs().max() / wanted.abs().max()) < tolerance


def random_images(count=3, size=16):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", zoo.names())
def test_logits_and_gradients_of_the_zoo_stay(name):
    assert_equal(settled(zoo.create(name, classes=4, size=32)), random_images(2, 32 if name == "lenet" else 8))


def test_in_float32_the_logits_stay_up_to_rounding():
    model = settled(zoo.create("resnet8", classes=10)).float()
    images = random_images(size=32).float()
    assert torch.allclose(folded(model)(images), model(images), rtol=1e-4, atol=1e-5)


class PreActivated(nn.Module):
    """Normalisations that no convolution comes before, one of them without slopes, and a sum of three readers."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3)])
        self.first = nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.second = nn.Conv2d(3, 3, 3, padding="same", dilation=2)
        self.third = nn.Conv2d(3, 3, 2, padding="same")

    def forward(self, images):
        first = self.first(F.relu(self.norms[0](images)))
        second = self.second(self.norms[1](first)) + first
        return (self.third(self.norms[2](second)) + second + F.relu6(second)).flatten(1)


class SharedLayers(nn.Module):
    """One convolution and one in-place activation used twice, behind different normalisations."""

    def __init__(self):
        super().__init__()
        self.convolve = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
        self.activate = nn.ReLU(inplace=True)

    def forward(self, images):
        first = self.activate(self.norms[0](self.convolve(images)))
        return self.activate(self.norms[1](self.convolve(first)) + first).mean((2, 3))


class WritesInPlace(nn.Module):
    """What is read after a write in place has been written over; what was read before has not."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3)

    def forward(self, images):
        value = self.first(images)
        before = (value * 2).sub_(0.5)
        torch.relu_(value)
        deeper = self.second(value)
        F.relu(deeper, inplace=True)
        return torch.cat([before.mean((2, 3)), value.mean((2, 3)), deeper.mean((2, 3))], 1)


class WritesThroughViews(nn.Module):
    """A write that is seen through a view, which folding has to leave alone."""

    def __init__(self):
        super().__init__()
        self.convolve = nn.Conv2d(3, 4, 1)

    def forward(self, images):
        value = self.convolve(images)
        half = value[:, :2]
        half.clamp_(-0.1, 0.1)
        return value.flatten(1)


class BranchesOnValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolve, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images):
        value = self.norm(self.convolve(images))
        return (value if value.mean() > 5 else F.relu(value)).flatten(1)


class KeepsBounds(nn.Module):
    """Activations with bounds of their own, before layers of every kind."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1),
            nn.Hardtanh(-0.2, 0.3),
            nn.Conv2d(4, 4, 3, padding_mode="reflect", padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU6(),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(4, 4, 1),
            nn.Dropout(),
            nn.FeatureAlphaDropout(),
            nn.ReLU(),
            nn.AlphaDropout(),
            nn.Flatten(),
            nn.Linear(64, 6),
            nn.ReLU(inplace=True),
            nn.Linear(6, 3),
        )

    def forward(self, images):
        return self.layers(images)


class BroadcastSum(nn.Module):
    """A sum that is larger than its first term, and one with a number."""

    def __init__(self):
        super().__init__()
        self.gate, self.convolve = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 4, 1)

    def forward(self, images):
        return ((self.gate(images) + self.convolve(images)) + 1.0).flatten(1)


NETWORKS = [PreActivated, SharedLayers, WritesInPlace, WritesThroughViews, BranchesOnValues, KeepsBounds, BroadcastSum]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("network", NETWORKS)
def test_logits_and_gradients_of_odd_networks_stay(network):
    torch.manual_seed(0)
    assert_equal(settled(network()), random_images())


def test_a_weight_that_a_hook_computes_is_left_alone():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 2, 1)), nn.Flatten()).double()
    assert_equal(model, random_images())


def halves(_module, _inputs, output):
    return output / 2


@pytest.mark.parametrize("place", [0, 1, 2, None])
def test_what_a_hook_does_to_an_answer_is_kept(place):
    torch.manual_seed(0)
    model = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten()))
    (model if place is None else model[place]).register_forward_hook(halves)
    assert_equal(model, random_images())


def layers_of(model, kind):
    return [layer for layer in model.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2"])
def test_nothing_is_left_to_normalise_or_divide(name):
    model = folded(zoo.create(name, classes=4))
    assert not layers_of(model, (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.Dropout))
    convolutions = len(layers_of(zoo.create(name, classes=4), nn.Conv2d))
    assert len(layers_of(model, FrozenConvolution)) == convolutions
    assert not any("div" in str(node.target) for node in model.body.graph.nodes)


def test_what_cannot_be_traced_becomes_a_plain_frozen_copy():
    assert not layers_of(folded(BranchesOnValues()), FrozenConvolution)
    assert not layers_of(folded(WritesThroughViews()), FrozenConvolution)


@pytest.mark.parametrize("network", [SharedLayers, BranchesOnValues])
def test_the_original_stays_as_it_is_and_the_copy_is_frozen(network):
    model = network().train()
    before = copy.deepcopy(model)
    copied = folded(model)
    copied(torch.rand(2, 3, 8, 8))
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in before.state_dict().items())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert [type(layer) for layer in before.modules()] == [type(layer) for layer in model.modules()]
    assert getattr(getattr(model, "activate", None), "inplace", True)
    assert not any(tensor.requires_grad for tensor in [*copied.parameters(), *copied.buffers()])
    assert not any(layer.training for layer in copied.modules())
    own = {tensor.data_ptr() for tensor in model.state_dict().values()}
    assert not own & {tensor.data_ptr() for tensor in [*copied.parameters(), *copied.buffers()]}


def test_images_come_in_any_layout_and_stay_as_they_are():
    model = folded(settled(zoo.create("resnet8", classes=4)))
    images = random_images()
    expected = model(images)
    kept = images.clone()
    for layout in (
        images.contiguous(memory_format=torch.channels_last),
        images.transpose(2, 3).clone().transpose(2, 3),
    ):
        assert torch.equal(model(layout), expected)
    assert torch.equal(images, kept)


def test_a_second_backward_pass_gives_the_same_gradient():
    model = folded(settled(zoo.create("mobilenet_v2", classes=4, size=16)))
    images = random_images().requires_grad_()
    score = model(images).sum()
    first, second = (torch.autograd.grad(score, images, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [2, 4, 5, 8, 9])
def test_a_large_weight_gives_the_same_in_either_layout(size, stride):
    draws = torch.Generator().manual_seed(2)
    weight = torch.randn(256, 256, 3, 3, generator=draws, dtype=torch.float64)
    value = torch.randn(2, 256, size, size, generator=draws, dtype=torch.float64)
    layer = FrozenConvolution(weight, None, Geometry((stride, stride), (1, 1), (1, 1), 1), Bounds(-1.0, 1.0))
    assert layer.contiguous is not None
    expected = answer(lambda images: F.conv2d(F.hardtanh(images), weight, None, stride, 1), value)
    found = answer(lambda images: layer(images.clone()), value)
    assert all(torch.allclose(wanted, given) for wanted, given in zip(expected, found, strict=True))


@pytest.mark.parametrize(("kernel", "padding", "dilation"), [(3, 1, 1), (3, 0, 2), ((5, 3), (2, 0), 1), (1, 0, 1)])
def test_a_depthwise_gradient_is_the_turned_convolution(kernel, padding, dilation):
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 6, kernel, padding=padding, dilation=dilation, groups=6).double()
    model = nn.Sequential(layer, nn.Flatten())
    assert_equal(model, torch.randn(2, 6, 9, 8, dtype=torch.float64))
    assert all(frozen.flipped is not None for frozen in layers_of(folded(model), FrozenConvolution))


@pytest.mark.parametrize("fresh", [(False, False, False), (True, False, True), (False, True, False)])
def test_a_fork_adds_the_gradients_and_writes_only_over_fresh_ones(fresh):
    value = torch.tensor([-1.0, 2.0, 9.0], requires_grad=True)
    outputs = Fork(Bounds(0.0, 6.0), fresh)(value * 1)
    grads = [torch.tensor([1.0, 2.0, 3.0]) * factor for factor in (1, 10, 100)]
    kept = [grad.clone() for grad in grads]
    (gradient,) = torch.autograd.grad(outputs, value, grads)
    assert torch.equal(gradient, torch.tensor([0.0, 222.0, 0.0]))
    assert all(own or torch.equal(grad, old) for own, grad, old in zip(fresh, grads, kept, strict=True))


def test_an_unused_branch_of_a_fork_has_no_gradient_to_add():
    value = torch.tensor([-1.0, 2.0], requires_grad=True)
    first, _ = Fork(None, (True, False))(value * 1)
    assert torch.equal(torch.autograd.grad(first.sum(), value)[0], torch.ones(2))


@pytest.mark.parametrize(
    "second", [torch.ones(2, 3), torch.ones(3), torch.ones(4, 2, 3), torch.ones(2, 3).double(), 1.0]
)
def test_adding_into_a_tensor_never_changes_the_sum(second):
    first = torch.arange(6.0).view(2, 3)
    expected = first + second
    found = add_into(first.clone(), second)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
