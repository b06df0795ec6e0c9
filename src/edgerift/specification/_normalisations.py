"""Normalisations by name: the means and the standard deviations of images in `[0,1]` that models are trained with."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from edgerift.errors import unknown_name

PerChannel = tuple[float, ...]


class Normalisation(NamedTuple):
    """The mean and the standard deviation of red, green and blue, or of the one channel of grey images."""

    mean: PerChannel
    std: PerChannel


NORMALISATIONS: Final[Mapping[str, Normalisation]] = MappingProxyType(
    {
        "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "cifar10": Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        "cifar100": Normalisation((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
        "clip": Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        "inception": Normalisation((0.5,), (0.5,)),
        "mnist": Normalisation((0.1307,), (0.3081,)),
    }
)
"""What `mean` and `std` take by name."""


def numbers(given: Any, which: str) -> Any:
    """Turn a name into the `mean` or `std` of that name, and one number into a tuple; others stay as they are.

    Raises `ValueError` for an unknown name.
    """
    if isinstance(given, bool) or given is None:
        return given
    if isinstance(given, int | float):
        return (given,)
    if not isinstance(given, str):
        return given
    if given not in NORMALISATIONS:
        raise ValueError(f"{unknown_name('normalisation', given, NORMALISATIONS)}; or give one number or three")
    return getattr(NORMALISATIONS[given], which)


def name_of(values: PerChannel, which: str) -> str:
    """Return the name of the normalisation with this `mean` or `std`; "" for none."""
    return next((name for name, known in NORMALISATIONS.items() if getattr(known, which) == values), "")
