"""A pair that answers probabilities is attacked as the pair of its logits is, and other models that users bring."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from linear_pair import StandInBuild, image_set
from torch import Tensor, nn

from edgerift.deploy import twin_scores
from edgerift.errors import InputError, ModelError, ProbabilitiesWarning, RecipeError
from edgerift.evade import Attack, Evasion, Fleet, Pair, Steering, float_pair, preset, search
from edgerift.images import ImageSet

IMAGES = torch.randint(40, 216, (30, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def linear(seed: int, classes: int = 4) -> nn.Module:
    generator = torch.Generator().manual_seed(7)
    layer = nn.Linear(48, classes)
    layer.weight.data = torch.randn(classes, 48, generator=generator)
    generator.manual_seed(seed)
    layer.weight.data += torch.randn(classes, 48, generator=generator) / 8
    layer.bias.data.zero_()
    return nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False)


def ending_in(model: nn.Module, end: nn.Module | None) -> nn.Module:
    return model if end is None else nn.Sequential(model, end).eval()


def labelled(original: nn.Module) -> ImageSet:
    return image_set(IMAGES, twin_scores(original, IMAGES).argmax(1), classes=4)


def attacked(attack: str, original: nn.Module, adapted: nn.Module, *, steering: Steering | None = None) -> Evasion:
    build = StandInBuild(lambda images: twin_scores_as_they_are(adapted, images))
    pair = Pair(original, None, build)
    return search(pair, labelled(linear(1)), attack, steering=steering or Steering(original, (adapted,)))


def twin_scores_as_they_are(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        scores: Tensor = model(images / 255)
    return scores


@pytest.mark.parametrize("attack", ["default", "diva-2022", "diva-apgd", "pgd", "cw"])
def test_a_softmax_at_the_end_changes_no_finding(attack: str) -> None:
    expected = attacked(attack, linear(1), linear(2))
    assert int(expected.evasive.sum()) > 0
    for end, says in ((nn.Softmax(1), pytest.warns(ProbabilitiesWarning)), (nn.LogSoftmax(1), nullcontext())):
        original, adapted = (ending_in(linear(seed), end) for seed in (1, 2))
        with says:
            found = attacked(attack, original, adapted)
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.evasive, expected.evasive)
        assert torch.equal(found.first, expected.first)
        for one, other in ((found.build, expected.build), (found.original, expected.original)):
            torch.testing.assert_close(one.softmax(1), other.softmax(1), atol=1e-5, rtol=1e-4)


def test_a_fleet_and_a_control_read_probabilities_too() -> None:
    soft = [ending_in(linear(seed), nn.Softmax(1)) for seed in (1, 2, 3)]
    labels = twin_scores(linear(1), IMAGES).argmax(1)
    members = [float_pair(soft[0], other)[0] for other in soft[1:]]
    with pytest.warns(ProbabilitiesWarning):
        holding = Fleet(tuple(members)).build_scores(IMAGES, labels)
    plain = Fleet(tuple(float_pair(linear(1), linear(seed))[0] for seed in (2, 3))).build_scores(IMAGES, labels)
    torch.testing.assert_close(holding, plain.log_softmax(1), atol=1e-5, rtol=1e-4)


class Changed(nn.Module):
    """A linear model with something around it."""

    def __init__(self, around: Callable[[], object]) -> None:
        super().__init__()
        self.inner = linear(1)
        self.around = around
        self.kept: Tensor | None = None
        self.inner[1].register_forward_hook(self.keep)

    def keep(self, module: nn.Module, given: object, answer: Tensor) -> None:
        self.kept = answer

    def forward(self, images: Tensor) -> Tensor:
        with self.around():
            answers: Tensor = self.inner(images)
        return answers


def after_a_forward_pass() -> nn.Module:
    model = Changed(torch.enable_grad).eval().requires_grad_(True)
    model(torch.rand(2, 3, 4, 4))
    assert model.kept is not None
    assert model.kept.grad_fn is not None
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: linear(1).double(),
        lambda: linear(1).bfloat16().float().bfloat16(),
        lambda: Changed(lambda: torch.autocast("cpu", torch.bfloat16)),
        after_a_forward_pass,
        lambda: torch.jit.trace(linear(1), torch.rand(2, 3, 4, 4)),
    ],
    ids=["float64", "bfloat16", "autocast", "hook", "traced"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_models_of_other_kinds_are_attacked(make: Callable[[], nn.Module]) -> None:
    model = make()
    pair = Pair(model, None, StandInBuild(lambda images: twin_scores(linear(2), images)))
    assert pair.original_scores(IMAGES).dtype == torch.float32
    torch.testing.assert_close(pair.original_scores(IMAGES), twin_scores(linear(1), IMAGES), atol=0.05, rtol=0.05)
    found = search(pair, labelled(linear(1)), "default", steering=Steering(model, (linear(2),)))
    assert found.evasive.any()


@pytest.mark.parametrize("attack", ["default", "diva-2022"])
def test_an_original_without_a_gradient_is_named(attack: str) -> None:
    blind = Changed(torch.no_grad).eval()
    pair = Pair(blind, None, StandInBuild(lambda images: twin_scores(linear(2), images)))
    with pytest.raises(ModelError, match="the original of the steering has no gradient"):
        search(pair, labelled(linear(1)), attack, steering=Steering(blind, (linear(2),)))


def test_what_users_code_raises_is_told_in_one_line() -> None:
    narrow = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    pair = Pair(narrow, None, StandInBuild(lambda images: twin_scores(linear(2), images)))
    with pytest.raises(ModelError, match=r"the original raised RuntimeError: .* edgerift calls it with float32 images"):
        pair.original_scores(IMAGES)

    def broken(original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        return original[:, 9, 9]

    steering = Steering(linear(1), (linear(2),))
    pair = Pair(linear(1), None, StandInBuild(lambda images: twin_scores(linear(2), images)))
    with pytest.raises(InputError, match=r"objective '.*broken' raised IndexError: .*calls it as objective\(original"):
        search(pair, labelled(linear(1)), objective=broken, steering=steering)


@pytest.mark.parametrize(
    ("epsilon", "meant"),
    [
        (0.0314, "8"),
        (8 / 255, "8"),
        ("8/255", "8"),
        ("0.0314", "8"),
        (0.3, "76 or 77"),
        (1 / 255, "1"),
        (0.001, "1"),
        (8.5, "8 or 9"),
    ],
)
def test_an_epsilon_in_shares_of_255_is_answered_with_grey_levels(epsilon: object, meant: str) -> None:
    for make in (lambda: Attack(epsilon=epsilon), lambda: preset("pgd", epsilon)):  # type: ignore[arg-type]
        with pytest.raises(RecipeError, match=rf"epsilon is .*grey levels, 0 to 255; did you mean {meant}\?"):
            make()


def test_whole_epsilons_are_taken_and_other_text_is_not() -> None:
    assert [Attack(epsilon=given).epsilon for given in (8, 8.0, "8", 0, 255)] == [8, 8, 8, 0, 255]
    with pytest.raises(RecipeError, match="must be a valid integer"):
        Attack(epsilon="far")


def test_a_step_in_shares_of_255_is_answered_with_grey_levels() -> None:
    with pytest.raises(RecipeError, match=r"20 steps of 0\.00784314 grey levels .* did you mean 2\?"):
        Attack(step=2 / 255)
    assert Attack(step=0.1).step == 0.1
    assert Attack(step=0.05, steps=1000).step == 0.05
    assert Attack(step=2 / 255, epsilon=0).step == 2 / 255
    assert Attack(step=0.01, steps=0).step == 0.01
