"""From a name to a classifier: the table of the zoo, and the factories of users."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgerift.errors import ModelError, unknown_name
from edgerift.measure import Logits
from edgerift.settings import require_seed
from edgerift.zoo._architecture import Architecture
from edgerift.zoo._architectures import ARCHITECTURES, names
from edgerift.zoo._classifier import Classifier
from edgerift.zoo._factory import call_factory
from edgerift.zoo._libraries import library_body, library_of, plain_library_name, with_outputs


def create(name: str, classes: int, *, seed: int = 0, **architecture_fields: Any) -> Classifier:
    """Make a classifier by its name in the zoo, or by `module:factory` or `path/file.py:factory` for a user's own.

    `torchvision:NAME` and `timm:NAME` are the classifiers of these libraries. `architecture_fields` are the further
    fields of `Architecture` (`size`, `channels`, `stem`, `pretrained`, `mean`, `std`). A factory is called as
    `factory(classes)`, or as `factory()` where it takes no number of classes, and answers an `nn.Module` from
    normalised images `[N, C, H, W]` to logits `[N, classes]`; its module is imported, so name only code that you trust.
    For a network that ends in softmax the classifier takes the logarithms, with a `ProbabilitiesWarning`.

    The same seed gives the same weights; the global random state is left as it was.

    Raises `ModelError` for an unknown name, a factory that does not do what it should, or pretrained
    weights that cannot be had, `RecipeError` for an architecture field or a seed that is not allowed.

    >>> create("resnet8", classes=10)(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    return from_architecture(Architecture(name=name, classes=classes, **architecture_fields), seed=seed)


def from_architecture(architecture: Architecture, *, seed: int = 0) -> Classifier:
    """Make the classifier that `architecture` describes, with weights drawn from `seed`; see `create`."""
    require_seed(seed)
    # The initialisers of torch and torchvision draw from the global CPU generator alone: it is forked here,
    # so that what they draw comes from the seed and the caller's random state does not move.
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        body = _body(architecture)
        own = is_users_own(architecture.name) and architecture.specification is None
        return Classifier(body, architecture, takes_logarithms=own and _answers_probabilities(body, architecture))


def check(model: nn.Module, classes: int) -> None:
    """Raise `ModelError` when a classifier's class count differs from the `classes` of the data.

    A module that is not a `Classifier` does not state its class count and passes.
    """
    if isinstance(model, Classifier) and model.architecture.classes != classes:
        raise ModelError(
            f"model '{model.architecture.name}' has {model.architecture.classes} classes, "
            f"the data has {classes}; create it with classes={classes}, or choose the data it was made for"
        )


def is_users_own(name: str) -> bool:
    """Return whether a name is a user's `module:factory`, which runs code when it is created."""
    return ":" in name and not library_of(name)


def _body(architecture: Architecture) -> nn.Module:
    if is_users_own(architecture.name):
        if architecture.pretrained or architecture.stem != "small":
            raise ModelError(
                f"'{architecture.name}' is your own factory: leave out stem and pretrained, which are for the zoo's"
            )
        return _users_own(architecture)
    if library_of(architecture.name):
        body = library_body(architecture)
        return with_outputs(body, architecture.outputs, architecture.name) if architecture.pretrained else body
    if architecture.name not in ARCHITECTURES:
        raise ModelError(_unknown(architecture.name))
    known = ARCHITECTURES[architecture.name]
    if known.is_small and architecture.stem != "small":
        raise ModelError(f"'{architecture.name}' only has the small stem; leave out stem='{architecture.stem}'")
    outputs = architecture.outputs
    return known.make(architecture if outputs == architecture.classes else architecture.replace(classes=outputs))


def _unknown(name: str) -> str:
    library = plain_library_name(name)
    told = f"unknown model '{name}'; did you mean '{library}'?" if library else unknown_name("model", name, names())
    return f"{told}, torchvision:NAME, timm:NAME, or module:factory for your own"


def _users_own(architecture: Architecture) -> nn.Module:
    name = architecture.name
    body = call_factory(name, architecture.outputs)
    if not isinstance(body, nn.Module):
        raise ModelError(
            f"'{name}' answered a {type(body).__name__}; a factory(classes) has to return a torch.nn.Module"
        )
    return body.to(torch.float32)


def _answers_probabilities(body: nn.Module, architecture: Architecture) -> bool:
    """Query a user's network with blank images: check its answer, and detect probabilities."""
    name, training = architecture.name, body.training
    channels, height, width = architecture.shape
    equal = ", three equal channels for grey ones," if channels == 3 else ""
    call = (
        f"with normalised float32 images [N,{channels},{height},{width}]{equal or ','} for logits "
        f"[N, {architecture.classes}]; give size= (--size) for others"
    )
    reading = Logits(body.eval(), f"'{name}'", call)
    with torch.no_grad():
        logits = reading(torch.zeros(1, channels, height, width))
    body.train(training)
    if logits.shape != (1, architecture.classes):
        raise ModelError(
            f"'{name}' answers {list(logits.shape)} for one image; it has to answer logits [1, {architecture.classes}]"
        )
    return reading.are_probabilities
