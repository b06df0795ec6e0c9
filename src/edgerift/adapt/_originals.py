"""Originals as steps that the store keeps: trained, or given as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from edgerift import zoo
from edgerift.adapt._methods import weights_digest
from edgerift.errors import ModelError
from edgerift.images import ModelSize, Size
from edgerift.settings import LARGEST_MODEL, Document, is_none
from edgerift.specification import Specification
from edgerift.steps import Progress, Recipe, write_whole
from edgerift.train import History, TrainRecipe, plot_history

if TYPE_CHECKING:
    from edgerift.steps import Store

ORIGINAL = "original.safetensors"


def _is_default(specification: Specification) -> bool:
    return specification.is_default


class GivenOriginal(Recipe):
    """An original given as a file, identified by the SHA-256 of its bytes; its location does not matter.

    A recipe that was read from its JSON has no `path`, and is usable if the store has the file. `trust` allows an
    architecture that is the user's own `module:factory`, which is imported to open it. With a `model` the file holds
    the weights of that architecture, as :func:`edgerift.zoo.load_weights` reads them, and `size`, `stem` and
    `specification` describe it further; the store keeps it as an original of edgerift.
    """

    type: Literal["given-original"] = "given-original"
    version: Literal[1] = 1
    sha256: str
    model: str | None = Field(default=None, exclude_if=is_none)
    size: ModelSize | None = Field(default=None, exclude_if=is_none)
    stem: str | None = Field(default=None, exclude_if=is_none)
    specification: Specification = Field(default=Specification(), exclude_if=_is_default)
    path: Path = Field(default=Path(), validate_default=False, exclude=True)
    trust: bool = Field(default=False, exclude=True)

    @property
    def is_pretrained(self) -> bool:
        """Whether the original is a library's own, with its pretrained weights, and no file."""
        return self.model is not None and str(self.path) == self.model

    def named_files(self) -> Mapping[str, str]:
        """Name the digest of an original of edgerift, which is copied."""
        return {ORIGINAL: self.sha256} if self.model is None else {}

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Copy the file, or write its weights; raises :class:`~edgerift.errors.ModelError` when it has changed."""
        if self.model is not None and self.sha256 != _digest(self.path, self.model, self.size):
            raise _changed(self.path)
        if self.model is not None:
            zoo.save(load_original(self), folder / ORIGINAL)
            return
        content = read_original(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise _changed(self.path)
        write_whole(folder / ORIGINAL, content)


def given_original(
    path: Path,
    *,
    trust: bool = False,
    model: str | None = None,
    size: Size | None = None,
    stem: str | None = None,
    specification: Specification | None = None,
) -> GivenOriginal:
    """Describe an original's file; raises :class:`~edgerift.errors.ModelError` when it is missing or unreadable.

    Without a `model` it is one of edgerift's own. A `path` that is itself `torchvision:NAME` or `timm:NAME`, and is
    given as the `model` too, stands for that library's pretrained network.
    """
    return GivenOriginal(
        sha256=_digest(path, model, size),
        path=path,
        trust=trust,
        model=model,
        size=size,
        stem=stem,
        specification=specification or Specification(),
    )


def _digest(path: Path, model: str | None, size: Size | None) -> str:
    """Name what a file holds, with all that belongs to it, or the pretrained weights of a library."""
    if model is not None and str(path) == model:
        fields: dict[str, Any] = {} if size is None else {"size": size}
        return weights_digest(zoo.load_pretrained(model, **fields))
    if model is not None and model in zoo.FILE_KINDS:
        return hashlib.sha256(zoo.FILE_KINDS[model].pack(path)).hexdigest()
    return hashlib.sha256(read_original(path)).hexdigest()


def _changed(path: Path) -> ModelError:
    return ModelError(f"{path} has changed since it was named; start again with the present file")


def load_original(given: GivenOriginal) -> zoo.Classifier:
    """Read the original from its own file; raises what :func:`edgerift.zoo.load` and its like raise."""
    if given.model is None:
        return zoo.load(given.path, trust=given.trust)
    fields: dict[str, Any] = {} if given.size is None else {"size": given.size}
    if given.is_pretrained:
        return zoo.load_pretrained(given.model, specification=given.specification, **fields)
    fields |= {"specification": given.specification, "trust": given.trust}
    if given.model in zoo.FILE_KINDS:
        return zoo.load_file(given.path, **fields)
    stem: dict[str, Any] = {} if given.stem is None else {"stem": given.stem}
    return zoo.load_weights(given.path, given.model, **stem, **fields)


def read_original(path: Path) -> bytes:
    """Read an original's file."""
    advice = f"`edgerift train --out DIR` writes DIR/{ORIGINAL}"
    return Document(path, "original at", advice, ModelError, LARGEST_MODEL).content()


Original = Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]


def open_original(recipe: TrainRecipe | GivenOriginal, store: Store, progress: Progress) -> zoo.Classifier:
    """Open an original, trained if it is missing; a training recipe names the code that it runs, and so trusts it."""
    trust = isinstance(recipe, TrainRecipe) or recipe.trust
    return zoo.load(store.get(recipe, progress) / ORIGINAL, trust=trust)


def write_history(history: History, folder: Path) -> None:
    """Write the history of a training: `history.json` and `history.png`."""
    write_whole(folder / "history.json", history.as_json())
    plot_history(history, folder / "history.png")
