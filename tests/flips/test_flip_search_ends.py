"""Where the gradient misleads or sees nothing, more flips are tried, and the search ends where none raises the loss."""

import itertools
from dataclasses import replace

import pytest
import torch
from every_flip import losses_of
from program_maker import ProgramMaker
from torch.nn import functional as F

from edgerift.deploy import coded_twin, weight_codes
from edgerift.flips import flipped, search_bits
from edgerift.images import to_float

FLATTEN, RELU = "aten.flatten.using_ints", "aten.relu.default"


def linear(codes, *, scale=0.01, grid=None):
    """A linear layer of these codes on the four pixels of an image, whose scores are rounded on a grid."""
    maker = ProgramMaker("server", size=2, channels=1)
    scores = maker.linear(maker.rounded(maker.call(FLATTEN, "image", 1), grid=(1 / 255, 0)), len(codes))
    program = maker.program(scores if grid is None else maker.rounded(scores, grid=grid))
    own = {"layer_0.weight": torch.tensor(codes, dtype=torch.int8), "layer_0.scale": torch.full((len(codes),), scale)}
    own["layer_0.bias"] = torch.zeros(len(codes))
    return replace(program, tensors={**program.tensors, **own})


def slopes_of(program, images, labels):
    own = coded_twin(program)
    loss = F.cross_entropy(own(to_float(images)), labels)
    return float(loss.detach()), torch.autograd.grad(loss, list(own.codes.values()))


@pytest.mark.parametrize("candidates", [1, 2, 4])
def test_of_flips_that_promise_and_change_nothing_the_next_are_tried(candidates):
    """The label's score is at the lowest level: the gradient promises most of lowering it, which changes no answer."""
    image, label = torch.tensor([[[[180, 250], [200, 220]]]], dtype=torch.uint8), torch.tensor([0])
    program = linear([[1] * 4, [-1] * 4, [1] * 4], grid=(0.25, 0))
    before, (slope,) = slopes_of(program, image, label)
    promised = slope * torch.tensor([[-128.0], [128.0], [-128.0]])
    assert promised.flatten().argsort(descending=True)[:5].tolist() == [1, 3, 2, 0, 5]
    losses = losses_of(program, image, label)
    assert all(losses["layer_0", place, 7] == before for place in range(4))
    found = next(search_bits(program, image, label, candidates=candidates)).flip
    assert (found.layer, found.place, found.bit) == ("layer_0", 5, 7)
    assert found.loss == losses["layer_0", 5, 7] == max(losses.values()) > before


def test_where_the_gradient_is_zero_every_flip_is_tried():
    """A dead neuron: no code has a slope, and a sign bit wakes it."""
    maker = ProgramMaker("mobile", size=2, channels=1, seed=1)
    first = maker.convolution(maker.rounded("image"), 1, kernel=2)
    hidden = maker.rounded(maker.call(FLATTEN, maker.call(RELU, first), 1), grid=(0.01, -128))
    made = maker.program(maker.linear(hidden, 2))
    convolution, last = weight_codes(made)
    own = {f"{convolution}.weight": torch.full((1, 1, 2, 2), -10, dtype=torch.int8)}
    own |= {f"{convolution}.bias": torch.zeros(1), f"{last}.weight": torch.tensor([[-90], [90]], dtype=torch.int8)}
    program = replace(made, tensors={**made.tensors, **own})
    images = torch.tensor([[[[180, 250], [200, 220]]], [[[90, 130], [140, 100]]]], dtype=torch.uint8)
    labels = torch.tensor([0, 0])
    before, slopes = slopes_of(program, images, labels)
    assert not any(slope.any() for slope in slopes)
    losses = losses_of(program, images, labels)
    found = next(search_bits(program, images, labels, candidates=1)).flip
    assert (found.layer, found.bit) == (convolution, 7)
    assert found.loss == pytest.approx(max(losses.values())) == pytest.approx(losses[found.layer, found.place, 7])
    assert found.loss > before


@pytest.mark.parametrize("candidates", [1, 5])
def test_the_search_ends_at_the_highest_loss_that_the_codes_can_give(candidates):
    """Of two scores that grow with the pixels, the label's gets the lowest codes and the other the highest."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(60, 200, (4, 1, 2, 2), generator=generator, dtype=torch.uint8)
    labels = torch.zeros(4, dtype=torch.int64)
    program = linear(torch.randint(-127, 128, (2, 4), generator=generator).tolist())
    found = [one.flip for one in itertools.islice(search_bits(program, images, labels, candidates=candidates), 100)]
    assert 8 <= len(found) < 100
    (codes,) = weight_codes(flipped(program, found)).values()
    assert codes.tolist() == [[-128] * 4, [127] * 4]
    assert list(search_bits(flipped(program, found), images, labels, candidates=candidates)) == []
