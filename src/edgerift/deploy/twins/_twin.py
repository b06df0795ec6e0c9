"""The differentiable twin: a module made from a program, equal to it in value, straight-through in gradient."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from edgerift.deploy.program._program import Program
from edgerift.deploy.twins._arithmetics import ARITHMETICS
from edgerift.deploy.twins._body import Body
from edgerift.images import in_channels


@final
class Twin(nn.Module):
    """A program that has gradients: images float32 `[N,C,H,W]` in `[0,1]` to logits float32 `[N,K]`.

    One that takes three `image_channels` repeats the one of grey images. It has no parameters and never trains; it
    follows `.to(device)`, works under `torch.compile`, can be copied and pickled for another process, and computes in
    channels-last layout, which makes its gradient cheap on a CPU.
    """

    def __init__(self, body: Body, arithmetic: str, image_channels: int = 3) -> None:
        """Take a translated program; see :func:`twin`."""
        super().__init__()
        self.arithmetic = arithmetic
        self.image_channels = image_channels
        for tensor in (*body.parameters(), *body.buffers()):
            if tensor.dim() == 4:
                tensor.data = tensor.contiguous(memory_format=torch.channels_last)
        self.body = body
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits `[N,K]` of images `[N,C,H,W]` in `[0,1]`; raises `ModelError` for other channels."""
        images = in_channels(images, self.image_channels)
        logits: Tensor = self.body(images.contiguous(memory_format=torch.channels_last))
        return logits


def twin(program: Program, arithmetic: str = "graph") -> Twin:
    """Make the differentiable twin of a program.

    `arithmetic` selects the rounding that it follows:

    - `"graph"`: the converted graph's own, quantize and dequantize in float32; bit-equal to `program.module()`.
    - `"xnnpack"`: the integer kernels of XNNPACK, which ExecuTorch runs: int32 biases, fixed-point residual adds,
      float32 requantization rounded half to even, integer average pooling. Its convolutions run on whole numbers in
      float32, which is exact while sums stay below 2^24.
    - `"onnxruntime"`: the integer kernels that ONNX Runtime picks on x86 with AVX2: as above, but residual adds by
      fused multiply-adds in float32, windowed average pooling in float, and rounding by division where real values
      enter.

    The gradient is straight-through: zero where a value leaves the clipping range of its grid, one inside. Raises
    :class:`~edgerift.errors.RecipeError` for an unknown arithmetic.
    """
    return Twin(ARITHMETICS[arithmetic](program), arithmetic, program.shape.channels)
