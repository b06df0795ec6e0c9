"""Compare the gradient of a twin with that of its original, and show what the straight-through estimator is for.

Usage: python examples/02_twin_gradient.py
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import edgerift as er

GREY_LEVELS = 16


def gradient(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Differentiate the summed loss with respect to the images: float32 `[N,C,H,W]`."""
    floats = er.images.to_float(images).requires_grad_()
    loss = F.cross_entropy(model(floats), labels, reduction="sum")
    (answer,) = torch.autograd.grad(loss, floats)
    return answer


def moved(images: Tensor, direction: Tensor) -> Tensor:
    """Move each pixel by whole grey levels along the sign of a direction; uint8 in, uint8 out."""
    steps = (direction.sign() * GREY_LEVELS).to(torch.int16)
    return (images.to(torch.int16) + steps).clamp(0, 255).to(torch.uint8)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> er.measure.Rate:
    """Count the images that a model labels correctly."""
    return er.measure.accuracy(er.deploy.twin_scores(model, images), labels)


def main() -> None:
    """Print how similar the two gradients are, and what a step along each does to the twin."""
    train, test = er.images.load("digits")
    original = er.zoo.create("lenet", classes=10, seed=0)
    original = er.train.fit(original, train, epochs=4, batch_size=32, learning_rate=0.05, seed=0)
    program = er.adapt.ptq(original, train, target="mobile")
    twin = er.deploy.twin(program, "xnnpack")

    floats = er.images.to_float(test.images).requires_grad_()
    print(f"the converted graph passes a gradient on: {program.module()(floats).requires_grad}")
    print(f"the twin passes a gradient on:            {twin(floats).requires_grad}")

    of_original = gradient(original, test.images, test.labels)
    of_twin = gradient(twin, test.images, test.labels)
    alike = F.cosine_similarity(of_original.flatten(1), of_twin.flatten(1))
    print(f"cosine of the two gradients, median over {len(test)} images: {alike.median():.3f}")

    print(f"accuracy of the twin: {accuracy(twin, test.images, test.labels)}")
    for name, direction in (("original", of_original), ("twin", of_twin)):
        rate = accuracy(twin, moved(test.images, direction), test.labels)
        print(f"after {GREY_LEVELS} grey levels along the gradient of the {name}: {rate}")


if __name__ == "__main__":
    main()
