"""The small networks that are written here: LeNet, MLPerf Tiny's ResNet-8 and MobileNet, and a DenseNet to match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgerift._lazy import later
from edgerift.errors import ModelError
from edgerift.zoo._architectures import architecture
from edgerift.zoo.architectures._torchvision import import_torchvision

if TYPE_CHECKING:
    from torch import nn

    from edgerift.zoo._architecture import Architecture
else:
    nn = later("torch.nn")


@architecture("lenet", small=True)
def lenet(described: Architecture) -> nn.Module:
    """Make a LeNet-5 with ReLU and max-pooling (LeCun et al. 1998).

    Images below 32 pixels are padded by two on each side, as LeNet-5 pads the 28 of MNIST to 32.

    Raises `ModelError` below 12 pixels, where the second pooling leaves nothing.
    """
    channels, *lengths = described.shape
    least = min(lengths)
    if least < 12:
        raise ModelError(f"lenet needs images of at least 12 pixels, given size={described.size}; resize them")
    padding = 2 if least < 32 else 0
    height, width = (((length + 2 * padding - 4) // 2 - 4) // 2 for length in lengths)
    return nn.Sequential(
        nn.Conv2d(channels, 6, kernel_size=5, padding=padding),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, described.classes),
    )


@architecture("resnet8", small=True)
def resnet8(described: Architecture) -> nn.Module:
    """Make the ResNet-8 of MLPerf Tiny's image classification (Banbury et al. 2021, arXiv 2106.07597).

    Stem 3x3 of 16 channels, then one basic block each of 16, 32 and 64 channels with strides 1, 2 and 2. As
    in the reference the 1x1 projections carry a bias and no batch norm; the biases that the reference puts
    in front of batch norms, where they have no effect, are left out (77,946 parameters to its 78,186).
    """
    return _resnet8(described, 16)


@architecture("resnet8_narrow", small=True)
def resnet8_narrow(described: Architecture) -> nn.Module:
    """Make a ResNet-8 of half the width: 8, 16 and 32 channels."""
    return _resnet8(described, 8)


@architecture("resnet8_wide", small=True)
def resnet8_wide(described: Architecture) -> nn.Module:
    """Make a ResNet-8 of twice the width: 32, 64 and 128 channels."""
    return _resnet8(described, 32)


@architecture("mobilenet_tiny", small=True)
def mobilenet_tiny(described: Architecture) -> nn.Module:
    """Make a MobileNet (Howard et al. 2017, arXiv 1704.04861) of a quarter of the width, cut short for small images.

    As in MLPerf Tiny's visual wake words, width 0.25 with ReLU: a 3x3 stem of 16 channels with stride 2, then
    depthwise separable convolutions to 32, 64 (stride 2), 64, 128 (stride 2) and 128 channels.
    """
    layers = _normed(described.channels, 16, stride=2)
    inputs = 16
    for outputs, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1)):
        layers += _normed(inputs, inputs, stride=stride, groups=inputs)
        layers += _normed(inputs, outputs, kernel_size=1)
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, described.classes))


@architecture("densenet_tiny", small=True)
def densenet_tiny(described: Architecture) -> nn.Module:
    """Make a DenseNet-BC (Huang et al. 2017, arXiv 1608.06993) of three blocks of three layers with growth rate 12.

    It is torchvision's with a 3x3 stem of 24 channels and stride 2 and no pooling after it.
    """
    body: Any = import_torchvision().models.DenseNet(
        growth_rate=12, block_config=(3, 3, 3), num_init_features=24, num_classes=described.classes
    )
    body.features.conv0 = nn.Conv2d(described.channels, 24, kernel_size=3, stride=2, padding=1, bias=False)
    nn.init.kaiming_normal_(body.features.conv0.weight)
    body.features.pool0 = nn.Identity()
    made: nn.Module = body
    return made


def _normed(inputs: int, outputs: int, *, kernel_size: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(
        inputs, outputs, kernel_size, stride=stride, padding=kernel_size // 2, groups=groups, bias=False
    )
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def _resnet8(described: Architecture, width: int) -> nn.Module:
    from edgerift.zoo._basic_block import BasicBlock

    body = nn.Sequential(
        nn.Conv2d(described.channels, width, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        BasicBlock(width, width, stride=1),
        BasicBlock(width, 2 * width, stride=2),
        BasicBlock(2 * width, 4 * width, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, described.classes),
    )
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return body
