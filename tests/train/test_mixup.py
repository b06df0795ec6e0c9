"""Mixup: means by hand, the weight 1 as no mixing, the draws, and a training that repeats."""

import random

import pytest
import torch
from torch import nn

from edgerift.errors import RecipeError
from edgerift.images import ImageSet
from edgerift.train import TrainSettings, adversary, run
from edgerift.train._mixup import Mixture, mixed, mixture


def batch(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, 4, 4, generator=generator), torch.randint(3, (count,), generator=generator)


@pytest.mark.parametrize("as_rows", [False, True])
def test_images_and_targets_are_the_same_means(as_rows: bool) -> None:
    images, labels = batch()
    others = torch.tensor([1, 2, 3, 4, 5, 0])
    given = torch.eye(3)[labels] if as_rows else labels
    found, targets = mixed(images, given, 3, Mixture(0.8, others))
    assert torch.allclose(found, 0.8 * images + 0.2 * images[others])
    assert torch.allclose(targets, 0.8 * torch.eye(3)[labels] + 0.2 * torch.eye(3)[labels[others]])


def test_the_weight_1_is_the_plain_training() -> None:
    images, labels = batch()
    found, targets = mixed(images, labels, 3, Mixture(1.0, torch.arange(6).flip(0)))
    assert torch.equal(found, images)
    assert torch.equal(targets, torch.eye(3)[labels])


def test_weights_are_those_of_a_beta_distribution_folded_at_a_half() -> None:
    """Beta(1, 1) is uniform, and folded it is uniform from 0.5 to 1; Beta(a, a) for a small a is near 0 and 1."""
    weights, draws = random.Random(0), torch.Generator().manual_seed(0)
    uniform = torch.tensor([mixture(2, 1.0, weights, draws).weight for _ in range(4000)])
    assert float(uniform.min()) >= 0.5
    assert float(uniform.mean()) == pytest.approx(0.75, abs=0.01)
    assert float(uniform.var()) == pytest.approx(0.25 / 12, abs=0.002)
    assert sum(mixture(2, 0.01, weights, draws).weight > 0.999 for _ in range(200)) > 150
    orders = torch.stack([mixture(3, 1.0, weights, draws).others for _ in range(600)])
    assert torch.equal(orders.sort(1).values, torch.arange(3).expand(600, 3))
    assert len(orders.unique(dim=0)) == 6


def images_of(count: int = 24) -> ImageSet:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet("some", images, torch.arange(count) % 3, ("a", "b", "c"), "some")


def trained(**fields: float) -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)
    settings = TrainSettings(epochs=2, batch_size=8, learning_rate=0.05, precision="float32", **fields)
    return run(model, images_of(), None, settings).model


def test_a_training_that_mixes_or_distorts_is_another_one_and_repeats() -> None:
    plain, mixing, distorting = (
        next(trained(**fields).parameters()) for fields in ({}, {"mixup": 0.5}, {"distortion": 0.5})
    )
    again = next(trained(mixup=0.5).parameters())
    assert torch.equal(mixing, again)
    assert not torch.equal(mixing, plain)
    assert not torch.equal(distorting, plain)


def test_a_loss_on_labels_cannot_be_mixed() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    settings = TrainSettings(epochs=1, mixup=0.5)
    with pytest.raises(RecipeError, match="leave mixup out"):
        run(model, images_of(), None, settings, loss=lambda model, images, _: model(images).sum())
    with pytest.raises(RecipeError, match="mixup has no label"):
        TrainSettings(mixup=0.5, adversary=adversary("pgd-7", 0.03))


def test_defaults_keep_the_names_of_recipes() -> None:
    assert not {"mixup", "distortion"} & TrainSettings().model_dump().keys()
    assert {"mixup", "distortion"} <= TrainSettings(mixup=0.1, distortion=0.1).model_dump().keys()
