"""Image sets by name."""

from __future__ import annotations

from pathlib import Path

import torch

from edgerift.errors import DataError
from edgerift.images._cache import default_cache
from edgerift.images._content import Content, Part
from edgerift.images._fingerprint import derive
from edgerift.images._labels import Labels, reordered, settle_labels
from edgerift.images._set import Augmentation, ImageSet, Splits, resized_fingerprint
from edgerift.images._shape import Size, check_size
from edgerift.images._sources import Located, locate
from edgerift.images._split import check_fraction, split


def load(
    source: str,
    *,
    size: Size | None = None,
    root: Path | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    cache: Path | None = None,
    augmentation: Augmentation | None = None,
    labels: Labels | None = None,
) -> Splits:
    """Load the training and the test images of a source.

    `source` is, in this order: `digits` (embedded, always there); a short name (mnist, fashion_mnist,
    cifar10, cifar100, svhn, gtsrb), taken from `root/<name>` or `root/<owner>/<name>`, else from the Hugging
    Face hub; an `.npz` file or a folder, below `root` or where you are (write `./mnist` for a folder with a
    short name); a hub id `owner/name` or `owner/name/config`. A folder holds Parquet files in the hub's
    layout, or `train/<class>/` and `test/<class>/`, or `<class>/` alone; split names are known in any case and
    usual spelling. `root` is `$EDGERIFT_DATA` where it is not given.

    `size`, the side of a square or (height, width), scales all images to it, bilinear and antialiased, which a note of
    the sets says; without it they keep their own size, which must then be one. Greyscale sources have one channel, all
    others three. A source without test images gives `test_fraction` of its images to the test set by
    `split` with `seed`. Decoded images are kept in `cache`, else `$EDGERIFT_CACHE`, else the user's cache folder.
    `augmentation` replaces that of the source, which is none for an unknown one.

    Labels that are numbers without class names have to count from 0 without a gap, unless `labels` says what they mean:
    `"as-is"`, where every number up to the highest is a class, or `"renumbered"`, where the numbers that occur are the
    classes, in rising order and by their own names. Classes without images are left out with `"renumbered"` from a
    source with class names, too. Decisions about an ambiguous source are in `notes` of both sets.

    Raises `DataError` for a source that is missing, damaged or ambiguous, and `StoreError` where the cache cannot be
    written.

    >>> train, test = load("digits")
    >>> train, test
    (ImageSet('digits', 1438 of 1x32x32, 10 classes), ImageSet('digits', 359 of 1x32x32, 10 classes))
    """
    if size is not None:
        size = check_size(size)
    check_fraction(test_fraction)
    found = locate(source, root)
    if augmentation is not None:
        found = found._replace(augmentation=augmentation)
    return open_located(found, found.source.fingerprint(), size, test_fraction, seed, cache, labels)


def open_located(
    found: Located,
    fingerprint: str,
    size: Size | None,
    test_fraction: float,
    seed: int,
    cache: Path | None,
    labels: Labels | None,
    classes: tuple[str, ...] | None = None,
) -> Splits:
    """Read a source that was found and has that fingerprint; see `load`, and `ImagesSettings` for `classes`."""
    content = content_of(found, fingerprint, size, cache, labels, classes)
    read = (*(() if labels is None else (labels,)), *(() if classes is None else ("classes", *classes)))
    sets = {
        name: _image_set(found, part, content, derive(fingerprint, name, *read), size)
        for name, part in content.parts.items()
    }
    if "test" in sets:
        return _same_size(Splits(sets["train"], sets["test"]))
    return Splits(*split(sets["train"], test_fraction, seed=seed))


def content_of(
    found: Located,
    fingerprint: str,
    size: Size | None,
    cache: Path | None,
    labels: Labels | None,
    classes: tuple[str, ...] | None = None,
) -> Content:
    """Read the decoded parts of a source that was found and has that fingerprint."""
    folder = default_cache() if cache is None else Path(cache).expanduser()
    content = settle_labels(found.name, found.source.read(fingerprint, size, folder), labels)
    return content if classes is None else reordered(found.name, content, classes)


def _image_set(found: Located, part: Part, content: Content, fingerprint: str, size: Size | None) -> ImageSet:
    scaled = size is not None and part.scaled
    return ImageSet(
        name=found.name,
        images=torch.from_numpy(part.images),
        labels=torch.from_numpy(part.labels),
        classes=content.classes,
        fingerprint=resized_fingerprint(fingerprint, size) if size is not None and scaled else fingerprint,
        groups=None if part.groups is None else torch.from_numpy(part.groups),
        augmentation=found.augmentation,
        in_colour=part.images.shape[1] == 3,
        notes=content.notes,
    )


def _same_size(splits: Splits) -> Splits:
    train, test = splits
    if train.shape != test.shape:
        raise DataError(
            f"'{train.name}' has training images of {train.shape} and test images of {test.shape} (channels x height x "
            "width); pass a size, such as 32 or 96x160, and all are scaled to it"
        )
    return splits
