"""KnockoffNets: ask a victim about images, and train a clone on its answers."""

from __future__ import annotations

import copy
import operator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self, TypeAlias, final

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import zoo
from edgerift.defend import Defence, LabelOnly, TopK, defended
from edgerift.errors import InputError, RecipeError
from edgerift.extract._inversion import Inversion, learn_inversion, made_up_pairs, require_invertible
from edgerift.extract._inversion_table import inversion_table, refined
from edgerift.extract._oracle import Oracle
from edgerift.extract._policy import Policy
from edgerift.extract._query_policy import Asking
from edgerift.extract._shadows import shadow_pairs
from edgerift.extract._start import Start, started
from edgerift.extract.policies._random import RandomPolicy
from edgerift.images import ImageSet, Size
from edgerift.measure import data_frame
from edgerift.settings import Count, Seed, Settings, Times, is_none
from edgerift.steps import Progress, silent
from edgerift.train import History, TrainSettings, run

if TYPE_CHECKING:
    from pandas import DataFrame

#: Answers that add up to less than 1 by more than this were cut.
_TOLERANCE: Final = 1e-4
#: Batches of made-up pairs in a table.
_TABLE_BATCHES: Final = 40

Labels: TypeAlias = Literal["soft", "hard"]


@final
class Knockoff(Settings):
    """KnockoffNets (Orekondy et al. 2019, arXiv:1812.02766), and what helps against a defence.

    The defaults are the second paper's but for the learning rate: the clone is trained on the soft answers by gradient
    descent with Nesterov momentum 0.9 and weight decay 5e-4 for 50 epochs. The rate falls to zero along a cosine from
    0.05; the paper's 0.01 leaves a clone of few queries or epochs unfinished, so that the same queries look safer than
    they are. The paper leaves the batch open; 64 is its authors' earlier code. `student` is a network of the zoo. The
    `policy` chooses the images that are queried: :class:`RandomPolicy`, or :class:`JacobianPolicy`, which makes its own
    from a few.

    Counter-attacks, each off by default:

    - `labels="hard"` trains on the answers' top classes alone.
    - `top_k` keeps the k highest of each answer and adds them up to 1.
    - `views` queries this many randomly mirrored and shifted views of an image and averages the answers; each is paid
      for, so the same budget covers fewer images.
    - `smoothing` mixes the answers with the uniform one, by this share.
    - `undo` names defences that the attacker knows to run, in their order; they are inverted as
      :func:`learn_inversion` does. It comes first of all, on the answer to each view. With `undo_by="table"` the
      answer is looked up in an :func:`inversion_table` and then :func:`refined`. Both learn from made-up posteriors,
      or from those of `shadows`, that number of clones like the student, each trained on the labels of half of the
      answers; defences that look at the image need them. They are trained once, on the images that are read first.
    - `start` has weights of the same architecture, trained on other images, that the clone starts from.
    - the training's `distortion` and `mixup` make more of few queries.

    Answers that do not add up to 1, since only the highest were given, are divided by their sum unless they are undone.

    `seed` draws the images, the views and the clone's weights, and takes the place of the training's own. With
    the seed that drew a victim's first weights, a clone of the same network starts from them: give another.
    """

    name: Literal["knockoff"] = "knockoff"
    student: str = "resnet18"
    labels: Labels = "soft"
    top_k: Count | None = None
    views: Times = 1
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    undo: tuple[Defence, ...] = ()
    undo_by: Literal["network", "table"] = Field(default="network", exclude_if=lambda way: way == "network")
    shadows: int = Field(default=0, ge=0, le=100, exclude_if=operator.not_)
    training: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=50, learning_rate=0.05, batch_size=64))
    seed: Seed = 0
    start: Start | None = Field(default=None, exclude_if=is_none)
    policy: Policy = Field(default_factory=RandomPolicy, exclude_if=lambda policy: policy == RandomPolicy())

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.views > 1 and not isinstance(self.policy, RandomPolicy):
            raise ValueError(
                f"views is {self.views}; the query policy '{self.policy.type}' makes its own, leave it at 1"
            )
        if not self.undo and (self.shadows or self.undo_by != "network"):
            raise ValueError("undo_by and shadows say how a defence is inverted; name one with undo")
        if any(defence.sees for defence in self.undo) and not self.shadows:
            raise ValueError(
                "a defence that looks at the image is inverted with shadows alone; give shadows, 1 or more"
            )
        return self


