"""Training against an adversary: images are moved within a box before the model learns from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.images import in_channels
from edgerift.train._adversary import Adversary
from edgerift.train._loss import Loss, Read

#: One grey level, for images in [0, 1].
_LEVEL: Final = 1 / 255
#: The standard deviation of the start `nearby`, for images in [0, 1].
_NEARBY: Final = 0.001
#: The steps of the attack that measures a training: together they cross the box two and a half times.
_MEASURING_STEPS: Final = 10


def moved_images(images: Tensor, value: Callable[[Tensor], Tensor], attacker: Adversary) -> Tensor:
    """Move images float32 `[B,C,H,W]` in `[0,1]` up a `value`, a scalar to which each image adds its own part.

    Every result lies in `[0,1]` and at most epsilon away from its image. Grey images in three equal channels stay grey.
    Only images get gradients. Starts are drawn from PyTorch's random state of the CPU, so that every device has the
    same ones.
    """
    radius, channels = attacker.epsilon * _LEVEL, images.shape[1]
    images = _recorded(images)
    low, high = (images - radius).clamp_min(0), (images + radius).clamp_max(1)
    moved = _start(images, radius, attacker.start).clamp(low, high)
    for _ in range(attacker.steps):
        moved = moved.detach().requires_grad_(True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(value(in_channels(moved, channels)), (moved,))
        moved = (moved.detach() + attacker.step * _LEVEL * gradient.sign()).clamp(low, high)
    return in_channels(moved.detach(), channels)


def signed_noise(images: Tensor, levels: float) -> Tensor:
    """Move each pixel of images in `[0,1]` by so many grey levels, up or down at random; grey images stay grey.

    Signs are drawn from PyTorch's random state of the CPU.
    """
    recorded = _recorded(images)
    signs = 2 * torch.randint(0, 2, recorded.shape).to(images) - 1
    return in_channels((recorded + levels * _LEVEL * signs).clamp(0, 1), images.shape[1])


def _recorded(images: Tensor) -> Tensor:
    """Return the channels that a camera recorded: one where all are equal."""
    return images[:, :1] if bool((images == images[:, :1]).all()) else images


def _start(images: Tensor, radius: float, start: str) -> Tensor:
    if start == "random":
        return images + radius * (2 * torch.rand(images.shape).to(images) - 1)
    if start == "nearby":
        return images + _NEARBY * torch.randn(images.shape).to(images)
    return images


@contextmanager
def in_evaluation(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and every part of it back into the mode that it was in."""
    before = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode


def adversarial_loss(attacker: Adversary, read: Read, label_smoothing: float) -> Loss:
    """Make the loss of a training with an adversary; `read` makes logits of what the model answers."""

    def loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        moved = _moved(model, images, targets)
        shown = moved if attacker.objective == "cross-entropy" else images
        logits = read(model(shown), training=True)
        learned = F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
        return (
            learned
            if shown is moved
            else learned + attacker.weight * _divergence(read(model(moved), training=True), logits)
        )

    def _moved(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        with in_evaluation(model):
            if attacker.objective == "cross-entropy":
                return moved_images(images, lambda x: _cross_entropy(read(model(x)), targets), attacker)
            with torch.no_grad():
                before = read(model(images))
            return moved_images(images, lambda x: _divergence(read(model(x)), before), attacker)

    return loss


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits, targets, reduction="sum")


def _divergence(moved: Tensor, logits: Tensor) -> Tensor:
    """Compute KL(p(x) || p(x')), the mean over the images, from both logits `[B,K]`."""
    return F.kl_div(moved.log_softmax(1), logits.log_softmax(1), log_target=True, reduction="batchmean")


def attacked_accuracy(model: nn.Module, read: Read, images: Tensor, labels: Tensor, epsilon: float) -> float:
    """Measure the share of images that a model in evaluation mode still gets right after ten steps of PGD."""
    attacker = Adversary(epsilon=epsilon, step=max(epsilon / 4, 1e-3), steps=_MEASURING_STEPS)
    moved = moved_images(images, lambda x: _cross_entropy(read(model(x)), labels), attacker)
    with torch.no_grad():
        return float((model(moved).argmax(1) == labels).double().mean())
