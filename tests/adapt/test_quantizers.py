"""Which operators the quantizer of ExecuTorch marks."""

import pytest
import torch
from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

from edgerift import zoo
from edgerift.adapt import _quantizers as quantizers


def prepared(network, quantizer):
    model = torch.export.export(network, (torch.rand(2, 3, 32, 32),), strict=True).module()
    return prepare_pt2e(model, quantizer)


@pytest.mark.parametrize(("name", "training"), [("lenet", False), pytest.param("resnet8", False, marks=pytest.mark.slow), ("resnet8", True)])
def test_patterns_that_a_model_cannot_hold_change_nothing(name, training, monkeypatch):
    """Also not for the model that the same quantizer sees next."""
    network = zoo.create(name, 10, size=32, seed=0).train(training)
    used = quantizers.quantizer("mobile", training=training)
    prepared(zoo.create("lenet", 10, size=32, seed=0).eval(), used)
    found = prepared(network, used)
    monkeypatch.setattr(quantizers, "_patterns_for", lambda model, patterns: patterns)
    expected = prepared(network, quantizers.quantizer("mobile", training=training))
    assert "activation_post_process" in expected.code
    assert found.code == expected.code


@pytest.mark.parametrize(
    ("name", "training", "fused"),
    [("lenet", False, set()), ("resnet8", True, {"conv_bn", "conv_bn_relu"})],
)
def test_only_what_a_model_holds_is_looked_for(name, training, fused):
    network = zoo.create(name, 10, size=32, seed=0).train(training)
    model = torch.export.export(network, (torch.rand(2, 3, 32, 32),), strict=True).module()
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer

    every = XNNPACKQuantizer.SUPPORTED_PATTERNS
    kept = quantizers._patterns_for(model, every)
    assert {pattern.name for pattern in kept if "_bn" in pattern.name} == fused
    assert [pattern for pattern in every if "_bn" not in pattern.name] == [p for p in kept if "_bn" not in p.name]