class Clone(NamedTuple):
    """A stolen model, in evaluation mode, and how it was stolen.

    `history` has each epoch's figures on the images that were given to measure on. `questions` are the images
    `[M,C,H,W]` that were queried, `answers` float32 `[M,K]` what the clone was trained on.
    """

    model: nn.Module
    history: History
    questions: ImageSet
    answers: Tensor

    def best_epoch(self) -> tuple[int, float] | None:
        """Name the epoch, from 1, with the highest accuracy on the images that were measured on, and that accuracy.

        The clone is the last epoch's whatever this says; the figure is for comparison with code that selects so.
        """
        measured = [epoch.validation_accuracy for epoch in self.history.epochs]
        known = [(accuracy, -number) for number, accuracy in enumerate(measured, 1) if accuracy is not None]
        if not known:
            return None
        accuracy, number = max(known)
        return -number, accuracy

    def frame(self) -> DataFrame:
        """Return a pandas data frame with one row for each epoch of the clone's training.

        Columns: `epoch`, from 1; `train_loss`, on the victim's answers; `validation_loss` and `validation_accuracy` on
        the images that were measured on, NaN where there were none; and `learning_rate`.
        """
        names = ("train_loss", "validation_loss", "validation_accuracy", "learning_rate")
        epochs = self.history.epochs
        columns = {name: [getattr(epoch, name) for epoch in epochs] for name in names}
        return data_frame({"epoch": range(1, len(epochs) + 1), **columns})


def knockoff(
    victim: Oracle,
    queries: ImageSet,
    student: str | nn.Module | None = None,
    *,
    settings: Knockoff | None = None,
    measured_on: ImageSet | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    **settings_fields: Any,
) -> Clone:
    """Steal a victim: query images of `queries`, as the policy chooses them, and train a clone on the answers.

    `student` is a network of the zoo by name, or a module of your own with as many classes; it goes before that of the
    settings. `settings_fields` are fields of :class:`Knockoff`, or of its `training` (`epochs`, `learning_rate`, ...).
    `measured_on` has the victim's own classes; the clone's accuracy on it is measured after every epoch, and nothing is
    selected by it. The images are drawn in an order that the seed decides; asking stops at the end of the budget or of
    the set: of an oracle that was asked before, what is left of its budget is used, and what it has answered costs
    nothing. A module of your own is trained in place. Raises :class:`~edgerift.errors.InputError` when views cannot
    differ or sizes do, :class:`~edgerift.errors.BudgetError` when not one image can be queried, and what
    :meth:`Oracle.ask` and `train.run` raise.
    """
    chosen = _chosen(settings or Knockoff(), student, settings_fields)
    _require_sizes(queries, measured_on)
    if not isinstance(student, nn.Module):
        # A student that cannot be made has to be known before anything is paid.
        _blank(chosen, 2, queries.shape.size)
    made = _Learner(chosen, student, measured_on)
    asking = Asking(victim, queries, chosen.seed, chosen.views, made.read, made.substitute, progress)
    questions, answers = chosen.policy.collect(asking)
    targets = _counteracted(answers, chosen)
    stolen = _labelled(questions, targets, measured_on)
    trained = run(
        made.model(answers.shape[1], queries.shape.size),
        stolen,
        measured_on,
        chosen.training,
        loss=_soft_cross_entropy,
        targets=targets,
        checkpoint=checkpoint,
        progress=progress,
        task="clone",
    )
    return Clone(trained.model, trained.history, questions, targets)


