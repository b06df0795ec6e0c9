"""The options that several verbs share."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final, Literal

import tyro

from edgerift import images, steps
from edgerift.cli._fields import Shown
from edgerift.errors import ImagesWarning, InputError
from edgerift.images import ModelSize, size_text
from edgerift.settings import Settings, is_folder

#: A whole number whose checks word what is none, so that a share of 255 is answered with the grey levels it means.
LEVELS: Final = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="INT",
    instance_from_str=lambda given: int(given[0]) if given[0].lstrip("-").isdecimal() else given[0],
    is_instance=lambda value: isinstance(value, int),
    str_from_instance=lambda value: [str(value)],
)

#: A size, whose own check words what is none.
SIZE: Final = tyro.constructors.PrimitiveConstructorSpec(
    nargs=1,
    metavar="S|HxW",
    instance_from_str=lambda given: given[0],
    is_instance=lambda value: isinstance(value, int | str | tuple),
    str_from_instance=lambda value: [size_text(value) if not isinstance(value, str) else value],
)

Json = Annotated[
    bool,
    tyro.conf.arg(name="json"),
    Shown(group="output", name="json", text="print the result as JSON, and nothing else"),
]

_SETS: Final = "Names: digits, mnist, fashion_mnist, cifar10, cifar100, svhn, gtsrb"

#: How the help shows the folder of the store.
STORE: Final = Shown(
    group="output", advanced=True, metavar="DIR", default="$EDGERIFT_STORE, else in the user's cache folder"
)
#: How the help shows the folder of the results.
OUT: Final = Shown(group="output", metavar="DIR")


class DataOptions(Settings):
    """Which images to use, and where things are kept."""

    data: Annotated[str, Shown(metavar="SET", details=_SETS)] = "digits"
    """image set by name, such as cifar10, a folder, an .npz file, or a Hugging Face id"""
    data_root: Annotated[Path | None, Shown(advanced=True, metavar="DIR", default="$EDGERIFT_DATA")] = None
    """folder with local copies of the image sets"""
    size: Annotated[ModelSize, SIZE, Shown(metavar="S|HxW")] = 32
    """resize images to S x S pixels, or to height H and width W, such as 96x160"""
    class_labels: Annotated[Literal["as-is", "renumbered"] | None, Shown(advanced=True)] = None
    """for numeric labels that do not start at 0: every number up to the highest is a class (as-is), or only the numbers
    that occur are, in ascending order (renumbered)"""
    store: Annotated[Path | None, STORE] = None
    """folder where finished steps are cached"""

    def use_root(self) -> None:
        """Set the data root for what follows."""
        if self.data_root is not None:
            if not is_folder(self.data_root):
                raise InputError(f"--data-root {self.data_root} is not a folder; give one that holds the image sets")
            os.environ["EDGERIFT_DATA"] = str(self.data_root)

    def images(self, seed: int = 0) -> images.ImagesSettings:
        """Describe the images, with the fingerprint of their content; the data root is set for what follows.

        What was decided where they can be read in more than one way is an `ImagesWarning`.
        """
        self.use_root()
        described = images.resolve(
            images.ImagesSettings(source=self.data, size=self.size, seed=seed, labels=self.class_labels)
        )
        for note in images.notes(described):
            warnings.warn(note, ImagesWarning, stacklevel=2)
        return described

    def open_store(self) -> steps.Store:
        """Open the store."""
        return steps.Store(self.store or steps.default_root())


@contextmanager
def output_folder(path: Path) -> Iterator[Path]:
    """Make a folder that can be written to, and remove it at the end if it is new and nothing was written.

    Raises :class:`~edgerift.errors.InputError`.
    """
    made = [folder for folder in (path, *path.parents) if not is_folder(folder)]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path} cannot be made a folder ({error.strerror}); choose another") from None
    if not os.access(path, os.W_OK):
        raise InputError(f"--out {path} cannot be written to; choose another folder")
    try:
        yield path
    finally:
        with suppress(OSError):  # What is in one of them keeps it.
            for folder in made:
                folder.rmdir()


Words = tuple[tuple[str, ...], ...]
"""What an option was given: values with spaces or commas between them, and the option any number of times."""


def word_list(given: Words) -> list[str]:
    """Split what an option was given into its values."""
    return [part.strip() for group in given for text in group for part in text.split(",") if part.strip()]


def number_list(option: str, given: Words) -> tuple[float, ...]:
    """Read what an option was given as different numbers from 0 up, in rising order.

    Raises :class:`~edgerift.errors.InputError` for anything else.
    """
    return tuple(sorted({number(option, text) for text in word_list(given)}))


def number(option: str, text: str, allowed: str = "a number from 0 up") -> float:
    """Read a number from 0 up; raises :class:`~edgerift.errors.InputError` for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (value >= 0 and math.isfinite(value)):
        raise InputError(f"{option} is '{text}'; it must be {allowed}")
    return value
