"""Classifiers from files that hold a network of their own, and from the pretrained weights of libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from edgerift.errors import ModelError, unknown_name
from edgerift.images import extent, size_text
from edgerift.specification import Specification
from edgerift.zoo._answered import answered
from edgerift.zoo._architecture import Architecture
from edgerift.zoo._classifier import Classifier
from edgerift.zoo._file_networks import FILE_KINDS, file_kind, open_network
from edgerift.zoo._libraries import library_body, library_of, library_specification


def load_file(
    path: Path, *, specification: Specification | None = None, trust: bool = False, **fields: Any
) -> Classifier:
    """Make a classifier of a file that holds a network, program and weights, such as `.pt2` of `torch.export`.

    The input is read off the file as far as it says what it takes; `specification` goes before that. `fields` are
    further ones of :class:`Architecture`, such as `size`. Opening a `.pt2` file may run code and needs `trust`.

    Raises `ModelError` for a file of another kind, a damaged one, or one for images of another size.
    """
    name = file_kind(Path(path))
    if name is None:
        known = ", ".join(kind.suffix for kind in FILE_KINDS.parts())
        raise ModelError(f"{path} is no file that holds a network; known: {known}")
    content = FILE_KINDS[name].pack(Path(path))
    own = specification or Specification()
    network = open_network(name, content, str(path), output=own.output.name, trust=trust)
    given = own.over(network.specification)
    known = network.specification.input.name
    if known and given.input.name != known:
        raise ModelError(f"{path}: {unknown_name('input', given.input.name, [known])}")
    described = Architecture(name=name, classes=2, specification=given, **fields)
    size = extent(described.size)
    if network.size not in (None, size):
        height, width = network.size or size
        wanted = size_text(height if height == width else (height, width))
        raise ModelError(f"{path} takes images of {height} x {width} pixels; pass --size {wanted}")
    found = _classifier(network.module, described, given, Path(path).name)
    found.content = content
    return found


def load_pretrained(name: str, *, specification: Specification | None = None, **fields: Any) -> Classifier:
    """Make a classifier of a library, `torchvision:NAME` or `timm:NAME`, with its pretrained weights.

    They come from the hub's cache on this machine, or are downloaded. The normalisation is the library's own;
    `specification` goes before it. `fields` are further ones of :class:`Architecture`, such as `size`.

    Raises `ModelError` for an unknown name or weights that cannot be had.
    """
    if not library_of(name):
        raise ModelError(f"'{name}' has no pretrained weights; name torchvision:NAME or timm:NAME")
    described = Architecture(name=name, classes=2, stem="imagenet", pretrained=True, **fields)
    body = library_body(described)
    given = (specification or Specification()).over(library_specification(name, body))
    # The weights are in the file from now on.
    return _classifier(body, described.replace(specification=given, pretrained=False), given, f"'{name}'")


def _classifier(body: nn.Module, described: Architecture, given: Specification, whose: str) -> Classifier:
    classes, given = answered(body.eval(), described, given, whose)
    return Classifier(body, described.replace(classes=classes, specification=given)).eval()
