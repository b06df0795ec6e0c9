"""An opened artefact: images go through its specification into the runtime, and its answers come back as scores."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from edgerift.deploy.builds._digest import fingerprint
from edgerift.deploy.builds._runtime import RUNTIMES, Engine, Fingerprint
from edgerift.deploy.twins._translated_module import TranslatedModule
from edgerift.errors import BuildError, EdgeriftError, ModelError, first_line, unknown_name
from edgerift.images import in_channels, to_float
from edgerift.specification import Guard, Specification

#: The most images that a build takes in one call of its runtime; ExecuTorch plans its memory for this many.
LARGEST_BATCH: Final = 64


@final
class OpenedBuild:
    """An artefact of one runtime that answers uint8 images; `guard` is the one that ships with it, if any."""

    def __init__(
        self,
        runtime: str,
        path: Path,
        engine: Engine,
        specification: Specification | None = None,
        guard: Guard | None = None,
        name: str = "",
    ) -> None:
        """Ask an engine as `specification` says; what it leaves out is what the file says. `name` is for messages.

        Raises :class:`~edgerift.errors.BuildError` where it names an input that the file does not have.
        """
        self.runtime, self.path, self._engine, self.guard = runtime, path, engine, guard
        self._name = name or path.name
        self.specification = (specification or Specification()).over(engine.specification)
        wanted, known = self.specification.input.name, engine.specification.input.name
        if known and wanted != known:
            raise BuildError(f"{self._name}: {unknown_name('input', wanted, [known])}")

    def read_as(self, specification: Specification) -> OpenedBuild:
        """The same loaded artefact, asked as another specification says."""
        return OpenedBuild(self.runtime, self.path, self._engine, specification, self.guard, self._name)

    def called(self, name: str) -> OpenedBuild:
        """The same loaded artefact under the name that messages give it."""
        return OpenedBuild(self.runtime, self.path, self._engine, self.specification, self.guard, name)

    @functools.cached_property
    def translated(self) -> TranslatedModule:
        """The artefact as a differentiable module, from its input to its output, made when it is first needed.

        Raises :class:`~edgerift.errors.ModelError` where its runtime's files cannot be translated, or this one holds
        something that has no translation.
        """
        translate = RUNTIMES[self.runtime].translate
        if translate is None:
            raise ModelError(f"a twin of a {self.runtime} build needs the program that it was compiled from")
        if self.specification.output.index:
            raise ModelError("its scores are picked by index; pick them with output.name=NAME instead")
        return translate(self.path, self.specification.output.name or None)

    @functools.cached_property
    def _first_layer(self) -> nn.Module:
        return self.specification.input.layer()

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with float32 scores `[N,K]`."""
        batch = self.specification.input.batch
        answers = [self._answered(part, batch) for part in in_batches(images, batch or self._engine.largest)]
        return torch.cat(answers)

    def _answered(self, images: Tensor, batch: int | None) -> Tensor:
        specification, name = self.specification, self._name
        if specification.input.channels == "grey":
            images = in_channels(images, 1)  # How colour becomes grey is not the build's to say.
        ordered = _channels_last(images) if specification.input.layout == "nhwc" else images
        prepared = specification.input.cast(self._first_layer(to_float(ordered)))
        if batch is not None and len(images) < batch:
            blank = prepared.new_zeros(batch - len(images), *prepared.shape[1:])
            prepared = torch.cat([prepared, blank])
        self._require_extents(prepared)
        try:
            answer = self._engine.ask(prepared)
        except EdgeriftError:
            raise
        except Exception as error:  # Each runtime has its own.
            kind = str(prepared.dtype).removeprefix("torch.")
            raise BuildError(
                f"{name} refused {kind} images of shape {list(prepared.shape)} ({first_line(error)}); "
                "--build-input says how a build wants them"
            ) from None
        scores = _scores(specification, answer, name)[: len(images)]
        if len(scores) != len(images):
            raise BuildError(f"{name} gave {len(scores)} answers to {len(images)} images; build it again")
        return scores

    def _require_extents(self, prepared: Tensor) -> None:
        """Refuse images of another shape: some runtimes would take any that fits into their memory."""
        wanted = self._engine.extents
        given = tuple(prepared.shape[1:])
        if wanted is None:
            return
        if len(wanted) != len(given) or any(
            extent not in (None, found) for extent, found in zip(wanted, given, strict=True)
        ):
            shown = ", ".join("any" if extent is None else str(extent) for extent in wanted)
            raise BuildError(
                f"{self._name} takes images [{shown}]; got {list(given)}: --size says their size, --build-input the "
                "layout and channels of the build"
            )

    def fingerprint(self) -> Fingerprint:
        """Return what determines this build's answers."""
        return fingerprint(self.runtime, self._engine.version, self.path, self.guard)

    @property
    def extents(self) -> tuple[int | None, ...] | None:
        """The extents of the input behind the batch, None where one is free; None where the file does not tell."""
        return self._engine.extents

    @property
    def answers_alone(self) -> bool:
        """Whether images are answered one at a time, because an answer would depend on the others of its batch."""
        return self._engine.largest == 1 and self.specification.input.batch is None

    def operators(self) -> dict[str, int]:
        """Count the operators that the runtime computes, by name; none where the artefact is machine code."""
        return self._engine.operators()

    def integer_macs(self) -> float:
        """The share of multiply-accumulates that run in integer kernels, in [0, 1], read off the compiled artefact."""
        return self._engine.integer_macs()


def asked(engine: Engine, images: Tensor) -> Tensor:
    """Ask an artefact that edgerift has made, or made of a part of a program: its answers as they are."""
    parts = in_batches(images, engine.largest)
    answers = [engine.ask(engine.specification.input.prepare(to_float(part))) for part in parts]
    # What it answers may be a feature map, which is no score.
    return torch.cat([next(iter(found.values())) if isinstance(found, Mapping) else found for found in answers])


def _channels_last(images: Tensor) -> Tensor:
    """Lay uint8 images `[N,C,H,W]` out in memory as `[N,H,W,C]`, in half of the time that PyTorch takes for it."""
    count, channels, height, width = images.shape
    pixels, ordered = images.numpy(), np.empty((count, height, width, channels), np.uint8)
    for channel in range(channels):
        ordered[..., channel] = pixels[:, channel]
    return torch.from_numpy(ordered).permute(0, 3, 1, 2)


def _scores(specification: Specification, answer: Any, name: str) -> Tensor:
    """Take the scores out of an answer; what they mean is found out later where the specification does not say it."""
    output = specification.output
    if output.kind is None and output.background is None:
        scores = output.scores(answer, name)
    else:
        scores = output.read(answer, name)
    return scores.detach().cpu()


def in_batches(images: Tensor, largest: int = LARGEST_BATCH) -> list[Tensor]:
    """Check a batch of uint8 images `[N,C,H,W]` and cut it into pieces of at most `largest`, C-contiguous.

    A runtime that gets memory in another layout (channels last) may read it as if it were in this one.

    Raises :class:`~edgerift.errors.BuildError` for another type or shape.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3):
        raise BuildError(
            f"a build takes uint8 images [N,1,H,W] or [N,3,H,W]; got {str(images.dtype).removeprefix('torch.')} "
            f"{list(images.shape)}"
        )
    return list(images.cpu().contiguous().split(largest))
