"""The two small networks that are written here: LeNet and MLPerf Tiny's ResNet-8."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from edgerift.errors import ModelError
from edgerift.zoo._architecture import Architecture


def lenet(architecture: Architecture) -> nn.Module:
    """Make a LeNet-5 with ReLU, max-pooling and three input channels (LeCun et al. 1998).

    Images below 32 pixels are padded by two on each side, as LeNet-5 pads the 28 of MNIST to 32.

    Raises `ModelError` below 12 pixels, where the second pooling leaves nothing.
    """
    if architecture.size < 12:
        raise ModelError(f"lenet needs images of at least 12 pixels, given size={architecture.size}; resize them")
    padding = 2 if architecture.size < 32 else 0
    side = ((architecture.size + 2 * padding - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(3, 6, kernel_size=5, padding=padding),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * side * side, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, architecture.classes),
    )


def resnet8(architecture: Architecture) -> nn.Module:
    """Make the ResNet-8 of MLPerf Tiny's image classification (Banbury et al. 2021, arXiv 2106.07597).

    Stem 3x3 of 16 channels, then one basic block each of 16, 32 and 64 channels with strides 1, 2 and 2. As
    in the reference the 1x1 projections carry a bias and no batch norm; the biases that the reference puts
    in front of batch norms, where they have no effect, are left out (77,946 parameters to its 78,186).
    """
    body = nn.Sequential(
        nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        BasicBlock(16, 16, stride=1),
        BasicBlock(16, 32, stride=2),
        BasicBlock(32, 64, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, architecture.classes),
    )
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return body


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
