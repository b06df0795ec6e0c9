"""Training what Adaptive Misinformation needs: a network that is wrong, and a victim that is unsure of outliers."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import zoo
from edgerift.errors import InputError
from edgerift.images import ImageSet, in_channels, to_float
from edgerift.measure import Predict
from edgerift.steps import Progress, silent
from edgerift.train import TrainSettings, run

_TINY: Final = 1e-12


def misleading_loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean of -log(1 - p_y): small where the probability of the label is."""
    scores: Tensor = model(images)
    right = scores.float().softmax(1).gather(1, labels.view(-1, 1))
    return -(1 - right + _TINY).log().mean()


def misleading_network(
    network: str,
    train: ImageSet,
    *,
    outliers: ImageSet | None = None,
    victim: Predict | None = None,
    settings: TrainSettings | None = None,
    progress: Progress = silent,
) -> zoo.Classifier:
    """Train a network of the zoo to be wrong about images, for :class:`AdaptiveMisinformation`.

    On `outliers`, if there are any, it is trained to be wrong about the label that the `victim` gives (uint8 images to
    scores), as its authors do; later code leaves them out. Save it with `zoo.save`. Raises
    :class:`~edgerift.errors.InputError` for outliers without a victim, and what `train.run` raises.
    """
    chosen = settings or TrainSettings(epochs=50, learning_rate=0.1)
    described = zoo.Architecture(name=network, classes=len(train.classes), size=train.shape.size)
    if outliers is not None:
        if victim is None:
            raise InputError("outliers are learned with the labels that the victim gives them; give the victim too")
        labels = torch.cat([victim(part).argmax(1).cpu() for part in outliers.images.split(256)])
        channels = max(train.shape.channels, outliers.shape.channels)
        both = torch.cat([in_channels(images, channels) for images in (train.images, outliers.images)])
        train = replace(train, images=both, labels=torch.cat([train.labels, labels]), groups=None)
    model = zoo.from_architecture(described, seed=chosen.seed)
    trained = run(model, train, None, chosen, loss=misleading_loss, progress=progress, task="misleading network").model
    assert isinstance(trained, zoo.Classifier)
    return trained


def exposure_loss(model: nn.Module, images: Tensor, labels: Tensor, outliers: Tensor, weight: float) -> Tensor:
    """Compute the cross-entropy of images plus `weight` times that of outliers to the uniform answer."""
    scores: Tensor = model(torch.cat([images, outliers]))
    own, other = scores[: len(images)].float(), scores[len(images) :].float()
    unsure: Tensor = (other.logsumexp(1) - other.mean(1)).mean()
    return F.cross_entropy(own, labels) + weight * unsure


def outlier_exposure(
    network: str,
    train: ImageSet,
    outliers: ImageSet,
    *,
    weight: float = 1.0,
    settings: TrainSettings | None = None,
    progress: Progress = silent,
) -> zoo.Classifier:
    """Train a network of the zoo that is unsure of outliers: Hendrycks et al. 2019, https://arxiv.org/abs/1812.04606.

    As many outliers as images are drawn for each step. Raises what `train.run` raises.
    """
    chosen = settings or TrainSettings(epochs=50, learning_rate=0.1)
    described = zoo.Architecture(name=network, classes=len(train.classes), size=train.shape.size)
    generator = torch.Generator().manual_seed(chosen.seed)

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        drawn = torch.randint(len(outliers), (len(images),), generator=generator)
        others = to_float(in_channels(outliers.images[drawn], images.shape[1])).to(images.device)
        return exposure_loss(model, images, labels, others, weight)

    model = zoo.from_architecture(described, seed=chosen.seed)
    trained = run(model, train, None, chosen, loss=loss, progress=progress, task="outlier exposure").model
    assert isinstance(trained, zoo.Classifier)
    return trained
