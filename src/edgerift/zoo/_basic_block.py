"""The block of a small ResNet."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn


@final
class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut, a 1x1 projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        """Map `inputs` channels to `outputs` and divide height and width by `stride`."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride) if changes else nn.Identity()
        self.relu2 = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Map features `[N, inputs, H, W]` to `[N, outputs, H / stride, W / stride]`."""
        inner = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(features)))))
        joined: Tensor = self.relu2(inner + self.shortcut(features))
        return joined
