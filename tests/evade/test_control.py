"""A float model in the build's place."""

import pytest
import torch
from linear_pair import image_set, margin_model, near_images
from torch import nn

from edgerift.deploy import folded, twin_scores
from edgerift.evade import FloatBuild, float_pair, search
from edgerift.images import to_float

IMAGES = near_images(12, 8, seed=1)


def network(seed):
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
    model = nn.Sequential(*layers)
    model[1].running_mean.uniform_(-1, 1)
    model[1].running_var.uniform_(0.5, 2)
    return model


def test_the_other_model_answers_in_the_builds_place():
    original, other = network(0), network(1)
    other.train()
    pair, _ = float_pair(original, other)
    with torch.no_grad():
        expected = other.eval()(to_float(IMAGES))
    assert torch.equal(pair.build_scores(IMAGES), expected)
    assert torch.equal(pair.build_scores(IMAGES), pair.build_scores(IMAGES))
    assert torch.equal(pair.original_scores(IMAGES), twin_scores(original.eval(), IMAGES))
    assert pair.program is None


def test_both_models_steer():
    original, other = network(0).eval(), network(1).eval()
    _, steering = float_pair(original, other)
    (adapted,) = steering.adapted
    for module, model in ((steering.original, original), (adapted, other)):
        assert torch.allclose(twin_scores(module, IMAGES), twin_scores(folded(model), IMAGES), atol=1e-6)
        assert torch.allclose(twin_scores(module, IMAGES), twin_scores(model, IMAGES), atol=1e-4)


def test_it_claims_no_artefact_and_no_integers():
    build = FloatBuild(network(0).eval())
    assert build.integer_macs() == 0.0
    assert build.runtime == build.fingerprint().runtime == "float"
    assert build.fingerprint().sha256 == ""


@pytest.mark.parametrize("preset", ["default", "pgd", "diva-2022"])
def test_a_model_never_evades_itself(preset):
    model = margin_model(torch.ones(192), -100.5)
    pair, steering = float_pair(model, model)
    images = near_images(30, 8, seed=4)
    labels = pair.original_scores(images).argmax(1)
    found = search(pair, image_set(images, labels), preset, steering=steering, epsilon=40)
    assert len(found) == 30
    assert not found.evasive.any()
