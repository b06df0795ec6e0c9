"""Stealing a victim without images as a step that the store keeps, and what was measured."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self, final

import torch
from pydantic import Field, SerializeAsAny, model_validator
from torch import Tensor, nn

from edgerift import zoo
from edgerift.defend import Defence, defended
from edgerift.deploy import Build, BuildRecipe, Program, twin_scores, unrounded_twin
from edgerift.errors import InputError
from edgerift.extract._curve import CurvePoint, Measured
from edgerift.extract._data_free_settings import DataFree
from edgerift.extract._datafree import DataFreeClone, data_free
from edgerift.extract._generator import Generator
from edgerift.extract._launch import launch
from edgerift.extract._masking import masking
from edgerift.extract._measures import measures
from edgerift.extract._oracle import Oracle, Pixels, to_whole
from edgerift.extract._plot_curve import plot_curve
from edgerift.extract._posteriors import posteriors
from edgerift.extract._ranks import Ranks
from edgerift.extract._recipe import CLONE, THEFT, Victim, open_victim
from edgerift.extract._samples import draw_samples
from edgerift.images import ImageSet, ImagesSettings, open_splits
from edgerift.measure import Interval, MeanInterval, accuracy, agreement, interval, mean_interval, posterior_kl
from edgerift.settings import Count, Parts, Settings
from edgerift.steps import Progress, Recipe, Store, read_document, write_whole
from edgerift.train import choose_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LEDGER: Final = "ledger"
_CHECKPOINT: Final = "checkpoint.pt"
#: So many test images are enough to draw a curve.
_CURVE_IMAGES: Final = 2000


class DataFreeTheft(Settings):
    """What a theft without images took, on the victim's own test images.

    As in :class:`Theft`: `defender_error` is that of the answers as the attacker and every user gets them,
    `adversary_error` that of the clone at the end of the budget, `disagreement` the share of images to which
    the two give different labels, `divergence` KL(victim || clone) in nats, `l1` what the defences change. `spent`
    counts the images paid for.
    `curve` was measured on at most 2,000 of the test images, and nothing was selected by it; `validation_error` is the
    clone's on the victim's validation images, by which a setting of the attack may be, None where nobody measured it.
    """

    type: Literal["data-free-theft"] = "data-free-theft"
    version: Literal[1] = 1
    attack: DataFree
    defences: tuple[Defence, ...]
    pixels: Pixels
    simulated: bool
    budget: int
    spent: int
    defender_error: Interval
    adversary_error: Interval
    disagreement: Interval
    l1: MeanInterval
    divergence: MeanInterval
    calibration_error: float
    negative_log_likelihood: float
    validation_error: Interval | None = None
    curve: tuple[CurvePoint, ...]


class DataFreeRecipe(Recipe):
    """Steal a victim without images: `theft.json`, `curve.png`, `samples.png`, `clone.safetensors` and the ledger.

    Several clones that vote are `clone.safetensors`, `clone-2.safetensors` and so on; `samples.png` shows what the
    generator makes at the end. `images` are the victim's own,
    whose test images measure the theft; the attacker sees none of them, but with `positives`, which are drawn from the
    training images. `pixels="float"` answers float images as they are, which only a float victim can. `simulated` puts
    the program's quantized weights, computed in float without any rounding, in the place of the build: an attack that
    fails against the build and not against this was stopped by the arithmetic, not by the training. `program` is that
    of a build that was given as a file, for its owner's diagnosis. A victim of grey images is queried with grey ones
    alone, unless `in_colour`: an API takes what no grey camera records. Each further one of the attack's `devices` has
    a ledger of its own, `ledger-1` and so on.
    """

    type: Literal["data-free"] = "data-free"
    version: Literal[2] = 2
    victim: Victim
    defences: tuple[Defence, ...] = ()
    images: ImagesSettings
    budget: Count = 20_000_000
    attack: DataFree
    pixels: Pixels = "whole"
    simulated: bool = False
    in_colour: bool = Field(default=False, exclude_if=operator.not_)
    points: Parts = 20
    program: SerializeAsAny[Recipe] | None = None
    keep: bool = Field(default=False, exclude=True)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if any(not defence.sums_to_one for defence in self.defences):
            raise ValueError("a theft is measured on answers that add up to 1; use top-k with renormalise true")
        if self.simulated and self._program is None:
            raise ValueError("simulated is for a build whose program is known; give the program, or leave it out")
        if self.pixels == "float" and not (self.simulated or self.victim.type in ("train", "given-original")):
            raise ValueError("a build accepts whole grey levels only; leave out pixels: float")
        if self.budget < self.attack.queries:
            raise ValueError(
                f"a budget of {self.budget} is less than the {self.attack.queries} queries of one iteration; give "
                "a larger budget or a smaller batch_size"
            )
        return self

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the victim, and its program, by which its owner diagnoses the attack."""
        return (self.victim,) if self._program is None else (self.victim, self._program)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Attack, measuring on the way, and write what was found into `folder`."""
        # What is measured is written last, and then an attack that was killed has nothing left to do but to clear up.
        if not (folder / THEFT).exists():
            self._attack(folder, store, progress)
        leftovers = [f"{_CHECKPOINT}*", f"{LEDGER}*.lock"]
        for pattern in leftovers if self.keep else [*leftovers, f"{LEDGER}*.stream.answers"]:
            for path in folder.glob(pattern):
                path.unlink()

    def theft(self, store: Store, progress: Progress) -> DataFreeTheft:
        """Read what was measured, stolen when missing."""
        return read_document(DataFreeTheft, store.get(self, progress) / THEFT)

    def _attack(self, folder: Path, store: Store, progress: Progress) -> None:
        devices = self.attack.devices
        if devices == 1:
            self._steal(None, progress, folder, store)
            return
        # What the processes need is made once, before they start.
        for need in self.needs(store):
            store.get(need, progress)
        launch(_steal, self, folder, store.root, devices=devices, device=self._device(), progress=progress)

    def _steal(self, fabric: Fabric | None, progress: Progress, folder: Path, store: Store) -> None:
        """Attack as one of the processes; the first one writes what was found."""
        ranks = Ranks(fabric)
        victim, smooth = self._victims(store, progress)
        splits = open_splits(self.images)
        test = splits.test
        suffix = "" if ranks.rank == 0 else f"-{ranks.rank}"
        with Oracle(
            victim,
            budget=self.budget // ranks.world_size,
            defence=self.defences,
            ledger=folder / f"{LEDGER}{suffix}",
            pixels=self.pixels,
            keep=self.keep,
        ) as oracle:
            clone = data_free(
                oracle,
                self.attack,
                classes=len(test.classes),
                size=test.shape.size,
                grey=test.grey and not self.in_colour,
                positives=self._positives(splits.train),
                observe=_Observer(self, victim, smooth, test) if ranks.rank == 0 else None,
                points=self.points,
                checkpoint=folder / _CHECKPOINT,
                progress=progress,
                fabric=fabric,
            )
            spent = ranks.total(oracle.spent)
        if ranks.rank == 0:
            theft = self._measured(victim, clone, test, spent)
            theft = theft.replace(validation_error=error_of(clone.model, splits.validation))
            self._write(folder, clone, theft)

    @property
    def _program(self) -> Recipe | None:
        return self.victim.program if isinstance(self.victim, BuildRecipe) else self.program

    def _device(self) -> torch.device:
        return choose_device(self.attack.device)

    def _victims(self, store: Store, progress: Progress) -> tuple[Build | nn.Module, nn.Module | None]:
        """Open what is attacked, and a differentiable module near it where there is one: itself, or its program."""
        shipped = open_victim(self.victim, store, progress)
        if isinstance(shipped, nn.Module):
            shipped = smooth = shipped.to(self._device())
            return shipped, smooth
        if self._program is None:
            return shipped, None
        program = Program.load(store.get(self._program, progress) / "program.safetensors")
        smooth = unrounded_twin(program).to(self._device())
        return smooth if self.simulated else shipped, smooth

    def _positives(self, train: ImageSet) -> Tensor | None:
        if self.attack.positives is None:
            return None
        if len(train) < self.attack.positives.count:
            raise InputError(
                f"positives.count is {self.attack.positives.count} and there are {len(train)} training images; "
                "give fewer"
            )
        draws = torch.Generator().manual_seed(self.attack.seed)
        return train.images[torch.randperm(len(train), generator=draws)[: self.attack.positives.count]]

    def _measured(self, victim: Build | nn.Module, clone: DataFreeClone, test: ImageSet, spent: int) -> DataFreeTheft:
        clean = posteriors(victim, test.images)
        stolen = twin_scores(clone.model, test.images).softmax(1)
        return DataFreeTheft(
            attack=self.attack,
            defences=self.defences,
            pixels=self.pixels,
            simulated=self.simulated,
            budget=self.budget,
            spent=spent,
            curve=clone.curve,
            **measures(clean, defended(clean, self.defences, test.images), stolen, test.labels),
        )

    def _write(self, folder: Path, clone: DataFreeClone, theft: DataFreeTheft) -> None:
        for number, each in enumerate(clone.model.clones, 1):
            assert isinstance(each, zoo.Classifier)
            zoo.save(each, folder / (CLONE if number == 1 else f"clone-{number}.safetensors"))
        plot_curve(theft.curve, theft.defender_error.value, folder / "curve.png")
        draw_samples(clone.generator, self.attack.latent, folder / "samples.png")
        write_whole(folder / THEFT, theft.model_dump_json(indent=2) + "\n")


def error_of(clone: nn.Module, images: ImageSet) -> Interval:
    """Measure how often a clone gives another label than the true one."""
    return interval(accuracy(twin_scores(clone, images.images).softmax(1), images.labels).complement)


def _steal(fabric: Fabric, progress: Progress, recipe: DataFreeRecipe, folder: Path, root: Path) -> None:
    recipe._steal(fabric, progress, folder, Store(root))


class _Test(NamedTuple):
    """The images that draw the curve, and the defended victim's posteriors on them."""

    images: ImageSet
    answers: Tensor


