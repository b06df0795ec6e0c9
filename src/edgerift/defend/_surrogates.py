"""The networks that defences look at images with: of the zoo by name, or from a file."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from edgerift import zoo
from edgerift.deploy import open_build
from edgerift.errors import InputError
from edgerift.images import ImageShape, in_channels, shape_of, to_float
from edgerift.measure import Logits
from edgerift.settings import Document

#: As many images are always computed together, blank ones among them, so that no batch changes an answer's last bit.
_TOGETHER: Final = 16
_FILE: Final = ".safetensors"


def is_file(surrogate: str) -> bool:
    """Tell whether a surrogate is a file and not a name of the zoo."""
    return surrogate.endswith(_FILE)


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file; raises :class:`~edgerift.errors.InputError` where it cannot be read."""
    return hashlib.sha256(Document(Path(path), "network", "give the path of a file").content()).hexdigest()


def file_bytes(path: str) -> int:
    """Return the size of a file; raises :class:`~edgerift.errors.InputError` where it cannot be read."""
    return len(Document(Path(path), "network", "give the path of a file").content())


def surrogate_bytes(surrogate: str, seed: int, sha256: str, classes: int, shape: ImageShape) -> int:
    """Return the size of a surrogate: of its file, or of its parameters and buffers."""
    if is_file(surrogate):
        return file_bytes(surrogate)
    return sum(tensor.nbytes for tensor in _network(surrogate, seed, sha256, classes, shape).state_dict().values())


def surrogate_network(surrogate: str, seed: int, sha256: str, classes: int, images: Tensor) -> nn.Module:
    """Open a surrogate in evaluation mode; raises :class:`~edgerift.errors.InputError` where it does not fit."""
    return _network(surrogate, seed, sha256, classes, shape_of(images))


@functools.lru_cache(maxsize=4)
def _network(surrogate: str, seed: int, sha256: str, classes: int, shape: ImageShape) -> nn.Module:
    if not is_file(surrogate):
        described = zoo.Architecture(name=surrogate, classes=classes, size=shape.size)
        return zoo.frozen_copy(zoo.from_architecture(described, seed=seed))
    if file_digest(surrogate) != sha256:
        raise InputError(f"{surrogate} has changed since the defence was made; make it again with the present file")
    found = zoo.load(Path(surrogate))
    taken = found.architecture
    if (taken.classes, taken.shape.size) != (classes, shape.size):
        raise InputError(
            f"{surrogate} answers {taken.classes} classes for images of {taken.shape.size} pixels; needed: {classes} "
            f"classes, {shape.size} pixels"
        )
    return zoo.frozen_copy(found)


def fitting(network: nn.Module, images: Tensor) -> Tensor:
    """Bring images, uint8 or float32 in [0, 1], into the form of a network: float32 with its channels."""
    asked = in_channels(images, zoo.channels_of(network, shape_of(images)))
    return to_float(asked) if asked.dtype == torch.uint8 else asked.float()


def in_equal_parts(compute: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Compute rows `[N,...]` of images, always as many at once: the last part is filled with blank ones."""
    return torch.cat(list(_parts(compute, images)))


def _parts(compute: Callable[[Tensor], Tensor], images: Tensor) -> Iterator[Tensor]:
    for part in images.split(_TOGETHER):
        blank = part.new_zeros(_TOGETHER - len(part), *part.shape[1:])
        yield compute(torch.cat([part, blank]))[: len(part)]


@functools.cache
def load_forward_mode() -> None:
    """Import what PyTorch needs for forward-mode derivatives, and would import with a warning of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("torch._decomp.decompositions_for_jvp")


def with_digest(fields: Any, name: str) -> Any:
    """Add the digest of the file that a field names, where it names one and no digest is given."""
    if not isinstance(fields, dict):
        return fields
    given = fields.get(name)
    if isinstance(given, str) and is_file(given) and not fields.get("sha256"):
        return {**fields, "sha256": file_digest(given)}
    return fields


def file_answers(path: str, sha256: str, classes: int, images: Tensor) -> Tensor:
    """Ask a network or a build of a file: probabilities float64 `[N,K]`."""
    if is_file(path):
        network = surrogate_network(path, 0, sha256, classes, images)
        return in_equal_parts(lambda part: answers_of(network, part), fitting(network, images))
    whole = images if images.dtype == torch.uint8 else (images * 255).round().clamp(0, 255).to(torch.uint8)
    found = _build(path, sha256).posteriors(whole)
    if found.shape[1] != classes:
        raise InputError(f"{path} answers {found.shape[1]} classes; needed: the victim's {classes}")
    return found.double()


def answers_of(network: nn.Module, images: Tensor) -> Tensor:
    """Compute a network's probabilities, float64 `[N,K]`."""
    with torch.no_grad():
        scores: Tensor = network(images)
        return scores.double().softmax(1)


@functools.lru_cache(maxsize=4)
def _build(path: str, sha256: str) -> Logits:
    if file_digest(path) != sha256:
        raise InputError(f"{path} has changed since the defence was made; make it again with the present file")
    return Logits(open_build(Path(path)).predict, "the network that misleads")
