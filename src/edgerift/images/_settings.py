"""Image sets as a part of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from edgerift.errors import DataError
from edgerift.images._content import Content
from edgerift.images._labels import Labels
from edgerift.images._load import content_of, open_located
from edgerift.images._set import Augmentation, ImageSet
from edgerift.images._shape import ImageSize
from edgerift.images._sources import Located, locate
from edgerift.images._split import split
from edgerift.settings import Seed, Settings, is_none


class ImagesSettings(Settings):
    """The images of a recipe: the source, its processing, and the fingerprint of its content.

    The locations of the source and of the cache are not part of it: two recipes with equal settings see equal images on
    every machine. `size` is the side of a square or (height, width). `fingerprint` is empty until `resolve` fills it.
    `labels` is that of `load`. `classes` reorders the classes and their labels.
    """

    source: str = Field("digits", min_length=1)
    size: ImageSize | None = None
    test_fraction: float = Field(0.2, gt=0, lt=1)
    validation_fraction: float = Field(0.1, gt=0, lt=1)
    seed: Seed = 0
    augmentation: Augmentation | None = None
    labels: Labels | None = Field(default=None, exclude_if=is_none)
    classes: tuple[str, ...] | None = Field(default=None, exclude_if=is_none)
    fingerprint: str = ""


class ThreeWay(NamedTuple):
    """The training, validation and test images."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def resolve(settings: ImagesSettings, root: Path | None = None) -> ImagesSettings:
    """Return the settings with the fingerprint of the source's content; nothing is decoded.

    Raises `DataError` for a source that is missing or damaged.
    """
    return settings.replace(fingerprint=_locate(settings, root).source.fingerprint())


def open_splits(settings: ImagesSettings, root: Path | None = None, cache: Path | None = None) -> ThreeWay:
    """Load the images that the settings describe; the validation images are held out of the training images.

    `root` and `cache` are those of `load`. Raises `DataError` for a source that is missing or damaged, or
    whose content is no longer what `resolve` saw.
    """
    found = _locate(settings, root)
    fingerprint = found.source.fingerprint()
    if settings.fingerprint and settings.fingerprint != fingerprint:
        raise DataError(
            f"the images of '{settings.source}' have changed: fingerprint {fingerprint}, recipe made for "
            f"{settings.fingerprint}; restore the old images or make the recipe again"
        )
    full, test = open_located(
        found,
        fingerprint,
        settings.size,
        settings.test_fraction,
        settings.seed,
        cache,
        settings.labels,
        settings.classes,
    )
    train, validation = split(full, settings.validation_fraction, seed=settings.seed)
    return ThreeWay(train, validation, test)


def class_names(settings: ImagesSettings, root: Path | None = None, cache: Path | None = None) -> tuple[str, ...]:
    """Name the classes of the images that the settings describe, without splitting or scaling again.

    `root` and `cache` are those of `load`. Raises `DataError` for a source that is missing or damaged.
    """
    return _content(settings, root, cache).classes


def notes(settings: ImagesSettings, root: Path | None = None, cache: Path | None = None) -> tuple[str, ...]:
    """List the decisions about ambiguous images, one line each.

    Such as a class without images, or files that are not read. `root` and `cache` are those of `load`. Raises
    `DataError` for a source that is missing, damaged or ambiguous.

    >>> notes(ImagesSettings(source="digits"))
    ()
    """
    return _content(settings, root, cache).notes


def _content(settings: ImagesSettings, root: Path | None, cache: Path | None) -> Content:
    found = _locate(settings, root)
    fingerprint = settings.fingerprint or found.source.fingerprint()
    return content_of(found, fingerprint, settings.size, cache, settings.labels, settings.classes)


def _locate(settings: ImagesSettings, root: Path | None) -> Located:
    found = locate(settings.source, root)
    return found if settings.augmentation is None else found._replace(augmentation=settings.augmentation)
