import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from linear_pair import StandInBuild, image_set, linear_model, margin_model, near_images
from torch import nn

from edgerift.deploy import twin_scores
from edgerift.errors import InputError
from edgerift.evade import Disagreement, Fleet, Pair, Steering, float_pair, margin, search

IMAGES = torch.randint(0, 256, (4, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def busy_model() -> nn.Module:
    """A model that a forward pass in training mode would change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4, 2))


def test_a_pair_keeps_an_own_copy_of_the_original() -> None:
    model = busy_model()
    pair = Pair(model, None, StandInBuild(lambda images: torch.zeros(len(images), 2)))
    before = pair.original_scores(IMAGES)
    with torch.no_grad():
        model[-1].bias.add_(5.0)
    assert torch.equal(pair.original_scores(IMAGES), before)
    assert model.training
    assert not pair.original.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in pair.original.parameters())


def test_a_build_answers_the_images_as_they_are() -> None:
    build = StandInBuild(lambda images: images.flatten(1)[:, :2].float())
    assert torch.equal(Pair(busy_model(), None, build).build_scores(IMAGES), IMAGES.flatten(1)[:, :2].float())
    assert torch.equal(build.asked[0], IMAGES)


@pytest.mark.parametrize("runtime", ["executorch", "onnxruntime"])
def test_the_white_box_computes_what_the_two_models_answer(real_pair, runtime: str) -> None:
    pytest.importorskip(runtime)
    pair, images = real_pair(runtime)
    steering = pair.white_box()
    assert torch.equal(twin_scores(steering.adapted[0], images.images), pair.build_scores(images.images))
    torch.testing.assert_close(
        twin_scores(steering.original, images.images), pair.original_scores(images.images), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("runtime", ["executorch", "onnxruntime"])
def test_the_white_box_lies_wholly_on_its_device(real_pair, runtime: str) -> None:
    """A tensor that stayed behind could not be computed with: the device `meta` takes none of the CPU's."""
    pytest.importorskip(runtime)
    pair, images = real_pair(runtime)
    here = pair.white_box()
    there = here.to("meta")
    for module in (there.original, *there.adapted):
        floats = torch.rand(2, *images.images.shape[1:], device="meta", requires_grad=True)
        answers = module(floats)
        answers.sum().backward()
        assert answers.device.type == "meta"
        assert floats.grad is not None
    assert {tensor.device.type for tensor in here.adapted[0].buffers()} == {"cpu"}, "a copy was moved"


def test_without_a_program_there_is_no_white_box() -> None:
    build = StandInBuild(lambda images: torch.zeros(len(images), 2))
    with pytest.raises(InputError, match=r"no program.*no twin.*steering=pair\.black_box"):
        Pair(busy_model(), None, build).white_box()


def test_a_runtime_without_a_twin_is_named(real_pair) -> None:
    pytest.importorskip("onnxruntime")
    program = real_pair("onnxruntime")[0].program
    build = StandInBuild(lambda images: torch.zeros(len(images), 5))
    with pytest.raises(InputError, match=r"'stand-in'.*steering=Steering"):
        Pair(busy_model(), program, build).white_box()


def test_steering_leaves_modules_as_they_are_and_uses_them_in_evaluation_mode() -> None:
    training, fixed = busy_model(), busy_model().eval().requires_grad_(False)
    state = {name: value.clone() for name, value in training.state_dict().items()}
    steering = Steering(training, (fixed, training))
    assert steering.adapted[0] is fixed
    for module in (steering.original, steering.adapted[1]):
        assert not any(part.training for part in module.modules())
        assert not any(parameter.requires_grad for parameter in module.parameters())
        module(torch.zeros(2, 3, 2, 2))
    assert training.training
    assert all(parameter.requires_grad for parameter in training.parameters())
    assert all(torch.equal(value, state[name]) for name, value in training.state_dict().items())


def test_moving_steering_moves_a_copy() -> None:
    steering = Steering(linear_model(torch.ones(2, 12), torch.zeros(2)), (busy_model(),))
    moved = steering.to("meta")
    assert {p.device.type for m in (moved.original, *moved.adapted) for p in m.parameters()} == {"meta"}
    assert {p.device.type for m in (steering.original, *steering.adapted) for p in m.parameters()} == {"cpu"}


def test_steering_and_a_fleet_need_something_to_fool() -> None:
    with pytest.raises(InputError, match="at least one"):
        Steering(busy_model(), ())
    with pytest.raises(InputError, match="at least 1 pair"):
        Fleet(())


SCORES = st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=6, max_size=6)


@given(st.lists(SCORES, min_size=1, max_size=3), st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_a_fleet_is_wrong_where_all_its_builds_are(answers, labels) -> None:
    """Whole scores, which tie often: among equal scores the first class is the answer."""
    scores = [2 + torch.tensor(rows, dtype=torch.float32) for rows in answers]  # No row of 0 and 1, which is a label.
    wanted = torch.tensor(labels)
    original = margin_model(torch.ones(12), 0.5)
    fleet = Fleet(tuple(Pair(original, None, StandInBuild(lambda _, mine=mine: mine)) for mine in scores))
    images = torch.zeros(6, 3, 2, 2, dtype=torch.uint8)
    found = fleet.build_scores(images, wanted)
    all_wrong = torch.stack([mine.argmax(1) != wanted for mine in scores]).all(0)
    assert torch.equal(found.argmax(1) != wanted, all_wrong)
    assert torch.equal(margin(found, wanted), torch.stack([margin(mine, wanted) for mine in scores]).amax(0))


def test_a_fleet_asks_the_first_members_original_and_steers_by_every_twin(real_pair) -> None:
    pytest.importorskip("onnxruntime")
    pair, images = real_pair("onnxruntime")
    fleet = Fleet((pair, pair))
    assert torch.equal(fleet.original_scores(images.images), pair.original_scores(images.images))
    assert fleet.white_box().adapted == (pair.twin, pair.twin)


def half_space(seed: int) -> StandInBuild:
    """A build of two classes whose border runs through the images of :func:`near_images`."""
    weight = torch.randint(-9, 10, (48,), generator=torch.Generator().manual_seed(1)).float()
    weight += torch.randint(-1, 2, (48,), generator=torch.Generator().manual_seed(seed))
    middle = (near_images(40, 4, seed=6).flatten(1).float() @ weight).median().round()
    model = margin_model(weight, 0.5 - float(middle))
    return StandInBuild(lambda images: twin_scores(model, images).clone())


def test_one_build_is_right_and_another_wrong_whatever_the_original_says() -> None:
    """The search has no twins here: it asks both builds for its gradients."""
    wrong_of_all = linear_model(torch.zeros(2, 48), torch.tensor([1.0, 0.0]))
    right, wrong = half_space(4), half_space(5)
    both = Disagreement(Pair(wrong_of_all, None, right), Pair(wrong_of_all, None, wrong))
    images = image_set(near_images(40, 4, seed=6))
    found = search(both, images, steering=both.black_box(), epsilon=6, steps=6)
    hits = found.images[found.evasive]
    assert 0 < len(hits) <= len(found) < len(images)
    assert right.predict(hits).argmax(1).tolist() == [1] * len(hits)
    assert wrong.predict(hits).argmax(1).tolist() == [0] * len(hits)
    assert (hits.int() - found.clean[found.evasive].int()).abs().max() <= 6
    with pytest.raises(InputError, match="no twin"):
        both.white_box()


def test_a_build_agrees_with_itself() -> None:
    alone = Pair(busy_model(), None, half_space(2))
    both = Disagreement(alone, alone)
    images = image_set(near_images(40, 4, seed=6))
    assert search(both, images, steering=both.black_box(2), epsilon=6, steps=3).rate.successes == 0


def test_the_control_answers_as_the_other_model_and_leaves_it_alone() -> None:
    original, other = busy_model(), busy_model()
    with torch.no_grad():
        other[-1].bias.add_(1.0)
    pair, steering = float_pair(original, other)
    assert other.training
    assert not torch.equal(pair.build_scores(IMAGES), pair.original_scores(IMAGES))
    assert torch.equal(pair.build_scores(IMAGES), twin_scores(other.eval(), IMAGES))
    torch.testing.assert_close(twin_scores(steering.adapted[0], IMAGES), pair.build_scores(IMAGES))
    torch.testing.assert_close(twin_scores(steering.original, IMAGES), pair.original_scores(IMAGES))
    assert pair.build.integer_macs() == 0.0
    assert pair.build.fingerprint().runtime == "float"