class _Learner:
    """How an attacker reads answers, and trains on them."""

    def __init__(self, chosen: Knockoff, student: str | nn.Module | None, measured_on: ImageSet | None) -> None:
        self._chosen, self._student, self._measured_on = chosen, student, measured_on
        self._inversion: Inversion | None = None

    def model(self, classes: int, size: Size) -> nn.Module:
        """Make the student, or take the user's own."""
        own = self._student
        return own if isinstance(own, nn.Module) else _blank(self._chosen, classes, size)

    def read(self, answers: Tensor, questions: ImageSet) -> Tensor:
        """Undo what is known of the defence: float32 `[N,K]` on the simplex."""
        chosen = self._chosen
        if not chosen.undo:
            return _summing(answers)
        if self._inversion is None:
            self._inversion = self._inverting(answers, questions)
        found = self._inversion(answers)
        return refined(answers, found, chosen.undo, questions.images) if chosen.undo_by == "table" else found

    def substitute(self, questions: ImageSet, answers: Tensor, epochs: int) -> nn.Module:
        """Train a copy of the student as it begins."""
        targets = _counteracted(answers, self._chosen)
        return self._trained(questions, targets, self._chosen.training.replace(epochs=epochs), "substitute")

    def _inverting(self, answers: Tensor, questions: ImageSet) -> Inversion:
        chosen, classes = self._chosen, answers.shape[1]
        require_invertible(chosen.undo, classes)
        pairs = None
        if chosen.shadows:
            pairs = shadow_pairs(questions, answers, chosen.undo, chosen.shadows, chosen.seed, self._shadow)
        if chosen.undo_by == "network":
            return learn_inversion(chosen.undo, classes, seed=chosen.seed, pairs=pairs)
        draws = torch.Generator().manual_seed(chosen.seed)
        return inversion_table(pairs or made_up_pairs(chosen.undo, classes, draws, _TABLE_BATCHES))

    def _shadow(self, questions: ImageSet, labels: Tensor, number: int) -> nn.Module:
        training = self._chosen.training.replace(seed=self._chosen.seed + number + 1)
        return self._trained(questions, labels, training, "shadow")

    def _trained(self, questions: ImageSet, targets: Tensor, training: TrainSettings, task: str) -> nn.Module:
        model = copy.deepcopy(self.model(targets.shape[1], questions.shape.size))
        stolen = _labelled(questions, targets, self._measured_on)
        return run(model, stolen, None, training, loss=_soft_cross_entropy, targets=targets, task=task).model


def _chosen(settings: Knockoff, student: str | nn.Module | None, fields: dict[str, Any]) -> Knockoff:
    own = {name: value for name, value in fields.items() if name in Knockoff.model_fields}
    if isinstance(student, str):
        own["student"] = student
    chosen = settings.replace(**own)
    training = {name: value for name, value in fields.items() if name not in own}
    # One seed draws everything.
    return chosen.replace(training=chosen.training.replace(**{**training, "seed": chosen.seed}))


def _require_sizes(queries: ImageSet, measured_on: ImageSet | None) -> None:
    if measured_on is not None and measured_on.shape.size != queries.shape.size:
        raise InputError(
            f"queries of {queries.shape} and images to measure on of {measured_on.shape} (channels x height x width); "
            "resize both to the victim's input size"
        )


def _blank(chosen: Knockoff, classes: int, size: Size) -> nn.Module:
    described = zoo.Architecture(name=chosen.student, classes=classes, size=size)
    blank = zoo.from_architecture(described, seed=chosen.seed)
    return blank if chosen.start is None else started(blank, chosen.start)


def _summing(answers: Tensor) -> Tensor:
    # The k highest as they are, the rest held back, do not add up to 1. All others stay as they are, bit by bit.
    total = answers.sum(1, keepdim=True)
    return torch.where(total < 1 - _TOLERANCE, answers / total, answers)


def _counteracted(answers: Tensor, chosen: Knockoff) -> Tensor:
    """Make of the answers what the clone is trained on: float32 `[N,K]` on the simplex."""
    classes = answers.shape[1]
    if chosen.top_k is not None and chosen.top_k > classes:
        raise RecipeError(f"top_k is {chosen.top_k}; the victim answers {classes} classes")
    chain: list[Defence] = [TopK(k=chosen.top_k)] if chosen.top_k is not None else []
    if chosen.labels == "hard":
        chain.append(LabelOnly())
    answers = defended(answers, chain)
    return (1 - chosen.smoothing) * answers + chosen.smoothing / classes


def _labelled(questions: ImageSet, targets: Tensor, measured_on: ImageSet | None) -> ImageSet:
    """Put the victim's classes in the place of the query set's, so that the set fits the one to measure on."""
    classes = targets.shape[1]
    names = tuple(str(number) for number in range(classes)) if measured_on is None else measured_on.classes
    if len(names) != classes:
        raise InputError(
            f"the victim answers {classes} classes, the images to measure on have {len(names)}; give the victim's own"
        )
    return replace(
        questions,
        name=f"{questions.name}, as the victim sees it",
        labels=targets.argmax(1),
        classes=names,
        groups=None,
    )


def _soft_cross_entropy(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    logits: Tensor = model(images)
    return F.cross_entropy(logits.float(), targets)
