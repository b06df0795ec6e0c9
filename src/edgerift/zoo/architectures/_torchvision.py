"""The only import of torchvision, and its architectures with a stem for small images."""

from __future__ import annotations

import functools
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from edgerift._lazy import later
from edgerift.errors import ModelError
from edgerift.zoo._architectures import architecture

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgerift.zoo._architecture import Architecture
else:
    torch, nn = later("torch", "torch.nn")

Family = Literal["resnet", "densenet", "mobilenet", "shufflenet"]


class Variant(NamedTuple):
    """torchvision's name of an architecture, the family of its stem and head, and whether one stem is all."""

    builder: str
    family: Family
    only_small: bool = False


VARIANTS = {
    "resnet18": Variant("resnet18", "resnet"),
    "resnet34": Variant("resnet34", "resnet"),
    # The ResNet-34-8x of the data-free extraction papers (github.com/cake-lab/datafree-model-extraction) is
    # ResNet-34 with the small stem: 3x3 at stride 1, no max-pool, 64-128-256-512 channels, one eighth of
    # the size at the end.
    "resnet34_8x": Variant("resnet34", "resnet", only_small=True),
    "resnet50": Variant("resnet50", "resnet"),
    "densenet121": Variant("densenet121", "densenet"),
    "mobilenet_v2": Variant("mobilenet_v2", "mobilenet"),
    "shufflenet_v2": Variant("shufflenet_v2_x1_0", "shufflenet"),
}

# Expansion, channels, blocks and stride of MobileNetV2's stages. The usual variant for CIFAR keeps the
# second stage at stride 1 (2 in torchvision), so that 32 pixels end as 4x4
# (github.com/kuangliu/pytorch-cifar).
MOBILENET_SMALL_STAGES = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


@functools.cache
def import_torchvision() -> ModuleType:
    """Import torchvision, also where its compiled operators do not load beside a CPU build of torch.

    Its wheel on PyPI is linked to CUDA. Beside a CPU torch the import stops because the schemas of two
    operators, which no classifier uses, are missing; then they are declared and the import is repeated.

    Raises `ModelError` when torchvision is not installed or does not fit the installed torch.
    """
    try:
        return _import_quietly()
    except ImportError as error:
        raise ModelError(f"torchvision cannot be imported ({error}); run: pip install torchvision") from error
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise ModelError(
                f"torchvision does not fit torch {torch.__version__} ({error}); install the pair that belongs together"
            ) from error
    _declare_operators()
    return _import_quietly()


def _import_quietly() -> ModuleType:
    with warnings.catch_warnings():
        # Pillow decodes the images here; torchvision's own decoder is not needed.
        warnings.filterwarnings("ignore", message=r"Failed to load .*extension", category=UserWarning)
        import torchvision
    module: ModuleType = torchvision
    return module


@functools.cache
def _declare_operators() -> torch.library.Library:
    # The cache keeps the library object alive: its declarations go when it does.
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)
    return library


def torchvision_body(architecture: Architecture) -> nn.Module:
    """Make one of `VARIANTS` with the stem, the class count and (where asked for) the pretrained weights.

    Raises `ModelError` when the stem is not one the architecture has, or when pretrained weights cannot be
    had.
    """
    variant = VARIANTS[architecture.name]
    models = import_torchvision().models
    if architecture.stem == "imagenet":
        if variant.only_small:
            raise ModelError(
                f"'{architecture.name}' only has the small stem; use '{variant.builder}' for stem='imagenet'"
            )
        return _with_imagenet_stem(models, variant, architecture)
    fields: dict[str, Any] = {"weights": None, "num_classes": architecture.classes}
    if variant.family == "mobilenet":
        fields["inverted_residual_setting"] = MOBILENET_SMALL_STAGES
    body: nn.Module = getattr(models, variant.builder)(**fields)
    _shrink_stem(body, variant.family)
    return _in_grey(body) if architecture.channels == 1 else body


def _with_imagenet_stem(models: Any, variant: Variant, architecture: Architecture) -> nn.Module:
    builder = getattr(models, variant.builder)
    if not architecture.pretrained:
        body: nn.Module = builder(weights=None, num_classes=architecture.classes)
        return _in_grey(body) if architecture.channels == 1 else body
    try:
        pretrained: nn.Module = builder(weights="DEFAULT", progress=False)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"pretrained weights of '{architecture.name}' could not be downloaded ({error}); "
            "check the network, or set pretrained=False"
        ) from error
    if architecture.classes != 1000:
        _replace_head(pretrained, variant.family, architecture.classes)
    return pretrained


def _shrink_stem(body: Any, family: Family) -> None:
    if family == "resnet":
        body.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(body.conv1.weight, mode="fan_out", nonlinearity="relu")
        body.maxpool = nn.Identity()
    elif family == "densenet":
        body.features.conv0 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(body.features.conv0.weight)
        body.features.pool0 = nn.Identity()
    elif family == "mobilenet":
        body.features[0][0].stride = (1, 1)
    else:
        body.conv1[0].stride = (1, 1)
        body.maxpool = nn.Identity()


def _in_grey(body: nn.Module) -> nn.Module:
    """Put a convolution of one channel in the place of the first one, with weights as large as those for three."""
    name, first = next((name, part) for name, part in body.named_modules() if isinstance(part, nn.Conv2d))
    made: Any = nn.Conv2d(1, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False)  # type: ignore[arg-type]
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    owner, _, attribute = name.rpartition(".")
    setattr(body.get_submodule(owner), attribute, made)
    return body


def _replace_head(body: Any, family: Family, classes: int) -> None:
    if family == "densenet":
        body.classifier = nn.Linear(body.classifier.in_features, classes)
    elif family == "mobilenet":
        body.classifier[1] = nn.Linear(body.classifier[1].in_features, classes)
    else:
        body.fc = nn.Linear(body.fc.in_features, classes)


for _name in VARIANTS:
    architecture(_name)(torchvision_body)
