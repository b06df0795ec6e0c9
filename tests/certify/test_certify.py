"""Certificates held against every image of a box, against searches, and against closed forms."""

import itertools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from linear_pair import StandInBuild, image_set, linear_model
from torch import Tensor, nn

from edgerift.certify import Certificate, certify
from edgerift.deploy import twin_scores
from edgerift.errors import InputError, ModelError
from edgerift.evade import Pair, float_pair, search
from edgerift.images import ImageSet

THRESHOLDS = (0.0, 0.02, 0.1)


def every_image() -> Tensor:
    levels = torch.arange(256, dtype=torch.uint8)
    return torch.cartesian_prod(levels, levels).view(-1, 1, 1, 2)


def evades(pair: Pair, label: int, threshold: float) -> Tensor:
    """Tell for every image of two pixels whether it evades under its label and a guard, bool `[256,256]`."""
    images = every_image()
    original, build = pair.original_scores(images), pair.build_scores(images)
    best = build.topk(2, 1).values
    answered = best[:, 0] - best[:, 1] >= threshold
    found = (original.argmax(1) == label) & (build.argmax(1) != label) & answered
    return found.view(256, 256)


def in_box(found: Tensor, centres: Tensor, epsilon: int) -> Tensor:
    """Tell whether anything is found within `epsilon` levels of each centre, bool `[N]`."""
    padded = F.max_pool2d(found.float()[None, None], 2 * epsilon + 1, stride=1, padding=epsilon)[0, 0]
    places = centres.flatten(1).long()
    return padded[places[:, 0], places[:, 1]] > 0


@pytest.mark.parametrize("seed", range(4))
def test_no_certified_image_evades_anywhere_in_its_box(whole_pair: Callable[[int], Pair], seed: int) -> None:
    pair = whole_pair(seed)
    draws = torch.Generator().manual_seed(seed)
    centres = every_image()[torch.randperm(65536, generator=draws)[:150]]
    labels = pair.original_scores(centres).argmax(1)
    maps = {(label, t): evades(pair, label, t) for label in (0, 1) for t in THRESHOLDS}
    proved = possible = 0
    for epsilon in (0, 1, 3, 8):
        found = certify(pair, image_set(centres, labels), epsilon=epsilon, eligible_only=False)
        assert (found.aligned, found.levels) == (True, 0)
        for threshold in THRESHOLDS:
            certified = found.certified(threshold)
            for label in (0, 1):
                chosen = labels == label
                evasive = in_box(maps[label, threshold], centres[chosen], epsilon)
                assert not (certified[chosen] & evasive).any()
                if epsilon == 0 and threshold == 0:
                    assert torch.equal(certified[chosen], ~evasive)
                proved += int(certified[chosen].sum())
                possible += int((~evasive).sum())
    assert proved > 0.8 * possible


@pytest.mark.parametrize("label", [0, 1])
def test_wrong_labels_are_certified_only_where_the_original_is_never_right(
    whole_pair: Callable[[int], Pair], label: int
) -> None:
    pair = whole_pair(0)
    centres = every_image()[::331]
    labels = torch.full((len(centres),), label)
    found = certify(pair, image_set(centres, labels), epsilon=4, eligible_only=False)
    right = (pair.original_scores(every_image()).argmax(1) == label).view(256, 256)
    never = ~in_box(right, centres, 4)
    assert not (found.lead.isinf() & ~never).any()
    assert (found.lead.isinf() & never).sum() > 0.8 * never.sum() > 0


