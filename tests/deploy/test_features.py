"""Penultimate features, of originals and of twins."""

import pytest
import torch
from made_networks import layers, pools, residual
from torch import nn

from edgerift import zoo
from edgerift.deploy import feature_module, folded, restored_twin, twin
from edgerift.deploy import layers as layer_names
from edgerift.errors import ModelError


@pytest.mark.parametrize("name", ["lenet", "resnet8", "mobilenet_v2"])
@pytest.mark.parametrize("prepare", [lambda model: model, folded])
def test_the_last_linear_layer_makes_the_logits_of_the_features(name, prepare):
    model = zoo.create(name, classes=4).eval()
    head = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    images = torch.rand(3, 3, 32, 32)
    features = feature_module(prepare(model))(images)
    assert features.shape == (3, head.in_features)
    assert features.dtype == torch.float32
    assert torch.allclose(head(features), model(images), rtol=1e-4, atol=1e-5)


def test_the_model_keeps_no_hook_even_when_it_fails():
    model = zoo.create("lenet", classes=4).eval()
    watched = feature_module(model)
    watched(torch.rand(1, 3, 32, 32))
    with pytest.raises(RuntimeError):
        watched(torch.rand(1, 3, 5, 5))
    assert not any(layer._forward_hooks for layer in model.modules())


class TwoHeads(nn.Module):
    """A linear layer that is made last and called last, but whose result is not the logits."""

    def __init__(self):
        super().__init__()
        self.logits, self.other = nn.Linear(12, 3), nn.Linear(3, 7)

    def forward(self, images):
        logits = self.logits(images.flatten(1))
        self.other(logits)
        return logits


def test_the_layer_that_makes_the_logits_counts_not_the_last_one():
    images = torch.rand(2, 3, 2, 2)
    assert torch.equal(feature_module(TwoHeads())(images), images.flatten(1))


@pytest.mark.parametrize("arithmetic", ["graph", "xnnpack", "onnxruntime"])
def test_a_twins_features_make_its_logits(make_program, arithmetic):
    maker = make_program()
    output = layers(maker)
    program = maker.program(output)
    features = feature_module(twin(program, arithmetic))(maker.images)
    (head,) = [step for step in program.operations if step.operator == "aten.linear.default"]
    source = head.arguments[0]["node"]
    expected = maker.value(source)
    levels = 1.0 if arithmetic == "graph" else maker.grid(source)[0]
    assert features.dtype == torch.float32
    assert (features * levels - expected).abs().max() / maker.grid(source)[0] <= 1.01


def test_a_restored_twin_has_features_too(make_program):
    maker = make_program()
    program = maker.program(layers(maker))
    restored = restored_twin(program, layer_names(program)[2])
    found, plain = (feature_module(model)(maker.images) for model in (restored, twin(program)))
    assert found.shape == plain.shape
    assert not torch.equal(found, plain)


def test_features_have_gradients(make_program):
    maker = make_program()
    images = maker.images.clone().requires_grad_()
    feature_module(twin(maker.program(layers(maker))))(images).sum().backward()
    assert images.grad.any()


def test_models_without_a_linear_layer_at_their_end(make_program):
    with pytest.raises(ModelError, match="Sequential has no linear layer that makes its logits"):
        feature_module(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten()))
    ends_otherwise = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Unflatten(1, (2, 4)), nn.AdaptiveAvgPool1d(2))
    with pytest.raises(ModelError, match="no linear layer"):
        feature_module(ends_otherwise)(torch.rand(2, 3, 2, 2))
    for network in (residual, pools):
        maker = make_program()
        with pytest.raises(ModelError, match="the program has no linear layer"):
            feature_module(twin(maker.program(network(maker))))
