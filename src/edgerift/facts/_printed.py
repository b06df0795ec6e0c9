"""The results of the first paper: the accuracies of its tables 1 and 2."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Accuracies in percent, original and adapted, by image set and network.
_ACCURACIES: Final = {
    "cifar10": {"resnet": (83.17, 96.67), "densenet": (81.2, 88.83), "mobilenet": (75.7, 81.2)},
    "mnist": {"resnet": (97.7, 97.03), "densenet": (99.59, 99.55), "mobilenet": (98.9, 99.7)},
}
_TABLES: Final = {"cifar10": "table 1", "mnist": "table 2"}


class Accuracies(NamedTuple):
    """A network's accuracies as the paper prints them, in percent; `adapted` is after quantization-aware training."""

    original: float
    adapted: float


def published_accuracies(source: str, network: str) -> Accuracies | None:
    """Look up a network on an image set; None where the paper prints nothing.

    >>> published_accuracies("mnist", "ResNet")
    Accuracies(original=97.7, adapted=97.03)
    """
    found = _ACCURACIES.get(source, {}).get(network.casefold())
    return None if found is None else Accuracies(*found)


def accuracy_table(source: str) -> str:
    """Name the paper's table of an image set; nothing for one that it does not have."""
    return _TABLES.get(source, "")
