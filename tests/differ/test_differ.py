"""Differential testing: constraints, objectives and coverage in closed form, and what counts as found."""

import math

import pytest
import torch
from linear_pair import linear_model, margin_model, near_images, pair_of
from torch import nn

from edgerift.differ import DifferSettings, NeuronCoverage, differ, differ_at_random
from edgerift.differ._objective import values_of
from edgerift.errors import InputError, RecipeError
from edgerift.images import to_float

SIZE = 4
PIXELS = 3 * SIZE * SIZE
CONSTRAINTS = ("box", "light", "occlusion", "blackout")


def weights(seed, spread=4):
    return torch.randint(-spread, spread + 1, (PIXELS,), generator=torch.Generator().manual_seed(seed)).float()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(80, 170, (40, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def pair(images):
    """Two linear models whose boundaries cross the images."""
    first, second = weights(1), weights(2)
    centre = images[:1].float().flatten()
    return pair_of(
        margin_model(first, -float(first @ centre).__floor__() + 0.5),
        margin_model(second, 300.5 - float(second @ centre)),
    )


def searched(pair, images, **fields):
    victim, steering = pair
    return differ(victim, images, DifferSettings(**fields), steering=steering)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_every_change_is_of_its_kind_and_every_finding_a_difference(pair, images, constraint):
    settings = {"constraint": constraint, "steps": 12, "step": 6, "epsilon": 24, "rectangle": 2, "square": 2}
    victim, steering = pair
    own = DifferSettings(**settings)
    for found in (differ(victim, images, own, steering=steering), differ_at_random(victim, images, own)):
        moved = found.images.int() - images.int()
        if constraint == "box":
            assert moved.abs().max() <= 24
        elif constraint == "light":
            assert (moved.flatten(1) == moved.flatten(1)[:, :1]).all()
            assert moved.abs().max() <= 24
        elif constraint == "occlusion":
            for one in (moved != 0).any(1):
                rows, columns = one.any(1).nonzero(), one.any(0).nonzero()
                assert len(rows) == 0 or int(rows.max() - rows.min()) < 2
                assert len(columns) == 0 or int(columns.max() - columns.min()) < 2
        else:
            assert moved.max() <= 0
        original, build = victim.original_scores(found.images).argmax(1), victim.build_scores(found.images).argmax(1)
        assert torch.equal(found.found | found.already, original != build)
        assert torch.equal(found.original, original)
        assert torch.equal(found.images[found.already], images[found.already])
        assert not (found.found & found.already).any()
    assert 0 < int(found.already.sum()) < len(images)


def test_along_light_the_first_difference_is_where_the_builds_margin_ends(images):
    """Each step moves every pixel by one level; the build's margin falls by the sum of its weights."""
    falling, rising = -weights(3).abs(), weights(4).abs()
    centre = images.float().flatten(1)
    bias = float(-(centre @ falling).min()) + 0.5
    pair = pair_of(margin_model(rising, 0.5), margin_model(falling, bias))
    found = searched(pair, images, constraint="light", epsilon=60, steps=60, objective="deepxplore")
    margins = (centre @ falling + bias).tolist()
    needed = [math.floor(margin / -float(falling.sum())) + 1 for margin in margins]
    assert not found.already.any()
    for place, steps in enumerate(needed):
        assert bool(found.found[place]) == (steps <= 60)
        assert int(found.gradients[place]) == min(steps, 60)
        assert int((found.images[place].int() - images[place].int()).max()) == min(steps, 60)
    assert any(steps > 1 for steps in needed)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_an_identical_pair_has_no_difference(images, constraint):
    model = margin_model(weights(5), 0.5)
    victim, steering = pair_of(model, model)
    settings = DifferSettings(constraint=constraint, steps=4, step=20, epsilon=255)
    assert not differ(victim, images, settings, steering=steering).found.any()
    assert not differ_at_random(victim, images, settings).found.any()


def test_a_batch_changes_no_result_and_queries_are_counted(pair, images):
    fields = {"constraint": "blackout", "steps": 5, "step": 10}
    whole = searched(pair, images, **fields)
    for place in (0, 7, 21):
        alone = searched(pair, images[place : place + 1], **fields)
        assert torch.equal(alone.images[0], whole.images[place])
        assert int(alone.queries) == int(whole.queries[place])
    tried = whole.gradients
    assert torch.equal(whole.queries, tried + 1)
    assert (tried[~whole.found & ~whole.already] == 5).all()
    assert (tried[whole.already] == 0).all()


def test_labels_tell_who_is_right_and_are_not_needed(pair, images):
    found = searched(pair, images, steps=10, step=3)
    part = found.part()
    assert (part.build_wrong, part.original_wrong, part.both_wrong) == (None, None, None)
    told = found.part(torch.ones(len(images), dtype=torch.int64))
    assert told.build_wrong + told.original_wrong + told.both_wrong == told.found.successes == int(found.found.sum())
    assert told.both_wrong == 0  # Of two classes one model is right where they differ.
    assert told.agreed + told.already == told.images == len(images)


@pytest.mark.parametrize(
    ("label", "counts"),
    [(0, (1, 0, 0)), (1, (0, 1, 0)), (2, (0, 0, 1))],
    ids=["the build is wrong", "the original is wrong", "both are wrong"],
)
def test_a_difference_is_of_one_of_three_kinds(label, counts):
    """The original answers class 0 whatever it sees, and the build class 1 once the image is lighter.

    The image is grey with three channels, and so is the change, whose file has one.
    """
    rows = torch.zeros(3, PIXELS)
    original = linear_model(rows, torch.tensor([500.5, 0.0, -500.0]))
    rows = torch.stack([rows[0], torch.ones(PIXELS), rows[2]])
    build = linear_model(rows, torch.tensor([PIXELS * 102.5, 0.0, 0.0]))
    image = torch.full((1, 3, SIZE, SIZE), 100, dtype=torch.uint8)
    found = searched(pair_of(original, build), image, steps=5)
    assert (found.original.tolist(), found.build.tolist(), found.gradients.tolist()) == ([0], [1], [3])
    told = found.part(torch.tensor([label]))
    assert (told.build_wrong, told.original_wrong, told.both_wrong) == counts


def test_the_search_finds_what_chance_does_not():
    images = near_images(30, SIZE, 6).clamp(40, 215)
    first, second = weights(7), weights(8)
    centre = images.float().flatten(1)
    # Both models are right by more than noise in a box of 4 levels moves them, and less than a directed move does.
    pair = pair_of(
        margin_model(first, float(-(centre @ first).min()) + 150.5),
        margin_model(second, float(-(centre @ second).min()) + 150.5),
    )
    fields = {"epsilon": 4, "steps": 8}
    victim, _ = pair
    found = searched(pair, images, **fields)
    chance = differ_at_random(victim, images, DifferSettings(**fields))
    assert int(found.found.sum()) > int(chance.found.sum())
    assert int(chance.queries.max()) == 1 + 2 * 8


def test_the_objectives_are_the_published_ones():
    original, build = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[2.0, 0.0, 1.0]])
    answers = torch.tensor([0])
    published = DifferSettings(objective="deepxplore")
    assert values_of(published.replace(weight=0.5), original, build, answers).tolist() == [2.0]
    assert values_of(published.replace(deviant="original"), original, build, answers).tolist() == [-1.0]
    assert values_of(DifferSettings(), original, build, answers).tolist() == [-1.0]
    assert values_of(DifferSettings(deviant="original"), original, build, answers).tolist() == [-2.0]
    probabilities = build.softmax(1)[0].tolist()
    expected = 0.5 * (probabilities[1] + probabilities[2]) - probabilities[0]
    assert values_of(DifferSettings(objective="dlfuzz"), original, build, answers).tolist() == pytest.approx([expected])


