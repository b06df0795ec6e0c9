"""What the translation of an artefact is to those who use it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn


class TranslatedModule(nn.Module, ABC):
    """A model file with gradients, from its one input to one of its outputs, both as the file describes them.

    The input is float32 and holds whole numbers where the file takes integers; so does an output of integers. `step` is
    the distance of two neighbouring scores, real numbers, where they lie on a grid.
    """

    step: float | None

    @property
    @abstractmethod
    def scores(self) -> TranslatedModule:
        """The same model up to the softmax at its end, or itself where there is none."""
