"""What users bring, read as logits: answers that are probabilities are recognised, and their logarithms are taken."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgerift.errors import ModelError, ProbabilitiesWarning, users_code

Predict: TypeAlias = Callable[[Tensor], Tensor]
"""What every classifier looks like here: uint8 images `[N,C,H,W]` to scores `[N,K]`, on any device."""

#: Of at least this many images all answers have to be probabilities.
_SEVERAL: Final = 8
#: How far a row of probabilities may be from adding up to 1: twice what bfloat16 rounds away.
_ROUNDING: Final = 2.0**-8
#: The steps of grids that probabilities are rounded to, from nine bits to two decimals or seven bits; half a step a
#: class is what a row of them may be off, and never so much that a row of zeros would pass.
_FINEST_STEP: Final = 1 / 512
_COARSEST_STEP: Final = 1 / 64
_MOST_OFF: Final = 0.5

MODULE_CALL: Final = "with float32 images [N,C,H,W] in [0,1], and needs logits [N, classes]"
PREDICT_CALL: Final = "with a uint8 torch.Tensor of images [N,C,H,W], and needs logits [N, classes]"


def are_probabilities(answers: Tensor) -> bool:
    """Tell whether every row of answers `[N,K]` is a row of probabilities: at least 0, and adding up to 1.

    A row may be off by what rounding does: 1/256 for float answers, and for answers on a grid (those of an int8
    softmax lie 1/256 apart) half a step for each class.

    >>> are_probabilities(torch.tensor([[0.25, 0.75], [1.0, 0.0]])), are_probabilities(torch.tensor([[2.0, -1.0]]))
    (True, False)
    """
    values = answers.detach().double()
    if values.ndim != 2 or values.shape[1] < 2 or not bool((values >= 0).all()):
        return False
    off = (values.sum(1) - 1).abs()
    if bool((off <= _ROUNDING).all()):
        return True
    gaps = values.unique().diff()
    if bool((values > 1).any()) or bool((gaps < _FINEST_STEP).any()):
        return False
    step = min([_COARSEST_STEP, *gaps.tolist()])
    return bool((off <= min(_MOST_OFF, step * values.shape[1] / 2)).all())


def log_probabilities(probabilities: Tensor) -> Tensor:
    """Take the logarithms of probabilities `[N,K]`: logits of the same softmax, whose gradient is that of the logits.

    Those that float32 holds as less than its smallest normal number, 1.2e-38, count as that.
    """
    return _float32(probabilities).clamp_min(torch.finfo(torch.float32).tiny).log()


def as_logits(scores: Tensor, whose: str) -> Tensor:
    """Give scores `[N,K]` back, or the logarithms of probabilities: of eight rows at least, all of them."""
    if len(scores) < _SEVERAL or not are_probabilities(scores):
        return scores
    if not _are_labels(scores):
        say_probabilities(whose)
    return log_probabilities(scores)


def tensor_of(value: Any, whose: str) -> Tensor:
    """Take a tensor as it is, an array or a list of numbers as a tensor; raises `ModelError` for anything else."""
    if isinstance(value, Tensor):
        return value
    try:
        if isinstance(value, list) or hasattr(value, "__array__"):
            # A copy, since an array may be read-only or run backwards.
            return torch.from_numpy(np.array(value, order="C"))
    except (TypeError, ValueError, RuntimeError):
        pass
    raise ModelError(f"{whose} answered {_described(value)}; needed: a tensor or numpy array of scores [N, classes]")


def array_of(tensor: Tensor) -> NDArray[Any]:
    """Look at a tensor as an array, without a copy where it is on the CPU."""
    # To force it makes tensors, and each that ends lets another thread run.
    return tensor.numpy(force=tensor.requires_grad or tensor.device.type != "cpu")


def images_of(images: Any) -> Tensor:
    """Take images as a tensor, copied where they are an array; raises `ModelError` for anything else."""
    if isinstance(images, Tensor):
        return images
    if not isinstance(images, np.ndarray):
        raise ModelError(f"images are {_described(images)}; needed: a tensor or numpy array, uint8 [N,C,H,W]")
    return tensor_of(images, "the images")


def scores_of(predict: Predict, images: Tensor, *, whose: str, call: str) -> Tensor:
    """Ask about images `[N,...]`: scores float32 `[N,K]`, with their gradient where they have one.

    Raises `ModelError` for what is raised there, told as that of `whose`, which edgerift calls as `call` says, and for
    an answer that is not one row of numbers for each image.
    """
    with users_code(whose, call):
        answered = predict(images)
    scores = tensor_of(answered, whose)
    if scores.ndim != 2 or len(scores) != len(images) or scores.shape[1] == 0 or scores.dtype.is_complex:
        raise ModelError(
            f"{whose} answered {len(images)} images with shape {list(scores.shape)}; needed: logits [N, classes]"
        )
    return _float32(scores)


@final
class _Said:
    """A warning that somebody answers probabilities, given once."""

    def __init__(self, whose: str) -> None:
        self._whose, self._was_said = whose, False

    def __call__(self) -> None:
        if not self._was_said:
            self._was_said = True
            say_probabilities(self._whose)


@final
class _Reading:
    """Which of the two somebody answers: not known yet, probabilities, or logits."""

    def __init__(self, ask: Predict | None, say: _Said) -> None:
        self._ask, self._say = ask, say
        self._rows = 0
        self.are_probabilities: bool | None = None

    def logits(self, images: Tensor, scores: Tensor) -> Tensor:
        """Read the scores `[N,K]` that images `[N,C,H,W]` were answered with."""
        if self.are_probabilities is False:
            return scores
        # What is not finite is refused elsewhere.
        seen = scores.detach()
        if self.are_probabilities is None and bool(seen.isfinite().all()):
            if _are_labels(seen):  # They are probabilities, but do not say what the next answers are.
                return log_probabilities(scores)
            found = self._recognised(images, seen)
            self._rows += len(seen)
            if not found or self._ask is not None or self._rows >= _SEVERAL:
                self.are_probabilities = found
            return log_probabilities(scores) if found else scores
        return log_probabilities(scores) if self.are_probabilities else scores

    def _recognised(self, images: Tensor, scores: Tensor) -> bool:
        if not are_probabilities(scores):
            return False
        missing = _SEVERAL - len(images)
        if missing > 0 and self._ask is not None:
            with torch.no_grad():
                others = self._ask(_random(missing, images))
            if not are_probabilities(others):
                return False
        self._say()
        return True


@final
class Logits:
    """A classifier's answers as logits float32 `[N,K]`, whether it answers logits or probabilities.

    `predict` maps uint8 images `[N,C,H,W]` to a tensor or an array `[N,K]`. Which of the two it answers is decided
    once, by the first answers that are finite and not all labels (a 1 among zeros, whose logarithms are taken until
    then): they are probabilities where :func:`are_probabilities` says so of eight images at least. Where fewer were
    queried and look like it, random ones are queried as well, unless `asks_more` is false: where every query
    is paid for, each answer is read as it looks until eight rows were seen. Probabilities are said with a
    :class:`~edgerift.errors.ProbabilitiesWarning`. Raises `ModelError` for what `predict` raises, or an answer that is
    not one row of numbers for each image.
    """

    def __init__(
        self, predict: Predict, whose: str = "the model", call: str = PREDICT_CALL, *, asks_more: bool = True
    ) -> None:
        """Read the answers of `predict`, which messages name as `whose`, called as `call` says."""
        self._ask = functools.partial(scores_of, predict, whose=whose, call=call)
        self._reading = _Reading(self._ask if asks_more else None, _Said(whose))

    @property
    def are_probabilities(self) -> bool:
        """Whether the answers are taken for probabilities; False as long as there was none."""
        return self._reading.are_probabilities is True

    def __call__(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]`, a tensor or an array."""
        images = images_of(images)
        return self._reading.logits(images, self._ask(images))

    def posteriors(self, images: Tensor) -> Tensor:
        """Answer images with softmax(logits), on the CPU; labels, a 1 among zeros, are that already."""
        images = images_of(images)
        scores = self._ask(images)
        logits = self._reading.logits(images, scores)
        labels = self._reading.are_probabilities is None and _are_labels(scores)
        found = scores if labels else logits
        if found.device.type != "cpu":
            found = found.cpu()
        return found if labels else found.softmax(1)