def test_dlfuzz_raises_the_second_to_the_fifth_probability():
    """Of seven classes the last two count for nothing; a shared answer that is not the build's best changes nothing."""
    build = torch.tensor([[0.5, 3.0, -1.0, 2.0, 1.0, 0.0, 2.5]], requires_grad=True)
    (value,) = values_of(DifferSettings(objective="dlfuzz"), build.detach(), build, torch.tensor([1]))
    best, *others = build.detach().softmax(1)[0].sort(descending=True).values.tolist()
    assert float(value.detach()) == pytest.approx(0.5 * sum(others[:4]) - best)
    value.backward()
    # d p_i / d z_i = p_i (1 - p_i), and -p_i p_j for the others: the mean of the weights is taken off each.
    weights = torch.tensor([[0.5, -1.0, 0.0, 0.5, 0.5, 0.0, 0.5]])
    shares = build.detach().softmax(1)
    assert torch.allclose(build.grad, shares * (weights - (weights * shares).sum()), atol=1e-6)


def test_coverage_counts_channels_above_the_threshold_and_never_falls():
    layer = nn.Linear(3, 3, bias=False)
    layer.weight.data = torch.eye(3)
    seen = NeuronCoverage(nn.Sequential(nn.Flatten(), layer), threshold=0.5)
    assert (seen.share, seen.neurons) == (0.0, 0)
    pictures = torch.tensor([[0.0, 0.4, 1.0], [0.0, 0.6, 1.0], [0.0, 0.1, 1.0]]).view(3, 1, 1, 3)
    counts = []
    for picture in pictures:
        seen.see(picture[None])
        counts.append(seen.covered)
    assert counts == [1, 2, 2]
    above = NeuronCoverage(nn.Sequential(nn.Flatten(), layer), threshold=1.0)
    above.see(pictures)
    assert (above.covered, above.neurons) == (0, 3)
    picture = pictures[:1].clone().requires_grad_(True)
    seen.uncovered(picture, torch.Generator()).sum().backward()
    assert picture.grad.flatten().tolist() == [1.0, 0.0, 0.0]


def test_a_coverage_term_covers_more():
    """Of three scores the first leads and the second is last; the third has .2 of the range, and .68 once moved."""
    rows = torch.stack([torch.zeros(PIXELS), torch.zeros(PIXELS), torch.ones(PIXELS)])
    original = linear_model(rows, torch.tensor([PIXELS * 200.0, PIXELS * 75.0, 0.0]))
    grey = torch.full((2, 3, SIZE, SIZE), 100, dtype=torch.uint8)
    fields = {"epsilon": 60, "step": 60, "steps": 8, "threshold": 0.5, "objective": "deepxplore"}
    plain, raised = (searched(pair_of(original, original), grey, coverage=weight, **fields) for weight in (0, 100.0))
    assert plain.coverage == 1 / 3
    assert raised.coverage == 2 / 3
    assert torch.equal(plain.images, grey)
    assert (raised.images == 160).all()


def test_wrong_input_is_one_line(pair, images):
    with pytest.raises(InputError, match="there are no images to test"):
        searched(pair, images[:0])
    with pytest.raises(RecipeError, match="did you mean 'occlusion'"):
        DifferSettings(constraint="oclusion")
    assert to_float(images).max() <= 1
