"""Copies with fewer bits: how near they stay to what they copy, and that they depend on nothing else."""

import copy
import pickle

import pytest
import torch
from made_networks import averages, branches, clamps, layers, pools, residual
from torch import nn

from edgerift.deploy import Reduced, folded, reduced, twin

NETWORKS = [layers, residual, clamps, pools, averages, branches]


def answer(model, images):
    images = images.clone().requires_grad_()
    scores = model(images)
    return scores.detach(), torch.autograd.grad(scores.logsumexp(1).sum(), images)[0]


def twin_and_copy(make_program, network, arithmetic="xnnpack"):
    maker = make_program("mobile")
    program = maker.program(network(maker))
    exact = twin(program, arithmetic)
    return exact, reduced(exact), maker.images, program.operations[-1].arguments[1]


def mixed():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU6()),
        *(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16), nn.ReLU6()),
        *(nn.Conv2d(16, 24, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 4)),
    ).eval()


@pytest.mark.parametrize("vnni", [True, False])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_reduced_twin_answers_with_the_levels_of_its_twin(make_program, monkeypatch, network, vnni):
    if not vnni:
        monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    exact, few, images, step = twin_and_copy(make_program, network)
    assert isinstance(few, Reduced)
    off = ((few(images) - exact(images)) / step).abs()
    assert off.max() <= 1.01
    assert (off < 0.01).float().mean() > 0.95


@pytest.mark.parametrize("arithmetic", ["xnnpack", "onnxruntime"])
@pytest.mark.parametrize("network", [layers, residual])
def test_a_reduced_twin_has_nearly_the_gradient_of_its_twin(make_program, network, arithmetic):
    exact, few, images, _ = twin_and_copy(make_program, network, arithmetic)
    (_, wanted), (_, found) = answer(exact, images), answer(few, images)
    assert torch.cosine_similarity(found.flatten(1), wanted.flatten(1)).mean() > 0.95


@pytest.mark.parametrize("exact", [False, True])
def test_a_reduced_float_model_stays_near_it(exact):
    whole = folded(mixed())
    few = reduced(whole, exact=exact)
    images = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    (wanted, slope), (found, other) = answer(whole, images), answer(few, images)
    assert found.dtype == other.dtype == torch.float32
    assert torch.equal(found, wanted) is exact
    assert not torch.equal(slope, other)
    assert (found - wanted).abs().max() < 0.02 * wanted.abs().max()
    assert torch.cosine_similarity(slope.flatten(1), other.flatten(1)).min() > 0.97


def test_only_dense_convolutions_are_reduced():
    kinds = {
        part.geometry.groups: part.weight.dtype
        for part in reduced(folded(mixed())).modules()
        if hasattr(part, "geometry")
    }
    assert kinds == {1: torch.bfloat16, 16: torch.float32}


@pytest.mark.parametrize("size", [1, 4])
def test_what_it_answers_does_not_depend_on_the_batch(make_program, size):
    _exact, twin_copy, _, _ = twin_and_copy(make_program, residual)
    images = torch.rand(7, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    for model in (twin_copy, reduced(folded(mixed()))):
        whole = answer(model, images)
        parts = [torch.cat(part) for part in zip(*(answer(model, few) for few in images.split(size)), strict=True)]
        assert torch.allclose(parts[0], whole[0], rtol=1e-5, atol=1e-6)
        assert torch.equal(parts[1].sign(), whole[1].sign())


def test_a_copy_of_it_answers_alike_and_the_exact_module_is_left_alone(make_program):
    exact, few, images, _ = twin_and_copy(make_program, residual)
    before = exact(images)
    wanted = few(images)
    for again in (copy.deepcopy(few), pickle.loads(pickle.dumps(few))):
        assert torch.equal(again(images), wanted)
    assert torch.equal(exact(images), before)


def test_what_has_no_convolution_or_is_of_another_kind_is_not_reduced():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    assert reduced(folded(flat)) is None
    assert reduced(flat) is None