@final
class _Observer:
    """Measures a clone and the masking on the way, with the victim in hand."""

    def __init__(
        self, recipe: DataFreeRecipe, victim: Build | nn.Module, smooth: nn.Module | None, test: ImageSet
    ) -> None:
        draws = torch.Generator().manual_seed(0)
        few = test.select(torch.randperm(len(test), generator=draws)[:_CURVE_IMAGES].sort().values)
        self._recipe, self._victim, self._smooth = recipe, victim, smooth
        self._test = _Test(few, defended(posteriors(victim, few.images), recipe.defences, few.images))

    def __call__(self, clone: nn.Module, generator: Generator) -> Measured:
        device = next(generator.parameters()).device
        images = self._test.images.images.to(device)
        stolen = twin_scores(clone, images).cpu().softmax(1)
        answers = self._test.answers
        settings = self._recipe.attack
        found = None
        if settings.differences is not None and self._smooth is not None:
            found = masking(
                self._answer,
                self._smooth,
                clone,
                generator,
                differences=settings.differences,
                loss=settings.loss,
                latent=settings.latent,
            )
        return Measured(
            error=accuracy(stolen, self._test.images.labels).complement.value,
            disagreement=agreement(answers, stolen).complement.value,
            divergence=mean_interval(posterior_kl(answers, stolen)).value,
            masking=found,
        )

    def _answer(self, images: Tensor) -> Tensor:
        """Answer as the victim does before any defence, unpaid: what is measured here is no part of the attack."""
        if self._recipe.pixels == "whole":
            return posteriors(self._victim, to_whole(images).cpu()).to(images.device)
        return posteriors(self._victim, images, floats=True).to(images.device)
