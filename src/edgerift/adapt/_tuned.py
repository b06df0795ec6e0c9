"""The strongest training-time defence that a budget allows, found by training at several strengths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, NonNegativeInt
from torch import Tensor

from edgerift.adapt._hardened import HardenedRecipe
from edgerift.adapt._recipe import PROGRAM, AdaptRecipe, open_original
from edgerift.deploy import Program, twin, twin_scores
from edgerift.errors import StoreError
from edgerift.images import ImageSet, open_splits
from edgerift.measure import accuracy, agreement, posterior_kl, posterior_l1, strongest
from edgerift.recipes import Progress, Recipe, Settings
from edgerift.store import write_whole

if TYPE_CHECKING:
    from edgerift.store import Store

SEARCH: Final = "search.json"


class Allowance(Settings):
    """What a defence may cost, on the validation images.

    `l1` bounds the mean l1 distance, in [0, 2], of its answers to those of the plain quantization-aware model;
    `accuracy_drop` how far its accuracy may lie below that model's. The strengths tried lie between `low` and `high`:
    both ends, then `steps` bisections.
    """

    l1: float = Field(default=0.6, gt=0, le=2)
    accuracy_drop: float = Field(default=0.05, ge=0, le=1)
    low: float = Field(default=0.0, ge=0)
    high: float = Field(default=4.0, gt=0)
    steps: NonNegativeInt = 6


class Trial(Settings):
    """One strength as it came out of its training, on the validation images.

    `l1` is to the plain quantization-aware model, `divergence` is KL(answers || original) in nats, `changed` the share
    of images with another label than the plain model gives; `top1` and `top2` are the mean two highest probabilities.
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
    """What a search tried and chose.

    `floor` is the l1 between two plain quantization-aware models that differ in their training seed alone.
    `beyond_noise` says whether the chosen setting moves the answers further than that; when it is false, no setting
    within the allowance does more than another seed would. `chosen` is None when not even the weakest was allowed.
    """

    allowance: Allowance
    reference_accuracy: float
    floor: float
    chosen: float | None
    beyond_noise: bool
    trials: tuple[Trial, ...]

    @property
    def verdict(self) -> str:
        """Say in one sentence what came of it."""
        if self.chosen is None:
            return "no strength stays within the allowance; the plain quantization-aware model stands in its place"
        found = next(trial for trial in self.trials if trial.strength == self.chosen)
        moved = f"strength {self.chosen:g} moves the answers by l1 {found.l1:.3f}"
        if self.beyond_noise:
            return f"{moved}, of {self.allowance.l1:g} allowed; two seeds differ by {self.floor:.3f}"
        return f"{moved}, no more than the {self.floor:.3f} between two seeds: no allowed setting beats the noise"


class TunedRecipe(Recipe):
    """Train a defence at several strengths, keep the strongest allowed: `program.safetensors` and `search.json`.

    `hardened` describes the training; its own strength is left aside. Each trial is a step of its own in the store, at
    the final learning rate and number of epochs, since what a strength does depends on both.
    """

    type: Literal["tuned"] = "tuned"
    version: Literal[1] = 1
    hardened: HardenedRecipe
    allowance: Allowance = Allowance()

    def at(self, strength: float) -> HardenedRecipe:
        """Describe the training at one strength."""
        return self.hardened.replace(defence=self.hardened.defence.with_strength(strength))

    def plain(self, seed_shift: int = 0) -> AdaptRecipe:
        """Describe the plain quantization-aware model that distances are taken to, or one of another seed."""
        settings = self.hardened.settings
        train = settings.train.replace(seed=settings.train.seed + seed_shift)
        return AdaptRecipe(
            original=self.hardened.original,
            images=self.hardened.images,
            method="qat",
            target=self.hardened.target,
            settings=settings.replace(train=train),
        )

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search, and write the chosen program and what was tried into `folder`."""
        search = _search(self, store, progress)
        chosen = self.plain() if search.chosen is None else self.at(search.chosen)
        write_whole(folder / PROGRAM, (store.get(chosen, progress) / PROGRAM).read_bytes())
        write_whole(folder / SEARCH, search.model_dump_json(indent=2) + "\n")

    def search(self, store: Store, progress: Progress) -> Search:
        """Read what was tried, searched for when missing."""
        path = store.get(self, progress) / SEARCH
        try:
            return Search.model_validate_json(path.read_bytes())
        except ValueError as error:
            raise StoreError(f"{path} is damaged ({error}); delete its folder and run again") from None


def _search(recipe: TunedRecipe, store: Store, progress: Progress) -> Search:
    validation = open_splits(recipe.hardened.images).validation
    reference = _answers(recipe.plain(), validation, store, progress)
    floor = posterior_l1(reference, _answers(recipe.plain(1), validation, store, progress)).value
    original = twin_scores(open_original(recipe.hardened.original, store, progress), validation.images).softmax(1)
    least = accuracy(reference, validation.labels).value - recipe.allowance.accuracy_drop
    trials: dict[float, Trial] = {}

    def cost(strength: float) -> float:
        answers = _answers(recipe.at(strength), validation, store, progress)
        top = answers.topk(2, dim=1).values.mean(0)
        trial = Trial(
            strength=strength,
            l1=posterior_l1(answers, reference).value,
            divergence=posterior_kl(answers, original).value,
            accuracy=accuracy(answers, validation.labels).value,
            changed=1 - agreement(answers, reference).value,
            top1=float(top[0]),
            top2=float(top[1]),
            allowed=False,
        )
        allowed = trial.l1 <= recipe.allowance.l1 and trial.accuracy >= least
        trials[strength] = trial.replace(allowed=allowed)
        progress("search", len(trials), recipe.allowance.steps + 2, f"strength {strength:g}: l1 {trial.l1:.3f}")
        return 0.0 if allowed else 1.0

    bounds = recipe.allowance
    chosen = strongest(cost, low=bounds.low, high=bounds.high, budget=0.5, steps=bounds.steps)
    return Search(
        allowance=bounds,
        reference_accuracy=accuracy(reference, validation.labels).value,
        floor=floor,
        chosen=chosen,
        beyond_noise=chosen is not None and trials[chosen].l1 > floor,
        trials=tuple(trials[strength] for strength in sorted(trials)),
    )


def _answers(recipe: AdaptRecipe | HardenedRecipe, images: ImageSet, store: Store, progress: Progress) -> Tensor:
    program = Program.load(store.get(recipe, progress) / PROGRAM)
    return twin_scores(twin(program), images.images).softmax(1)