def linear_pair(seed: int) -> tuple[Pair, Tensor, Tensor]:
    """Make two linear models of two classes and four pixels, and the slopes of their leads per grey level."""
    draws = torch.Generator().manual_seed(seed)
    weights = [torch.randint(-40, 41, (4,), generator=draws) for _ in range(2)]
    weights[1] = weights[0] + weights[1] // 20
    models = [linear_model(torch.stack([torch.zeros(4), weight]), torch.tensor([0.0, 0.5])) for weight in weights]
    return float_pair(*models)[0], *weights


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("epsilon", [1, 8])
def test_two_linear_models_have_the_leads_of_the_closed_form(seed: int, epsilon: int) -> None:
    pair, first, second = linear_pair(seed)
    images = torch.randint(0, 256, (40, 1, 2, 2), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    levels = images.flatten(1).long()
    low, high = (levels - epsilon).clamp_min(0), (levels + epsilon).clamp_max(255)

    def most(slope: Tensor, bias: float) -> Tensor:
        return (torch.maximum(slope * low, slope * high).sum(1) + bias).double() / 255

    # The label is 0, so that class 1 has to gain.
    difference = most(second - first, 0.0)
    expected = torch.minimum(most(second, 0.5), difference + most(first, 0.5).clamp_max(0.0))
    never = -most(-first, -0.5) > 0
    found = certify(pair, image_set(images, torch.zeros(40, dtype=torch.int64)), epsilon=epsilon, eligible_only=False)
    assert torch.equal(found.lead.isinf(), never)
    torch.testing.assert_close(found.lead[~never], expected[~never], rtol=1e-4, atol=1e-4)
    largest = float(difference.max())
    assert found.certified(max(largest, 0.0) + 1e-3).all()
    below = float(expected[~never].max()) - 1e-3
    assert torch.equal(found.certified(below), never | (expected < below))
    assert not found.certified(below).all()


def test_an_identical_pair_is_certified_whole() -> None:
    pair, _, _ = linear_pair(0)
    images = image_set(torch.randint(0, 256, (20, 1, 2, 2), dtype=torch.uint8), torch.arange(20) % 2)
    same = float_pair(pair.original, pair.original)[0]
    found = certify(same, images, epsilon=255, eligible_only=False)
    assert found.certified().all()
    assert str(found.rate()).startswith("100.0 % ")


def test_leads_grow_with_epsilon_and_shares_with_the_threshold(residual_pair: tuple[Pair, ImageSet]) -> None:
    pair, images = residual_pair
    found = [certify(pair, images, epsilon=epsilon) for epsilon in (1, 2, 4)]
    for smaller, larger in itertools.pairwise(found):
        assert (smaller.lead <= larger.lead + 1e-9).all()
    shares = [found[0].rate(threshold).value for threshold in (0.0, 0.1, 1.0, 10.0)]
    assert shares == sorted(shares)
    assert shares[-1] > shares[0]


def test_no_find_of_a_search_is_certified(residual_pair: tuple[Pair, ImageSet]) -> None:
    pair, images = residual_pair
    found = certify(pair, images, epsilon=2)
    searched = search(pair, images, epsilon=2)
    assert torch.equal(found.index, searched.index)
    assert found.aligned
    assert searched.evasive.any()
    best = searched.build.topk(2, 1).values
    gap = torch.where(searched.evasive, best[:, 0] - best[:, 1], torch.tensor(float("-inf")))
    assert (found.lead >= gap).all()


def test_leads_bound_every_answer_in_a_box(residual_pair: tuple[Pair, ImageSet]) -> None:
    pair, images = residual_pair
    labels = (images.labels + torch.arange(len(images)) % 2) % 4
    given = image_set(images.images, labels, 4, in_colour=True)
    found = certify(pair, given, epsilon=1, eligible_only=False)
    draws = torch.Generator().manual_seed(1)
    for _ in range(20):
        moves = torch.randint(-1, 2, images.images.shape, generator=draws)
        moved = (images.images + moves).clamp(0, 255).to(torch.uint8)
        right = pair.original_scores(moved).argmax(1) == labels
        scores = pair.build_scores(moved)
        lead = scores - scores.gather(1, labels[:, None])
        lead = lead.scatter(1, labels[:, None], float("-inf")).amax(1)
        assert (found.lead >= lead)[right].all()


def test_a_rounding_that_may_be_a_level_off_certifies_less(whole_pair: Callable[[int], Pair]) -> None:
    pair = whole_pair(1)
    unknown = Pair(pair.original, pair.program, StandInBuild(pair.build.predict))
    images = every_image()[::1001]
    given = image_set(images, pair.original_scores(images).argmax(1))
    exact, loose = (certify(one, given, epsilon=1) for one in (pair, unknown))
    assert (exact.levels, loose.levels) == (0, 1)
    assert (exact.lead < loose.lead).float().mean() > 0.9
    assert torch.equal(certify(unknown, given, epsilon=1, levels=0).lead < loose.lead, exact.lead < loose.lead)


def test_a_grey_box_is_smaller_than_one_in_colour() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).eval()
    other = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).eval()
    other.load_state_dict({name: value + 0.01 for name, value in network.state_dict().items()})
    pair = float_pair(network, other)[0]
    grey = torch.randint(0, 256, (10, 1, 4, 4), dtype=torch.uint8)
    labels = torch.zeros(10, dtype=torch.int64)
    in_grey = certify(pair, image_set(grey, labels), epsilon=4, eligible_only=False)
    colour = image_set(grey.repeat(1, 3, 1, 1), labels, in_colour=True)
    in_colour = certify(pair, colour, epsilon=4, eligible_only=False)
    assert (in_grey.lead <= in_colour.lead + 1e-6).all()
    assert (in_grey.lead < in_colour.lead - 1e-3).any()
    for moves in (-4, 4):
        moved = (grey.long() + moves).clamp(0, 255).to(torch.uint8)
        right = pair.original_scores(moved.repeat(1, 3, 1, 1)).argmax(1) == 0
        lead = twin_scores(other, moved.repeat(1, 3, 1, 1)) @ torch.tensor([-1.0, 1.0])
        assert (in_grey.lead >= lead)[right].all()


def test_what_cannot_be_certified_is_refused_in_one_line(whole_pair: Callable[[int], Pair]) -> None:
    pair = whole_pair(0)
    images = image_set(every_image()[:4], torch.zeros(4, dtype=torch.int64))
    with pytest.raises(InputError, match="an epsilon of 256 grey levels; allowed: 0 to 255"):
        certify(pair, images, epsilon=256)
    with pytest.raises(InputError, match="batch size of 0"):
        certify(pair, images, epsilon=1, batch_size=0)
    with pytest.raises(InputError, match="no certificate for this stand-in build: its program is needed"):
        certify(Pair(pair.original, None, StandInBuild(pair.build.predict)), images, epsilon=1)
    curved = nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.GELU()).eval()
    with pytest.raises(ModelError, match=r"no certificate for 'gelu': the operator aten\.gelu\.default has no bounds"):
        certify(float_pair(curved, curved)[0], images, epsilon=1, eligible_only=False)
    shifted = StandInBuild(lambda shown: pair.build.predict(shown) + torch.tensor([0.0, 1.0]))
    with pytest.raises(ModelError, match=r"the build's scores lie up to \S+ outside what its program can answer"):
        certify(Pair(pair.original, pair.program, shifted), images, epsilon=1, eligible_only=False, levels=0)


def test_thresholds_are_not_negative() -> None:
    empty = torch.zeros(0, dtype=torch.int64)
    found = Certificate(1, "made", empty, empty, empty.double(), aligned=True, levels=0)
    with pytest.raises(InputError, match="a guard's threshold of -1"):
        found.certified(-1)
