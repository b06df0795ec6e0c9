"""The training defences against evasion: their losses in closed form, and their strength 0."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.adapt import (
    AdversarialQat,
    Consistency,
    EvasionTraining,
    PtqSettings,
    QatSettings,
    TrainingDefence,
    run_hardened,
    run_qat,
)
from edgerift.errors import RecipeError
from edgerift.train import TrainSettings

SHORT = QatSettings(
    train=TrainSettings(epochs=1, batch_size=32, learning_rate=0.01, device="cpu"),
    calibration=PtqSettings(calibration_images=32),
)
LABELS = torch.tensor([0, 1, 2, 1])
IMAGES = torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1


def linear(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(48, 3))


MODEL, ORIGINAL = linear(1), linear(2).eval()


class Watched(nn.Module):
    """A model and the images that it was shown in training mode."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen.append(images.detach())
        answer: Tensor = self.body(images)
        return answer


def loss_of(defence: TrainingDefence) -> tuple[float, Tensor]:
    model = Watched(MODEL)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        loss = defence.batch_loss(model, ORIGINAL, IMAGES, LABELS, 0.0)
    (shown,) = model.seen
    return loss.item(), shown


def expected(shown: Tensor, distance: str, weight: float, labels: float) -> float:
    """Compute the loss anew, in double precision and by its formula."""
    first, second = MODEL(shown).double(), ORIGINAL(shown).double()
    if distance == "kl":
        p, q = second.softmax(1), first.softmax(1)
        term = (p * (p / q).log()).sum(1).mean()
    else:
        far = (first - second).abs()
        term = torch.where(far < 1, far**2 / 2, far - 0.5).mean()
    truth = -first.softmax(1)[torch.arange(4), LABELS].log().mean()
    return (weight * term + labels * truth).item()


@pytest.mark.parametrize("distance", ["smooth-l1", "kl"])
@pytest.mark.parametrize(("weight", "labels"), [(1.0, 0.0), (0.5, 2.0)])
@pytest.mark.parametrize("kind", [Consistency, EvasionTraining])
def test_the_loss_is_its_formula(kind: type[TrainingDefence], distance: str, weight: float, labels: float) -> None:
    defence = kind.model_validate({"distance": distance, "weight": weight, "labels": labels})
    found, shown = loss_of(defence)
    assert found == pytest.approx(expected(shown, distance, weight, labels), rel=1e-5)
    assert torch.equal(shown[:2], IMAGES[:2])
    reach = 4 if kind is Consistency else 8
    assert float((shown[2:] - IMAGES[2:]).abs().max()) == pytest.approx(reach / 255, rel=1e-4)


@pytest.mark.parametrize(("share", "moved"), [(0.0, 0), (0.25, 1), (1.0, 4)])
@pytest.mark.parametrize("kind", [Consistency, EvasionTraining])
def test_a_share_of_the_batch_is_moved(kind: type[TrainingDefence], share: float, moved: int) -> None:
    _, shown = loss_of(kind.model_validate({"share": share}))
    differs = (shown != IMAGES).flatten(1).any(1)
    assert differs.tolist() == [False] * (4 - moved) + [True] * moved


def test_the_original_itself_is_the_minimum_of_consistency() -> None:
    for distance in ("smooth-l1", "kl"):
        same = linear(2)
        loss = Consistency.model_validate({"distance": distance}).batch_loss(same, ORIGINAL, IMAGES, LABELS, 0.0)
        loss.backward()
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert all(float(parameter.grad.abs().max()) < 1e-6 for parameter in same.parameters())


def test_evasion_training_moves_an_image_to_where_only_the_original_is_right() -> None:
    # With two linear models the objective is linear until a margin reaches its limit: the best corner is known.
    def margin(model: nn.Module, images: Tensor) -> Tensor:
        logits = model(images)
        own = logits.gather(1, LABELS[:, None])
        return own[:, 0] - logits.scatter(1, LABELS[:, None], -math.inf).amax(1)

    defence = EvasionTraining(epsilon=6, steps=10)
    moved = defence.moved(MODEL, ORIGINAL, IMAGES, LABELS)
    before = margin(ORIGINAL, IMAGES).clamp(max=1) - margin(MODEL, IMAGES).clamp(min=-1)
    after = margin(ORIGINAL, moved).clamp(max=1) - margin(MODEL, moved).clamp(min=-1)
    assert bool((after > before).all())
    assert float((moved - IMAGES).abs().max()) <= 6 / 255 + 1e-6
    assert torch.equal(EvasionTraining(epsilon=0).moved(MODEL, ORIGINAL, IMAGES, LABELS), IMAGES)


def test_adversarial_training_is_madrys_loss_on_the_quantized_model_alone() -> None:
    loss, shown = loss_of(AdversarialQat(epsilon=4, steps=3))
    assert loss == pytest.approx(F.cross_entropy(MODEL(shown), LABELS).item(), rel=1e-5)
    assert loss > F.cross_entropy(MODEL(IMAGES), LABELS).item()
    assert float((shown - IMAGES).abs().max()) <= 4 / 255 + 1e-6


@pytest.mark.parametrize("defence", [Consistency(), EvasionTraining(), AdversarialQat()], ids=lambda one: one.type)
def test_strength_0_is_qat_bit_for_bit(lenet: Any, digits: Any, defence: TrainingDefence) -> None:
    few = digits.train.select(torch.arange(64))
    plain, _ = run_qat(lenet, few, None, target="server", settings=SHORT)
    none = run_hardened(lenet, few, None, target="server", defence=defence.with_strength(0), settings=SHORT).program
    some = run_hardened(lenet, few, None, target="server", defence=defence, settings=SHORT).program
    assert all(torch.equal(tensor, none.tensors[name]) for name, tensor in plain.tensors.items())
    assert not all(torch.equal(tensor, some.tensors[name]) for name, tensor in plain.tensors.items())
    assert some.provenance.method == defence.type
    with pytest.raises(RecipeError):
        defence.with_strength(-1)
