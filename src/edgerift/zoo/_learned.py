"""What a classifier was trained on, and whether its classes match those of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, PositiveInt, model_validator

from edgerift.errors import ModelError
from edgerift.settings import Settings


class Learned(Settings):
    """What a classifier was trained on: the images' name, and the classes of its outputs, in order.

    `accuracy` is that after the last epoch, in [0, 1], on `images` that were held out; None where none were.
    """

    data: str
    classes: tuple[str, ...] = Field(min_length=2)
    accuracy: float | None = Field(default=None, ge=0, le=1)
    images: PositiveInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.accuracy is None) != (self.images is None):
            raise ValueError("an accuracy and the number of its images go together; give both or neither")
        return self


def check_classes(known: Sequence[str], given: Sequence[str], data: str) -> None:
    """Check that the classes of `data` are in the order of a model.

    Unnamed classes cannot be compared: a model without names, and names that are just their own numbers where the other
    side has other names. Raises :class:`~edgerift.errors.ModelError`, which names the first class at another position.

    >>> check_classes(("cat", "dog", "owl"), ("cat", "dog", "crow"), "photos")
    >>> check_classes(("cat", "dog"), ("dog", "cat"), "photos")
    Traceback (most recent call last):
    ...
    edgerift.errors.ModelError: class 'cat' is number 0 to the model and 1 in photos (2 of 2 names stand elsewhere); \
bring the images' classes into the model's order: an .npz file has them in any (images.save)
    """
    if set(known) != set(given) and (_are_numbers(known) or _are_numbers(given)):
        return
    # A name of two classes does not determine the order.
    places = {name: place for place, name in enumerate(given) if list(given).count(name) == 1}
    moved = [(name, place) for place, name in enumerate(known) if places.get(name, place) != place]
    moved = [(name, place) for name, place in moved if list(known).count(name) == 1]
    if moved:
        name, place = moved[0]
        raise ModelError(
            f"class {name!r} is number {place} to the model and {places[name]} in {data} ({len(moved)} of "
            f"{len(known)} names stand elsewhere); bring the images' classes into the model's order: an .npz file has "
            "them in any (images.save)"
        )


def _are_numbers(names: Sequence[str]) -> bool:
    return all(name == str(place) for place, name in enumerate(names))
