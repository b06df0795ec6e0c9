"""The search: both models' gradients steer, the original and the runtime judge every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from edgerift.differ._constraint import Constraint, constraint
from edgerift.differ._coverage import NeuronCoverage
from edgerift.differ._differences import Differences
from edgerift.differ._objective import values_of
from edgerift.differ._settings import DifferSettings
from edgerift.errors import InputError
from edgerift.evade import Pair, Steering, png_bytes, read_png
from edgerift.images import in_channels, to_float
from edgerift.steps import Progress, silent

_BATCH: Final = 64


def differ(
    pair: Pair,
    images: Tensor,
    settings: DifferSettings | None = None,
    *,
    steering: Steering | None = None,
    progress: Progress = silent,
) -> Differences:
    """Search uint8 images `[N,C,H,W]` for changes on which a pair's models differ; no labels are needed.

    Every step is judged by the original and by the build on whole grey levels, and a search ends at the first
    difference, which is confirmed on the image's PNG file. `steering` says where the gradients come from, by default
    from the white box. What is drawn depends on an image's bytes and the seed alone. Raises
    :class:`~edgerift.errors.InputError` without images, or for a pair that has no gradients.
    """
    chosen = settings or DifferSettings()
    steered = (steering or pair.white_box()).on_logits()
    coverage = NeuronCoverage(pair.original, chosen.threshold)
    return _searched(pair, images, chosen, _Gradient(chosen, steered, coverage), chosen.steps, progress, coverage)


def differ_at_random(
    pair: Pair, images: Tensor, settings: DifferSettings | None = None, *, progress: Progress = silent
) -> Differences:
    """Try random changes of the same kind: the control, at the cost of the search.

    A gradient counts as a query, so that an image has twice as many tries as the search has steps.
    """
    chosen = settings or DifferSettings()
    coverage = NeuronCoverage(pair.original, chosen.threshold)
    return _searched(pair, images, chosen, None, 2 * chosen.steps, progress, coverage)


@final
@dataclass(frozen=True)
class _Gradient:
    """The gradient of the objective at images float32 `[N,C,H,W]` in `[0,1]`."""

    settings: DifferSettings
    steering: Steering
    coverage: NeuronCoverage

    def __call__(self, images: Tensor, answers: Tensor, number: int) -> Tensor:
        images = images.requires_grad_(True)
        build = torch.stack([module(images) for module in self.steering.adapted]).mean(0)
        values = values_of(self.settings, self.steering.original(images), build, answers)
        if self.settings.coverage > 0:
            draw = torch.Generator().manual_seed(self.settings.seed + number)
            values = values + self.settings.coverage * self.coverage.uncovered(images, draw)
        (gradient,) = torch.autograd.grad(values.sum(), (images,))
        return gradient


def _searched(
    pair: Pair,
    images: Tensor,
    settings: DifferSettings,
    gradient: _Gradient | None,
    tries: int,
    progress: Progress,
    coverage: NeuronCoverage,
) -> Differences:
    if len(images) == 0:
        raise InputError("there are no images to test; give at least one")
    parts, done = [], 0
    task = "differ at random" if gradient is None else "differ"
    for batch in images.split(_BATCH):
        progress(task, done, len(images))
        parts.append(_Batch(pair, batch, settings, coverage).run(gradient, tries))
        done += len(batch)
    progress(task, len(images), len(images))
    joined = {name: torch.cat([part.tensors[name] for part in parts]) for name in parts[0].tensors}
    return Differences(**joined, coverage=coverage.share if coverage.neurons else None)


class _Batch:
    """The images of one batch, on which the models differ or not yet."""

    def __init__(self, pair: Pair, images: Tensor, settings: DifferSettings, coverage: NeuronCoverage) -> None:
        self._pair, self._clean, self._settings, self._coverage = pair, images, settings, coverage
        self._images = images.clone()
        self._original, self._build = self._asked(images)
        self._already = self._original != self._build
        self._found = torch.zeros_like(self._already)
        self._queries, self._gradients = torch.ones(2, len(images), dtype=torch.int64)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What :class:`Differences` holds, by its fields."""
        return {
            "clean": self._clean,
            "images": self._images,
            "found": self._found,
            "already": self._already,
            "original": self._original,
            "build": self._build,
            "queries": self._queries,
            "gradients": self._gradients,
        }

    def run(self, gradient: _Gradient | None, tries: int) -> _Batch:
        """Try until the models differ about every image, or the tries are spent."""
        self._gradients.zero_()
        rows = (~self._already).nonzero()[:, 0]
        answers, limits = self._original[rows], constraint(self._settings, self._clean[rows])
        position = self._clean[rows].float()
        for number in range(tries):
            if len(rows) == 0:
                break
            position = self._moved(limits, position, answers, rows, gradient, number)
            stay = self._judged(position, rows)
            rows, answers, position = rows[stay], answers[stay], position[stay]
            limits.keep(stay)
        return self

    def _moved(
        self,
        limits: Constraint,
        position: Tensor,
        answers: Tensor,
        rows: Tensor,
        gradient: _Gradient | None,
        number: int,
    ) -> Tensor:
        if gradient is None:
            return limits.drawn(position)
        self._gradients[rows] += 1
        return limits.moved(position, gradient(to_float(position.round().to(torch.uint8)), answers, number))

    def _judged(self, position: Tensor, rows: Tensor) -> Tensor:
        """Ask both models, note what they say, and return the places of those that still agree."""
        candidates = position.round().to(torch.uint8)
        original, build = self._asked(candidates)
        self._queries[rows] += 1
        for place in (original != build).nonzero()[:, 0].tolist():
            # A finding is what its file says: a build may round differently alone than in a batch. And an image in
            # colour may happen to be grey, and then its file is.
            again = in_channels(read_png(png_bytes(candidates[place]))[None], candidates.shape[1])
            original[place], build[place] = (answer[0] for answer in self._asked(again))
        differ = original != build
        self._images[rows], self._original[rows], self._build[rows] = candidates, original, build
        self._found[rows] = differ
        return (~differ).nonzero()[:, 0]

    def _asked(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self._coverage.see(to_float(images))
        return self._pair.original_scores(images).argmax(1), self._pair.build_scores(images).argmax(1)
