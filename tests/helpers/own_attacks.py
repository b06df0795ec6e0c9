"""Attacks as users write them, good and bad."""

import numpy as np
import torch


def corners(models, images, labels, *, epsilon, steps, seed):
    """Follow the twin's gradient once, to the corner of the box."""
    pixels = images.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(models.twin(pixels), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, pixels)
    return (images + epsilon / 255 * gradient.sign()).clamp(0, 1).numpy()


def best_of(models, images, labels, *, epsilon, steps, seed):
    """Ask the build itself about random corners; keep the last that it gets wrong."""
    clean = (images * 255).round()
    kept = clean.to(torch.uint8)
    for _ in range(steps):
        moved = (clean + epsilon * torch.randn(images.shape).sign()).clamp(0, 255).to(torch.uint8)
        wrong = models.build_scores(moved, labels).argmax(1) != labels
        kept[wrong] = moved[wrong]
    return kept


def pursue(models, images, labels, *, epsilon, steps, seed):
    """Follow the difference of both models' losses, and keep the last image that only the original gets right."""
    clean, kept = images, images.clone()
    cross_entropy = torch.nn.functional.cross_entropy
    for _ in range(4 * steps):
        pixels = images.clone().requires_grad_()
        gap = cross_entropy(models.twin(pixels), labels, reduction="sum") - cross_entropy(
            models.original(pixels), labels, reduction="sum"
        )
        (gradient,) = torch.autograd.grad(gap, pixels)
        moved = images + 2 / 255 * gradient.sign()
        images = torch.clamp(clean + torch.clamp(moved - clean, -epsilon / 255, epsilon / 255), 0, 1)
        levels = (images * 255).round().to(torch.uint8)
        wrong = models.build_scores(levels, labels).argmax(1) != labels
        hit = wrong & (models.original(images).argmax(1) == labels)
        kept[hit] = images[hit]
    return kept


def too_far(models, images, labels, *, epsilon, steps, seed):
    return (images + (epsilon + 2) / 255).clamp(0, 1)


def of_another_shape(models, images, labels, *, epsilon, steps, seed):
    return images[:, :1]


def of_nothing(models, images, labels, *, epsilon, steps, seed):
    return None


def outside(models, images, labels, *, epsilon, steps, seed):
    return images + 1


def broken(models, images, labels, *, epsilon, steps, seed):
    raise ValueError("two words\nand a second line")


def of_two_arguments(images, labels):
    return images


levels = np.arange(3)
