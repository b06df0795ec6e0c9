"""The ensemble: the union of its members, and what a search without gradients catches."""

import hashlib

import pytest
import torch
from linear_pair import StandInBuild, image_set, linear_model, near_images
from torch import Tensor, nn

from edgerift.deploy import twin_scores
from edgerift.errors import RecipeError
from edgerift.evade import Attack, Evasion, Pair, Steering, members, preset, search
from edgerift.evade._attack import ENSEMBLES
from edgerift.images import ImageSet
from edgerift.settings import canonical_json
from edgerift.specification import Guard

NAME = "pair-attack-1"


class Network(nn.Module):
    """A small network with a bend, whose build's twin may be saturated."""

    def __init__(self, seed: int, *, moved: float = 0.0, saturated: bool = False) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        first, second, noise = (torch.randn(*size, generator=generator) for size in ((48, 12), (12, 4), (48, 12)))
        self.register_buffer("first", first + moved * noise)
        self.register_buffer("second", second)
        self.saturated = saturated

    def forward(self, images: Tensor) -> Tensor:
        # In double precision, so that what is computed beside an image hardly changes its logits.
        logits = (((images.double() - 0.5).flatten(1) @ self.first.double()).relu() @ self.second.double()).float()
        return 0 * logits + logits.detach() if self.saturated else logits


def attacked(guard: Guard | None = None, *, saturated: bool = False) -> tuple[Pair, Steering, ImageSet]:
    original, adapted = Network(1), Network(1, moved=0.06)
    build = StandInBuild(lambda images: twin_scores(adapted, images))
    pair = Pair(original, None, build, guard)
    steering = Steering(original, (Network(1, moved=0.06, saturated=saturated),))
    images = torch.randint(0, 256, (36, 3, 4, 4), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    labels = pair.original_scores(images).argmax(1)
    return pair, steering, image_set(images, labels, 4)


@pytest.fixture(scope="module")
def found() -> Evasion:
    pair, steering, images = attacked()
    return search(pair, images, NAME, steering=steering, epsilon=6)


def test_the_union_holds_what_each_member_evades(found: Evasion) -> None:
    pair, steering, images = attacked()
    union = torch.zeros(len(found), dtype=torch.bool)
    for name, member in members(found.attack).items():
        alone = search(pair, images, member, steering=steering)
        assert not (alone.evasive & ~found.evasive).any(), name
        union |= alone.evasive
    assert torch.equal(union, found.evasive)
    assert 3 < int(union.sum()) < len(found) - 3


def test_every_success_is_counted_for_the_first_member_that_evaded_it(found: Evasion) -> None:
    assert found.member is not None
    assert found.by_member is not None
    assert torch.equal(found.member >= 0, found.evasive)
    assert list(found.by_member) == list(members(found.attack))
    assert sum(found.by_member.values()) == found.rate.successes
    spent = 0
    for number, (name, member) in enumerate(members(found.attack).items()):
        mine = found.member == number
        assert int(mine.sum()) == found.by_member[name]
        assert ((found.first[mine] >= spent) & (found.first[mine] <= spent + member.steps * member.restarts)).all()
        spent += member.steps * member.restarts
    assert found.cumulative()[-1] == found.rate.successes


def test_the_budget_in_its_name_is_that_of_its_members() -> None:
    for name, budget in ENSEMBLES.items():
        assert sum(one.steps * one.restarts for one in members(preset(name)).values()) == budget


def test_the_members_of_a_version_stay_as_they_are() -> None:
    """A change of what is attacked with is a new name: figures of one name can be compared."""
    text = canonical_json(dict(members(preset(NAME, 8))))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "b5d8f81d3e051fca"


@pytest.mark.parametrize("size", [1, 7])
def test_neither_batches_nor_order_change_the_union(found: Evasion, size: int) -> None:
    pair, steering, images = attacked()
    turned = ImageSet("made", images.images.flip(0), images.labels.flip(0), images.classes, "made")
    again = search(pair, turned, NAME, steering=steering, epsilon=6, batch_size=size)
    assert torch.equal(again.evasive, found.evasive.flip(0))
    assert torch.equal(again.images, found.images.flip(0))
    assert torch.equal(again.member, found.member.flip(0))


def test_a_saturated_twin_is_caught_by_the_search_without_gradients() -> None:
    pair, steering, images = attacked(saturated=True)
    found = search(pair, images, NAME, steering=steering, epsilon=6)
    blind = search(pair, images, "default", steering=steering, epsilon=6)
    assert found.by_member is not None
    assert found.by_member["square"] > 0
    assert int(found.evasive.sum()) > int(blind.evasive.sum())


def test_a_guard_is_known_to_every_member() -> None:
    free = attacked()
    gaps = free[0].build_scores(free[2].images).topk(2, 1).values.diff(dim=1).abs()
    guard = Guard(threshold=float(gaps.quantile(0.05)))
    pair, steering, images = attacked(guard)
    found = search(pair, images, NAME, steering=steering, epsilon=6)
    unguarded = search(free[0], images, NAME, steering=steering, epsilon=6)
    assert bool(guard.answers(found.build[found.evasive]).all())
    assert 0 < int(found.evasive.sum()) < int(unguarded.evasive.sum())


@pytest.mark.parametrize("goal", ["wrong", "top5", "abstain"])
def test_no_budget_finds_the_clean_disagreements(goal: str) -> None:
    pair, steering, images = attacked(Guard(threshold=0.4))
    labels = pair.original_scores(images.images).argmax(1)
    attack = preset(NAME, 0).replace(goal=goal)
    found = search(pair, images, attack, steering=steering, eligible_only=False)
    answered = pair.guard.answers(found.clean_build)
    expected = ~answered if goal == "abstain" else answered & (found.clean_build.argmax(1) != labels)
    assert torch.equal(found.evasive, expected if goal != "top5" else torch.zeros_like(expected))


def test_all_but_epsilon_goal_and_seed_is_fixed() -> None:
    for changes in ({"steps": 30}, {"rule": "apgd"}, {"restarts": 2}):
        with pytest.raises(RecipeError, match="fixes all but epsilon, goal, seed and precision"):
            preset(NAME).replace(**changes)
    with pytest.raises(RecipeError, match="one start"):
        Attack(rule="square", restarts=2)


def test_a_union_is_read_back(found: Evasion, tmp_path) -> None:
    found.save(tmp_path / "found.safetensors")
    again = Evasion.load(tmp_path / "found.safetensors")
    assert torch.equal(again.member, found.member)
    assert again.by_member == found.by_member


def test_the_square_search_finds_a_half_space_that_is_not_just_at_a_corner() -> None:
    images = near_images(20, 2, seed=4)
    weight = torch.tensor([[0.0] * 12, [1.0] * 12])
    start = float(images.flatten(1).float().sum(1).median()) - 20
    adapted = linear_model(weight, torch.tensor([0.0, 0.5 - start]))
    original = linear_model(torch.zeros(2, 12), torch.tensor([0.0, 1e6]))
    pair = Pair(original, None, StandInBuild(lambda asked: twin_scores(adapted, asked)))
    steering = Steering(original, (adapted,))
    found = search(pair, image_set(images), "square", steering=steering, epsilon=4)
    low = (images.long() - 4).clamp_min(0).flatten(1).sum(1)[found.index]
    assert bool(found.evasive[low < start - 12].all())
    assert not bool(found.evasive[low > start - 0.5].any())
    assert 3 < int(found.evasive.sum()) < len(found) - 3
    assert found.gradient_calls.sum() == 0
    assert (found.build_questions >= found.first.clamp_min(0) + 1).all()
