"""Magnitude pruning: a growing share of the smallest weights is set to 0 while the others learn on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, final

from pydantic import Field, PositiveFloat, model_validator

from edgerift import train as training
from edgerift._lazy import later
from edgerift.adapt._compression import Compression, compression, teacher_classes
from edgerift.errors import ModelError, RecipeError, unknown_name
from edgerift.train import TrainSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgerift.adapt import _masks as masks
    from edgerift.adapt import _methods as methods
    from edgerift.images import ImageSet
    from edgerift.steps import Progress
    from edgerift.train import Trained
else:
    torch, masks, methods = later("torch", "edgerift.adapt._masks", "edgerift.adapt._methods")


@final
@compression
class Pruning(Compression):
    """Magnitude pruning by layer, on the polynomial schedule of Zhu and Gupta 2017 (arXiv:1710.01878).

    In each layer the share `sparsity` of the weights, those of least magnitude, is 0 in the end. The share grows from
    `initial` on between `begin` and `end`, both shares of the training's steps, as

        sparsity + (initial - sparsity) * (1 - (t - begin) / (end - begin)) ** power

    and what is pruned is chosen again at every step until `end`, so that a weight may come back; from then on it is
    fixed. With `channels` whole output channels of convolutions are pruned, by their norm, and linear layers are left
    as they are. Layers in `dense` are not pruned. `train` is the training.

    Raises `RecipeError` for a schedule that ends before it begins.
    """

    title = "pruned"
    keeps_zeros = True

    type: Literal["prune"] = "prune"
    sparsity: float = Field(default=0.8, ge=0, lt=1)
    initial: float = Field(default=0.0, ge=0, lt=1)
    begin: float = Field(default=0.0, ge=0, le=1)
    end: float = Field(default=0.7, ge=0, le=1)
    power: PositiveFloat = 3.0
    channels: bool = False
    dense: tuple[str, ...] = ()
    train: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=3, learning_rate=0.01))

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.begin > self.end or self.initial > self.sparsity:
            raise ValueError(
                f"the sparsity goes from {self.initial:g} to {self.sparsity:g} between {self.begin:g} and "
                f"{self.end:g} of the steps; neither may fall"
            )
        return self

    def sparsity_at(self, done: float) -> float:
        """Compute the sparsity when this share of the steps is done.

        >>> Pruning(sparsity=0.5, end=1.0).sparsity_at(0.5)
        0.4375
        """
        if done >= self.end:
            return self.sparsity
        if done <= self.begin:
            return self.initial
        left = 1 - (done - self.begin) / (self.end - self.begin)
        return self.sparsity + (self.initial - self.sparsity) * float(left**self.power)

    def compress(
        self,
        original: nn.Module,
        train: ImageSet,
        validation: ImageSet | None,
        *,
        checkpoint: Path | None,
        progress: Progress,
    ) -> Trained:
        """Prune a copy of the original; raises `RecipeError` for a layer in `dense` that it does not have."""
        teacher_classes(original, train)
        model = methods.trainable_copy(original)
        pruned = _Masks(self, model)
        return training.run(
            model,
            train,
            validation,
            self.train,
            on_epoch=pruned.begin_epoch,
            on_step=pruned.after_step,
            checkpoint=checkpoint,
            progress=progress,
            task=self.type,
        )


class _Masks:
    """What is pruned at present, by layer."""

    def __init__(self, pruning: Pruning, model: nn.Module) -> None:
        self._pruning = pruning
        self._masks: dict[str, Tensor] = {}
        self._is_fixed = False
        known = dict(masks.prunable(model))
        for layer in pruning.dense:
            if layer not in known:
                raise RecipeError(unknown_name("layer", layer, known))
        if not any(self._pruned(model)):
            raise ModelError("the model has no layer whose weights could be pruned; give one with linear layers")

    def _pruned(self, model: nn.Module) -> dict[str, nn.Parameter]:
        found = masks.prunable(model, channels=self._pruning.channels)
        return {layer: weight for layer, weight in found if layer not in self._pruning.dense}

    def begin_epoch(self, model: nn.Module, epoch: int) -> None:
        """Take what is fixed from the zeros of the weights, so that a run which resumes goes on with the same."""
        self._is_fixed = epoch > 0 and epoch / self._pruning.train.epochs >= self._pruning.end
        if self._is_fixed:
            self._masks = {name: weight.detach() != 0 for name, weight in self._pruned(model).items()}

    def after_step(self, model: nn.Module, done: float) -> None:
        """Set what is pruned to 0, after choosing it again while the sparsity grows."""
        share, channels = self._pruning.sparsity_at(done), self._pruning.channels
        with torch.no_grad():
            for name, weight in self._pruned(model).items():
                if not self._is_fixed:
                    self._masks[name] = masks.magnitude_mask(weight, share, channels=channels)
                weight.masked_fill_(~self._masks[name], 0)
        self._is_fixed = done >= self._pruning.end
