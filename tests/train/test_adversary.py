"""Adversarial training: closed forms of the inner search, what it leaves alone, and the check for a collapse."""

import copy
import math
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import errors, evade
from edgerift.images import ImageSet
from edgerift.train import (
    Adversary,
    Epoch,
    History,
    TrainSettings,
    adversaries,
    adversary,
    fit,
    in_evaluation,
    moved_images,
    run,
    signed_noise,
)
from edgerift.train import _epoch as epoch_module

SETTINGS = TrainSettings(epochs=2, batch_size=16, learning_rate=0.05, device="cpu", seed=4)
MADRY, TRADES, FAST = adversaries().values()


def linear(seed: int = 0) -> nn.Module:
    """Make a model whose two logits are w x and -w x."""
    weight = torch.randn(48, generator=torch.Generator().manual_seed(seed))
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([weight, -weight]) / 2)
    return model


def inner_images(count: int) -> Tensor:
    """Make images that a step of 8 grey levels does not take out of [0, 1]."""
    return torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1


def same_state(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def test_one_step_on_a_linear_model_is_the_worst_image() -> None:
    model, images = linear(), inner_images(20)
    labels = torch.arange(20) % 2
    weight = model[1].weight[0] * 2
    side = 1.0 - 2 * labels
    attacker = Adversary(epsilon=8, step=8, steps=1, start="clean")
    moved = moved_images(images, lambda x: F.cross_entropy(model(x), labels, reduction="sum"), attacker)
    expected = images - 8 / 255 * (side[:, None] * weight.sign()).reshape(images.shape)
    torch.testing.assert_close(moved, expected)
    margins = side * (images.flatten(1) @ weight)
    worst = F.softplus(-(margins - 8 / 255 * weight.abs().sum())).mean()
    torch.testing.assert_close(F.cross_entropy(model(moved), labels), worst)


def test_one_step_of_epsilon_is_the_fgsm_of_a_search(net: nn.Module, held_set: ImageSet) -> None:
    class Alone:
        original = folded_original = copy.deepcopy(net).eval()

        def original_scores(self, images: Tensor) -> Tensor:
            with torch.no_grad():
                return self.original(images.float() / 255)

        def build_scores(self, images: Tensor, labels: Tensor) -> Tensor:
            return self.original_scores(images)

        def white_box(self) -> evade.Steering:
            return evade.Steering(self.original, (self.original,))

    found = evade.search(Alone(), held_set, "fgsm", epsilon=5, eligible_only=False, stop="never")
    model, images = Alone.original, held_set.images.float() / 255
    attacker = Adversary(epsilon=5, step=5, steps=1, start="clean")
    moved = moved_images(images, lambda x: F.cross_entropy(model(x), held_set.labels, reduction="sum"), attacker)
    assert torch.equal((moved * 255).round().to(torch.uint8), found.last)


@pytest.mark.parametrize("start", ["clean", "random", "nearby"])
@pytest.mark.parametrize("epsilon", [0.5, 8, 300 / 2])
def test_moved_images_stay_in_their_box(net: nn.Module, held_set: ImageSet, start: str, epsilon: float) -> None:
    images = held_set.images.float() / 255
    attacker = Adversary.model_validate({"epsilon": epsilon, "step": epsilon / 3, "start": start})
    net.train()
    before = copy.deepcopy(net.state_dict())
    with in_evaluation(net):
        moved = moved_images(images, lambda x: F.cross_entropy(net(x), held_set.labels, reduction="sum"), attacker)
    assert float((moved - images).abs().max()) <= epsilon / 255 + 1e-6
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1
    assert not torch.equal(moved, images)
    assert not moved.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_evaluation_mode_is_given_back_part_by_part(net: nn.Module) -> None:
    net.train()
    net[1].eval()
    with in_evaluation(net):
        assert not any(part.training for part in net.modules())
    assert [part.training for part in net] == [True, False, *[True] * 6]


@pytest.mark.parametrize("attacker", [MADRY.replace(epsilon=0), TRADES.replace(weight=0), TRADES.replace(epsilon=0)])
def test_an_adversary_without_reach_or_weight_is_plain_training(
    net: nn.Module, train_set: ImageSet, attacker: Adversary
) -> None:
    plain = fit(copy.deepcopy(net), train_set, None, settings=SETTINGS)
    assert same_state(fit(net, train_set, None, settings=SETTINGS, adversary=attacker), plain)


def test_an_adversary_of_hardly_any_reach_is_nearly_plain_training(net: nn.Module, train_set: ImageSet) -> None:
    smooth = nn.Sequential(net[0], net[1], nn.Tanh(), *net[4:])
    plain = fit(copy.deepcopy(smooth), train_set, None, settings=SETTINGS)
    fast = fit(smooth, train_set, None, settings=SETTINGS, adversary=adversary("fast", 0.01))
    assert not same_state(fast, plain)
    for first, second in zip(fast.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(first, second, rtol=0.01, atol=0.002)


def learned_from(model: nn.Module, train_set: ImageSet, attacker: Adversary | None) -> float:
    """Return the loss of the first step of a training in one batch, of a model without dropout."""
    settings = SETTINGS.replace(epochs=1, batch_size=len(train_set), adversary=attacker, augment=False)
    loss = run(model, train_set, None, settings).history.epochs[0].train_loss
    assert math.isfinite(loss)
    return loss


def test_trades_adds_the_divergence_of_each_image(train_set: ImageSet) -> None:
    # With one class of two ahead by w x, a step of epsilon moves the margin by epsilon |w|_1, one way or the other.
    few = train_set.select(torch.arange(5))
    two = ImageSet(
        name="two",
        images=(few.images[:, :, :4, :4] // 2 + 50).contiguous(),
        labels=few.labels % 2,
        classes=("a", "b"),
        fingerprint="two",
    )
    attacker = Adversary(epsilon=4, step=4, steps=3, start="nearby", objective="kl", weight=3)
    model = linear()
    plain = learned_from(copy.deepcopy(model), two, None)
    found = learned_from(copy.deepcopy(model), two, attacker)
    weight = model[1].weight[0].detach() * 2
    margins = (two.images.float() / 255).flatten(1) @ weight
    reach = 4 / 255 * weight.abs().sum()
    terms = torch.stack([binary_kl(margins, margins + sign * reach) for sign in (1, -1)])
    # The start decides the side: both are local maxima.
    low, high = terms.amin(0).mean(), terms.amax(0).mean()
    assert plain + 3 * float(low) - 1e-4 <= found <= plain + 3 * float(high) + 1e-4
    assert found > plain + 1e-3


def test_trades_is_the_divergence_from_the_image_to_the_moved_one() -> None:
    # No pixel can move but in the direction that raises the margin, so that the worst image is known.
    model = linear()
    with torch.no_grad():
        model[1].weight *= 0.1
    weight = model[1].weight[0].detach() * 2
    pixels = torch.where(weight > 0, 0, 255).to(torch.uint8).reshape(1, 3, 4, 4)
    images = pixels.repeat(6, 1, 1, 1)
    corner = ImageSet("corner", images, torch.arange(6) % 2, ("a", "b"), "corner-0")
    attacker = Adversary(epsilon=64, step=64, steps=3, start="nearby", objective="kl", weight=3)
    plain = learned_from(copy.deepcopy(model), corner, None)
    found = learned_from(copy.deepcopy(model), corner, attacker)
    margin = (images[0].flatten().float() / 255) @ weight
    moved = margin + 64 / 255 * weight.abs().sum()
    assert float(binary_kl(moved, margin)) > 1.1 * float(binary_kl(margin, moved))
    assert found == pytest.approx(plain + 3 * float(binary_kl(margin, moved)), rel=1e-4)


def binary_kl(first: Tensor, second: Tensor) -> Tensor:
    p, q = torch.sigmoid(first), torch.sigmoid(second)
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()


@pytest.mark.parametrize("attacker", [MADRY, TRADES, FAST], ids=["madry", "trades", "fast"])
def test_a_killed_adversarial_training_ends_as_one_that_was_not(
    net: nn.Module, train_set: ImageSet, held_set: ImageSet, attacker: Adversary, tmp_path: Path
) -> None:
    settings = SETTINGS.replace(adversary=attacker.replace(steps=min(2, attacker.steps)))
    whole = run(copy.deepcopy(net), train_set, held_set, settings)

    class KilledError(Exception):
        pass

    def kill(task: str, done: int, total: int, note: str = "") -> None:
        if done == 7:
            raise KilledError

    with pytest.raises(KilledError):
        run(copy.deepcopy(net), train_set, held_set, settings, checkpoint=tmp_path / "c.pt", progress=kill)
    resumed = run(copy.deepcopy(net), train_set, held_set, settings, checkpoint=tmp_path / "c.pt")
    assert same_state(resumed.model, whole.model)
    assert resumed.history == whole.history
    assert all(epoch.attacked_accuracy is not None for epoch in whole.history.epochs)
    assert all(epoch.train_accuracy is not None for epoch in whole.history.epochs)


def test_madry_learns_from_the_moved_images(train_set: ImageSet) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    reference = copy.deepcopy(model)
    attacker = Adversary(epsilon=8, step=8, steps=1, start="clean")
    images, labels = train_set.images.float() / 255, train_set.labels
    moved = moved_images(images, lambda x: F.cross_entropy(reference(x), labels, reduction="sum"), attacker)
    expected = F.cross_entropy(reference(moved), labels).item()
    assert learned_from(model, train_set, attacker) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("attacker", "passes"), [(MADRY, 1), (FAST, 1), (TRADES, 2)], ids=["madry", "fast", "trades"])
def test_normalisations_count_the_passes_that_are_learned_from(
    net: nn.Module, train_set: ImageSet, attacker: Adversary, passes: int, steps: int
) -> None:
    learned_from(net, train_set, attacker.replace(steps=steps))
    assert net[1].num_batches_tracked == passes


class Passes(NamedTuple):
    """What a model was given in the passes of a training: in the search of the attacker, and to learn from."""

    searched: list[Tensor]
    learned: list[Tensor]


def passes_of(net: nn.Module, train_set: ImageSet, **fields: object) -> Passes:
    model, passes = copy.deepcopy(net), Passes([], [])

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        (passes.learned if module.training else passes.searched).append(inputs[0].detach().clone())

    model.register_forward_pre_hook(note)
    run(model, train_set, None, SETTINGS.replace(**fields))
    return passes


@pytest.mark.parametrize(
    "attacker", [MADRY.replace(start="clean"), FAST, TRADES.replace(steps=7)], ids=["madry", "fast", "trades"]
)
def test_the_attacker_starts_from_augmented_images_and_stays_around_them(
    net: nn.Module, train_set: ImageSet, attacker: Adversary
) -> None:
    batches = passes_of(net, train_set).learned
    raw = passes_of(net, train_set, augment=False).learned
    assert not any(torch.equal(one, other) for one, other in zip(batches, raw, strict=True))
    searched, learned = passes_of(net, train_set, adversary=attacker)
    if attacker.objective == "kl":
        assert all(torch.equal(one, other) for one, other in zip(learned[::2], batches, strict=True))
        learned = learned[1::2]
    for batch, moved in zip(batches, learned, strict=True):
        assert 0 < float((moved - batch).abs().max()) <= attacker.epsilon / 255 + 1e-6
        assert float(moved.min()) >= 0
        assert float(moved.max()) <= 1
    if attacker.start != "random":
        first = searched[:: len(searched) // len(batches)]
        assert all(torch.equal(one, other) for one, other in zip(first, batches, strict=True))


@pytest.mark.parametrize(
    ("reached", "collapsed"),
    [
        ([], None),
        ([None, None], None),
        ([0.4, 0.45, 0.26], None),
        ([0.4, 0.45, 0.24, 0.5], 3),
        ([0.4, None, 0.1], 3),
        ([0.1, 0.4, 0.3, 0.0], 4),
    ],
)
def test_a_collapse_is_a_fall_by_more_than_20_points(reached: list[float | None], collapsed: int | None) -> None:
    assert History(tuple(Epoch(1, 0.5, 1, 0.5, 0.1, one) for one in reached)).collapsed == collapsed


def test_a_collapse_is_told(
    net: nn.Module, train_set: ImageSet, held_set: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = iter([0.6, 0.1])
    monkeypatch.setattr(epoch_module, "attacked_accuracy", lambda *_: next(reached))
    with pytest.warns(errors.TrainingWarning, match=r"fell by more than 20 points in epoch 2, to 10\.0%"):
        run(net, train_set, held_set, SETTINGS.replace(adversary=FAST))


def test_an_adversary_belongs_to_the_default_loss(net: nn.Module, train_set: ImageSet) -> None:
    with pytest.raises(errors.RecipeError, match="leave adversary out"):
        run(
            net,
            train_set,
            None,
            SETTINGS.replace(adversary=FAST),
            loss=lambda model, images, labels: F.cross_entropy(model(images), labels),
        )


def test_settings_without_an_adversary_are_what_they_were() -> None:
    assert "adversary" not in TrainSettings().model_dump(mode="json")
    assert TrainSettings(adversary=FAST).model_dump(mode="json")["adversary"]["steps"] == 1


def test_the_published_ones() -> None:
    assert (FAST.step, FAST.steps, FAST.start) == (10, 1, "random")
    assert (MADRY.step, MADRY.steps) == (2, 7)
    assert (TRADES.objective, TRADES.start, TRADES.weight) == ("kl", "nearby", 6)
    with pytest.raises(errors.RecipeError, match="did you mean 'trades'"):
        adversary("trade")


@pytest.mark.parametrize("start", ["clean", "random", "nearby"])
def test_grey_images_stay_grey(net: nn.Module, held_set: ImageSet, start: str) -> None:
    grey = held_set.images[:, :1].expand(-1, 3, -1, -1).float() / 255
    attacker = Adversary.model_validate({"epsilon": 8, "start": start})
    moved = moved_images(grey, lambda x: F.cross_entropy(net(x), held_set.labels, reduction="sum"), attacker)
    for found in (moved, signed_noise(grey, 8)):
        assert found.shape == grey.shape
        assert torch.equal(found, found[:, :1].expand_as(found))
        assert not torch.equal(found, grey)


def test_signed_noise_moves_every_pixel_by_the_same(held_set: ImageSet) -> None:
    images = held_set.images.float() / 255 * 0.8 + 0.1
    moved = signed_noise(images, 5) - images
    torch.testing.assert_close(moved.abs(), torch.full_like(moved, 5 / 255))
    assert abs(float(moved.sign().mean())) < 0.05
    assert not torch.equal(moved[:, 0], moved[:, 1])
