"""Architectures of libraries, written `torchvision:NAME` and `timm:NAME`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

from torch import nn

from edgerift.errors import MissingRuntimeError, ModelError, first_line, unknown_name
from edgerift.specification import InputSpecification, Specification
from edgerift.zoo._architecture import Architecture
from edgerift.zoo.architectures._torchvision import import_torchvision


class Library(NamedTuple):
    """The names of a library's classifiers, what makes one, and what knows how pretrained ones are normalised."""

    names: Callable[[], Collection[str]]
    make: Callable[[str, Architecture], nn.Module]
    specification: Callable[[str, nn.Module], Specification]


def library_of(name: str) -> str:
    """Return the library that a name asks for; "" for none."""
    prefix = name.partition(":")[0]
    return prefix if prefix in LIBRARIES else ""


def library_body(architecture: Architecture) -> nn.Module:
    """Make a library's network, with its pretrained weights where asked for.

    Raises `ModelError` for a name that the library does not have, or weights that cannot be had, and
    `MissingRuntimeError` where the library is not installed.
    """
    prefix, _, name = architecture.name.partition(":")
    library = LIBRARIES[prefix]
    known = library.names()
    if name.partition(".")[0] not in known and name not in known:
        raise ModelError(_shortened(unknown_name(f"{prefix} model", name, known)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return library.make(name, architecture)
    except Exception as error:  # The libraries and their hubs raise errors of every kind.
        raise ModelError(
            f"'{architecture.name}' cannot be made ({type(error).__name__}: {first_line(error)}); "
            "check its name, the size of the images and, for pretrained weights, the network"
        ) from error


def with_outputs(body: nn.Module, outputs: int, name: str) -> nn.Module:
    """Give a pretrained network a new last layer where it has another number of outputs; the others keep their weights.

    Raises `ModelError` for a network whose last layer is not found, as it is neither linear nor a convolution.
    """
    layers = [(place, part) for place, part in body.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    place, last = layers[-1] if layers else ("", None)
    if last is None or last.weight.shape[0] < _FEWEST:
        raise ModelError(f"the last layer of '{name}' is not found; leave out pretrained, or choose another network")
    if last.weight.shape[0] == outputs:
        return body
    head: nn.Module = (
        nn.Linear(last.in_features, outputs, bias=last.bias is not None)
        if isinstance(last, nn.Linear)
        else nn.Conv2d(last.in_channels, outputs, kernel_size=last.kernel_size, bias=last.bias is not None)  # type: ignore[arg-type]
    )
    owner, _, attribute = place.rpartition(".")
    setattr(body.get_submodule(owner), attribute, head)
    return body


def library_specification(name: str, body: nn.Module) -> Specification:
    """Return what a library's pretrained network takes, as the library says."""
    prefix, _, own = name.partition(":")
    return LIBRARIES[prefix].specification(own, body)


def plain_library_name(name: str) -> str:
    """Return `torchvision:NAME` where torchvision has a classifier of a plain name; "" else."""
    return f"torchvision:{name}" if name in _torchvision_names() else ""


def _torchvision_names() -> Collection[str]:
    models = import_torchvision().models
    names: list[str] = models.list_models(module=models)
    return names


def _torchvision(name: str, architecture: Architecture) -> nn.Module:
    fields: dict[str, Any] = {"num_classes": architecture.outputs, "weights": None}
    if architecture.pretrained:
        fields = {"weights": "DEFAULT", "progress": False}
    elif name.startswith("vit_"):
        fields["image_size"] = architecture.size
    elif name in ("googlenet", "inception_v3"):
        fields["init_weights"] = True
    body: nn.Module = import_torchvision().models.get_model(name, **fields)
    return body


def _torchvision_specification(name: str, body: nn.Module) -> Specification:
    transforms = import_torchvision().models.get_model_weights(name).DEFAULT.transforms()
    return _normalised(transforms.mean, transforms.std)


def _timm_names() -> Collection[str]:
    names: list[str] = import_timm().list_models()
    return names


def _timm(name: str, architecture: Architecture) -> nn.Module:
    timm = import_timm()
    fields: dict[str, Any] = {} if architecture.pretrained else {"num_classes": architecture.outputs}
    if getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False) and not architecture.pretrained:
        fields["img_size"] = architecture.size
    body: nn.Module = timm.create_model(name, pretrained=architecture.pretrained, **fields)
    return body


def _timm_specification(name: str, body: nn.Module) -> Specification:
    known: Mapping[str, Any] = getattr(body, "pretrained_cfg", {})
    return _normalised(known.get("mean", (0.0,)), known.get("std", (1.0,)))


def _normalised(mean: Any, std: Any) -> Specification:
    return Specification(input=InputSpecification(mean=tuple(mean), std=tuple(std)))


def import_timm() -> ModuleType:
    """Import timm; raises `MissingRuntimeError` with what installs it."""
    import_torchvision()  # timm imports it too, and then has to find the operators that were declared.
    try:
        import timm
    except ImportError as error:
        raise MissingRuntimeError(
            f"timm is not installed here ({first_line(error)}); run: pip install 'edgerift[timm]'"
        ) from error
    module: ModuleType = timm
    return module


def _shortened(told: str) -> str:
    """Leave out all but the beginning of a list of hundreds of names."""
    return told if len(told) < _LONGEST else f"{told[:_LONGEST]}..."


_LONGEST: Final = 300
#: A pretrained classifier has at least as many classes; a layer with fewer outputs is not the last.
_FEWEST: Final = 100

LIBRARIES: Final[Mapping[str, Library]] = {
    "timm": Library(_timm_names, _timm, _timm_specification),
    "torchvision": Library(_torchvision_names, _torchvision, _torchvision_specification),
}