@final
class LogitsReader:
    """Scores `[N,K]` as logits, be they those or probabilities; the first eight rows decide for all. See `Logits`.

    Answers in training mode decide for that mode alone: some networks answer logits there, else probabilities.
    """

    def __init__(self, whose: str) -> None:
        """Read what messages name as answers of `whose`."""
        say = _Said(whose)
        self._readings = {mode: _Reading(None, say) for mode in (False, True)}

    def __call__(self, scores: Tensor, *, training: bool = False) -> Tensor:
        """Give scores back, or the logarithms of probabilities."""
        return self._readings[training].logits(scores, scores)


@final
class LogitsModule(nn.Module):
    """A module that answers float32 logits where another answers those, half a float or probabilities; see `Logits`.

    Where the images take a gradient the answers have to have one; raises `ModelError` for others.
    """

    def __init__(self, module: nn.Module, whose: str, *, asks_more: bool = True) -> None:
        """Stand before `module`, which messages name as `whose`; one that is trained is asked no more than it is."""
        super().__init__()
        self.module = module
        self.training = module.training
        self.image_channels = getattr(module, "image_channels", None)
        self._whose = whose
        self._reading = _Reading(self._scores if asks_more else None, _Said(whose))

    def forward(self, images: Tensor) -> Tensor:
        """Answer float32 images `[N,C,H,W]` in `[0,1]` with logits `[N,K]`."""
        scores = self._scores(images)
        if images.requires_grad and torch.is_grad_enabled() and not scores.requires_grad:
            raise ModelError(
                f"{self._whose} has no gradient; take no_grad(), inference_mode() and detach() out of its forward, "
                "or steer with another module"
            )
        return self._reading.logits(images, scores)

    def _scores(self, images: Tensor) -> Tensor:
        return scores_of(self.module, images, whose=self._whose, call=MODULE_CALL)


def _are_labels(scores: Tensor) -> bool:
    return bool(((scores == 0) | (scores == 1)).all()) and bool((scores.sum(1) == 1).all())


def _float32(scores: Tensor) -> Tensor:
    # A cast that changes nothing would be an operation more in an exported graph.
    return scores if scores.dtype == torch.float32 else scores.float()


def _random(count: int, like: Tensor) -> Tensor:
    levels = torch.randint(256, (count, *like.shape[1:]), generator=torch.Generator().manual_seed(0))
    images = levels.to(like.dtype) if like.dtype == torch.uint8 else levels.to(like.dtype) / 255
    return images.to(like.device)


def say_probabilities(whose: str) -> None:
    """Warn that a model answers probabilities."""
    warnings.warn(
        f"{whose} answers probabilities; their logarithms are used as its logits", ProbabilitiesWarning, stacklevel=4
    )


def _described(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
