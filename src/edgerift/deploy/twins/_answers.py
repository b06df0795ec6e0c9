"""A module's answers to images, and the resolution of a program's answers."""

from __future__ import annotations

import torch
from torch import Tensor

from edgerift.deploy.program._operators import DEQUANTIZE
from edgerift.deploy.program._program import Program
from edgerift.images import batch_of, in_channels, shape_of, to_float
from edgerift.zoo import channels_of


def answers_of(model: torch.nn.Module, images: Tensor, batch: int = 256) -> Tensor:
    """Compute a module's raw answers to uint8 images, in batches and without gradients; fewer at once if large."""
    batch = batch_of(shape_of(images), batch)
    images = in_channels(images, channels_of(model, shape_of(images)))
    with torch.inference_mode():
        return torch.cat([model(to_float(part)) for part in images.split(batch)])


def is_on_grid(program: Program) -> bool:
    """Return whether a program's logits are levels of a grid."""
    return any(each.name == program.output and each.operator == DEQUANTIZE for each in program.operations)


def output_step(program: Program) -> float:
    """The distance of two neighbouring logits: the scale of the last grid; 1 when the output is not on a grid."""
    for operation in program.operations:
        if operation.name == program.output and operation.operator == DEQUANTIZE:
            return float(operation.arguments[1])  # type: ignore[arg-type]
    return 1.0
