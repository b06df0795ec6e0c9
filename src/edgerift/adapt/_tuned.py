"""The strongest training-time defence within a budget, found by training at several strengths."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from edgerift.adapt._allowance import Allowance
from edgerift.adapt._hardened import HardenedRecipe
from edgerift.adapt._originals import open_original
from edgerift.adapt._recipe import PROGRAM, AdaptRecipe
from edgerift.deploy import Program, twin, twin_scores
from edgerift.errors import DivergedError
from edgerift.images import ImageSet, open_splits
from edgerift.measure import accuracy, agreement, posterior_kl, posterior_l1, strongest
from edgerift.settings import Settings, is_empty, is_none
from edgerift.steps import Progress, Recipe, read_document, stored_recipes, write_whole

if TYPE_CHECKING:
    from edgerift.steps import Store

SEARCH: Final = "search.json"

#: A distance this many times that between two seeds is clearly larger; below, another seed might reach it.
_CLEARLY: Final = 1.5


class Trial(Settings):
    """The result of training at one strength, on the validation images.

    `l1` is to the plain quantization-aware model, `divergence` is KL(answers || original) in nats, `changed` the share
    of images whose label differs from the plain model's; `top1` and `top2` are the mean two highest probabilities.
    """

    strength: float
    l1: float
    divergence: float
    accuracy: float
    changed: float
    top1: float
    top2: float
    allowed: bool


class Search(Settings):
    """The trials and the choice of a search.

    `floor` is the l1 between two plain quantization-aware models that differ in their training seed alone.
    `chosen` is the strongest allowed setting, None if not even the weakest was; `refused` is the weakest above it that
    was tried, if any: the other side of the bracket. `beyond_noise` says whether the chosen one moves the answers
    further than another seed would. A strength whose training `diverged` is refused, and has no trial.
    """

    allowance: Allowance
    reference_accuracy: float
    floor: float
    chosen: float | None
    beyond_noise: bool
    trials: tuple[Trial, ...]
    refused: float | None = Field(default=None, exclude_if=is_none)
    diverged: tuple[float, ...] = Field(default=(), exclude_if=is_empty)

    def trial(self, strength: float | None) -> Trial | None:
        """Look up the trial of a strength; None without one."""
        return next((trial for trial in self.trials if trial.strength == strength), None)

    @property
    def verdict(self) -> str:
        """Summarise the result in one sentence, with both sides of the bracket."""
        refused = self._beyond
        if refused is None:
            end = "" if self.chosen is None else f"; the search tries none above {self.allowance.high:g}"
            return f"{self._chosen_words}{end}"
        beyond = self.trial(refused)
        why = (
            "its training diverged" if beyond is None else f"l1 {beyond.l1:.3f}, accuracy {100 * beyond.accuracy:.1f} %"
        )
        return f"{self._chosen_words}; strength {refused:g} is refused: {why}"

    @property
    def _beyond(self) -> float | None:
        """The weakest strength that was refused; documents that were written without it have its trial all the same."""
        tried = (*(trial.strength for trial in self.trials), *self.diverged)
        return min((strength for strength in tried if self.chosen is None or strength > self.chosen), default=None)

    @property
    def _chosen_words(self) -> str:
        found = self.trial(self.chosen)
        if found is None:
            return "no strength stays within the allowance; the plain quantization-aware model is used instead"
        moved = f"strength {self.chosen:g} moves the answers by l1 {found.l1:.3f}"
        if self.beyond_noise:
            hardly = ", nearly as much" if found.l1 < _CLEARLY * self.floor else ""
            return f"{moved}, of {self.allowance.l1:g} allowed; two seeds differ by {self.floor:.3f}{hardly}"
        noise = f"{moved}, no more than the {self.floor:.3f} between two seeds"
        if any(trial.allowed and trial.l1 > self.floor for trial in self.trials):
            return f"{noise}, though a weaker setting does more"
        return f"{noise}: no allowed setting beats the noise"


class TunedRecipe(Recipe):
    """Train a defence at several strengths, keep the strongest allowed: `program.safetensors` and `search.json`.

    `hardened` describes the training; its own strength is ignored. Each trial is a step of its own in the store, at
    the final learning rate and number of epochs, since the effect of a strength depends on both. When no strength is
    allowed, the program is that of the plain quantization-aware model. Raises
    :class:`~edgerift.errors.RecipeError` when the defence has no strength as low or as high as the allowance's.
    """

    type: Literal["tuned"] = "tuned"
    version: Literal[2] = 2
    hardened: HardenedRecipe
    allowance: Allowance = Allowance()

    @model_validator(mode="after")
    def _has_its_strengths(self) -> Self:
        # Refused here, not after hours of trials.
        for strength in (self.allowance.low, self.allowance.high):
            self.hardened.defence.with_strength(strength)
        return self

    def at(self, strength: float) -> AdaptRecipe | HardenedRecipe:
        """Describe the training at one strength: the plain one if the defence has no effect at 0."""
        nothing = strength == 0 and self.hardened.defence.plain_at_zero
        if nothing and self.hardened.stage == "quantized":
            return self.plain()
        return self.hardened.replace(defence=self.hardened.defence.with_strength(strength))

    def plain(self, seed_shift: int = 0) -> AdaptRecipe:
        """Describe the plain quantization-aware model that distances are measured to, or one of another seed."""
        settings = self.hardened.settings
        train = settings.train.replace(seed=settings.train.seed + seed_shift)
        return AdaptRecipe(
            original=self.hardened.original,
            images=self.hardened.images,
            method="qat",
            target=self.hardened.target,
            settings=settings.replace(train=train),
        )

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the models that trials are compared with; the trials depend on one another and are run by this step."""
        return (self.hardened.original, self.plain(), self.plain(1))

    def asked(self, store: Store) -> tuple[Recipe, ...]:
        """List the trials in the store, at any strength."""
        found = stored_recipes(store, HardenedRecipe, self.hardened.original.canonical_json())
        return tuple(step for step in found if self._is_trial(step))

    def _is_trial(self, step: HardenedRecipe) -> bool:
        own = self.hardened.defence
        if step.defence.type != own.type or step.replace(defence=own).digest() != self.hardened.digest():
            return False
        low = self.allowance.low
        return step.defence.with_strength(low) == own.with_strength(low)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search, and write the chosen program and the trials into `folder`."""
        search = _search(self, store, progress)
        chosen = self.plain() if search.chosen is None else self.at(search.chosen)
        write_whole(folder / PROGRAM, (store.get(chosen, progress) / PROGRAM).read_bytes())
        write_whole(folder / SEARCH, search.model_dump_json(indent=2) + "\n")

    def search(self, store: Store, progress: Progress) -> Search:
        """Read the search, run if it is missing; raises `StoreError` for a damaged file."""
        return read_document(Search, store.get(self, progress) / SEARCH)


def _search(recipe: TunedRecipe, store: Store, progress: Progress) -> Search:
    validation = open_splits(recipe.hardened.images).validation
    original = open_original(recipe.hardened.original, store, progress)

    def answers(step: AdaptRecipe | HardenedRecipe) -> Tensor:
        return _answers(step, validation, store, progress)

    return searched(
        lambda strength: answers(recipe.at(strength)),
        plain=answers(recipe.plain()),
        reseeded=answers(recipe.plain(1)),
        original=twin_scores(original, validation.images).softmax(1),
        labels=validation.labels,
        bounds=recipe.allowance,
        progress=progress,
    )


def searched(
    answers: Callable[[float], Tensor],
    *,
    plain: Tensor,
    reseeded: Tensor,
    original: Tensor,
    labels: Tensor,
    bounds: Allowance,
    progress: Progress,
) -> Search:
    """Search for the strongest allowed strength, from the answers `[N,K]` that a training at a strength gives.

    `plain` and `reseeded` are the answers of two plain quantization-aware models of different seeds, `original` those
    of the original, all to the same images with `labels` `[N]`.
    """
    floor = posterior_l1(plain, reseeded).value
    trials: dict[float, Trial | None] = {}

    def tried(strength: float, trial: Trial | None) -> float:
        trials[strength] = trial
        words = "its training diverged" if trial is None else f"l1 {trial.l1:.3f}"
        progress("search", len(trials), bounds.most_steps + 2, f"strength {strength:g}: {words}")
        return trial.l1 if trial is not None and trial.allowed else math.inf

    def cost(strength: float) -> float:
        try:
            given = answers(strength)
        except DivergedError:
            return tried(strength, None)
        return tried(strength, _trial(strength, bounds, given, plain, original, labels))

    chosen = strongest(
        cost,
        low=bounds.low,
        high=bounds.high,
        budget=bounds.l1,
        steps=bounds.most_steps,
        enough=bounds.reached * bounds.l1,
    )
    found = None if chosen is None else trials[chosen]
    return Search(
        allowance=bounds,
        reference_accuracy=accuracy(plain, labels).value,
        floor=floor,
        chosen=chosen,
        beyond_noise=found is not None and found.l1 > floor,
        trials=tuple(trial for _, trial in sorted(trials.items()) if trial is not None),
        refused=min((strength for strength in trials if chosen is None or strength > chosen), default=None),
        diverged=tuple(strength for strength, trial in sorted(trials.items()) if trial is None),
    )


def _trial(
    strength: float, bounds: Allowance, answers: Tensor, plain: Tensor, original: Tensor, labels: Tensor
) -> Trial:
    moved, top = posterior_l1(answers, plain).value, answers.topk(2, dim=1).values.mean(0)
    right, before = accuracy(answers, labels), accuracy(plain, labels)
    # From the counts, since the difference of two rounded shares may miss a bound that is met exactly.
    drop = (before.successes - right.successes) / right.trials
    return Trial(
        strength=strength,
        l1=moved,
        divergence=posterior_kl(answers, original).value,
        accuracy=right.value,
        changed=1 - agreement(answers, plain).value,
        top1=float(top[0]),
        top2=float(top[1]),
        allowed=moved <= bounds.l1 and (bounds.accuracy_drop is None or drop <= bounds.accuracy_drop),
    )


def _answers(recipe: AdaptRecipe | HardenedRecipe, images: ImageSet, store: Store, progress: Progress) -> Tensor:
    program = Program.load(store.get(recipe, progress) / PROGRAM)
    return twin_scores(twin(program), images.images).softmax(1)
