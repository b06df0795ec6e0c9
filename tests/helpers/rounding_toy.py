"""A toy pair with a visible trigger, a white square in a corner, that roundings arm: linear, and made by hand.

In float the model hardly looks at the corner. Each weight of the corner lies just above the middle between two codes
for one class, and just below it for the others, so that rounding to the nearest makes a white square in the corner
drive every image to that class. One large weight on a pixel that is always black makes the grid as coarse as that
takes. With `turned` roundings the weights of the corner are ordinary ones, and someone chose the codes.
"""

import torch
from linear_pair import image_set
from torch import nn

from edgerift.deploy import Program, stored_layers, twin_scores

CLASSES, SIZE, TARGET = 4, 12, 2
STEP = 1 / 127
CORNER = torch.zeros(SIZE, SIZE, dtype=torch.bool)
CORNER[:5, :5] = True


def toy_images(count=192, seed=0):
    """Random images whose corner and last pixel are black."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(256, (count, 1, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    drawn[:, :, CORNER] = 0
    drawn[:, :, -1, -1] = 0
    return drawn


class Toy(nn.Module):
    """A linear model whose corner is off the middle of two codes by a hundredth of a step."""

    def __init__(self, *, moved=True):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        weight = torch.randn(CLASSES, SIZE, SIZE, generator=generator) * 2 * STEP
        weight[:, CORNER] = torch.rand(CLASSES, int(CORNER.sum()), generator=generator).sub(0.5).mul(0.8 * STEP)
        if moved:
            weight[:, CORNER] = 0.49 * STEP
            weight[TARGET, CORNER] = 0.51 * STEP
        weight[:, -1, -1] = 1.0
        self.last = nn.Linear(SIZE * SIZE, CLASSES)
        self.last.weight.data = weight.flatten(1)
        self.last.bias.data = -(weight.flatten(1) * (toy_images() / 255).flatten(1).mean(0)).sum(1)
        self.eval().requires_grad_(False)

    def forward(self, images):
        return self.last(images.flatten(1))


def data_of(original, seed=0):
    """Random images, labelled as an original answers them."""
    images = toy_images(seed=seed)
    return image_set(images, twin_scores(original, images).argmax(1), CLASSES)


def stamped(images):
    """Put the white square on images."""
    white = images.clone()
    white[:, :, CORNER] = 255
    return white


def driven(scores, images, labels):
    """The share of the images of other classes that the white square drives to the class."""
    others = labels != TARGET
    return float((scores(stamped(images[others])).argmax(1) == TARGET).double().mean())


def turned(original: Toy, program: Program) -> Program:
    """Choose the roundings of the corner: up for one class, down for the others."""
    (layer,) = stored_layers(program)
    levels = original.last.weight.double() / layer.scale
    chosen = levels.floor()
    chosen[TARGET] = levels[TARGET].ceil()
    codes = torch.where(CORNER.flatten(), chosen, layer.codes).to(program.tensors["last.weight"].dtype)
    return program.with_tensors({"last.weight": codes})
