"""Map what DivQAT's alpha does, over the learning rate, the epochs, the batch normalisation and the width.

    EDGERIFT_DATA=DIR python studies/divqat_map.py studies/divqat-map.yaml --store DIR [--out docs/studies/divqat/map]
        [--collect]

Every training is a step in the store: a run that was killed goes on where it was. The CSV is written anew after each
cell, the picture and the text at the end; `--collect` makes all three of what is finished and trains nothing.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import torch
from _map_page import write_optimum, write_page, write_rows
from _optimum import optimum_l1
from pydantic import Field
from torch import Tensor

from edgerift import extract, zoo
from edgerift.adapt import Divqat, QatSettings, open_original, run_hardened
from edgerift.deploy import Program, Target, twin, twin_scores
from edgerift.errors import DivergedError, RecipeError
from edgerift.images import ImageSet, ImagesSettings, class_names, open_splits, resolve
from edgerift.measure import accuracy, agreement, posterior_kl, posterior_l1
from edgerift.settings import Document, Settings, read_yaml, settings_of
from edgerift.steps import Recipe, Store, read_document, write_whole
from edgerift.train import TrainRecipe, TrainSettings

if TYPE_CHECKING:
    from edgerift.steps import Progress

Found = TypeVar("Found", bound=Settings)
Labels = Literal["soft", "hard"]
LABELS: tuple[Labels, ...] = ("soft", "hard")
SIZE = 32
#: How many alphas the curve of the closed form has.
CURVE = 40
PROGRAM, FIGURES, CHECKPOINT = "program.safetensors", "figures.json", "checkpoint.pt"


class Axis(NamedTuple):
    """Where a cell stands but for its alpha: the network, the training, and what becomes of batch normalisations."""

    model: str
    learning_rate: float
    epochs: int
    batch_norm: str


class Widths(Settings):
    """Networks of other widths, and the one point of the other axes at which they are measured."""

    models: tuple[str, ...]
    learning_rate: float
    epochs: int
    batch_norm: Literal["alive", "frozen"]
    seeds: tuple[int, ...]

    @property
    def axes(self) -> list[Axis]:
        """One for each network."""
        return [Axis(model, self.learning_rate, self.epochs, self.batch_norm) for model in self.models]


class MapSettings(Settings):
    """The file: what every cell shares, and the values along each axis."""

    data: str
    original: dict[str, Any]
    target: Target
    images: int
    tested: int
    seeds: tuple[int, ...]
    step: float = Field(gt=0)
    highest: float
    learning_rates: tuple[float, ...]
    epochs: tuple[int, ...]
    batch_norm: tuple[Literal["alive", "frozen"], ...]
    bisections: int
    usable: tuple[float, float]
    lost: float
    train: dict[str, Any]
    thief: dict[str, Any]
    widths: Widths

    @property
    def axes(self) -> dict[Axis, tuple[int, ...]]:
        """The points at which alpha rises, with the seeds of each."""
        model: str = self.original["model"]
        points = product(self.learning_rates, self.epochs, self.batch_norm)
        own: dict[Axis, tuple[int, ...]] = {Axis(model, *point): self.seeds for point in points}
        return own | dict.fromkeys(self.widths.axes, self.widths.seeds)


class Figures(Settings):
    """What a cell measured, on the test images; errors are shares. A training that diverged has none of it."""

    l1: float | None = None
    kl: float | None = None
    error: float | None = None
    plain_error: float | None = None
    changed: float | None = None


class Stolen(Settings):
    """What a thief got."""

    error: float
    disagreement: float


class TrainedCell(Recipe):
    """A training with DivQAT's loss on a part of the training images: `program.safetensors`."""

    type: Literal["map-training"] = "map-training"
    version: Literal[1] = 1
    original: TrainRecipe
    count: int
    alpha: float
    target: Target
    settings: QatSettings

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Train, or go on training."""
        program, _ = run_hardened(
            open_original(self.original, store, progress),
            parts(self.original.images, self.count).own,
            None,
            target=self.target,
            defence=Divqat(alpha=self.alpha),
            settings=self.settings,
            checkpoint=folder / CHECKPOINT,
            progress=progress,
        )
        program.save(folder / PROGRAM)
        (folder / CHECKPOINT).unlink(missing_ok=True)

    @property
    def beside(self) -> TrainedCell:
        """What it is measured beside: the plain training, or for the plain one itself that of another seed."""
        if self.alpha:
            return self.replace(alpha=0.0)
        train = self.settings.train
        return self.replace(settings=self.settings.replace(train=train.replace(seed=train.seed + 1)))


class MeasuredCell(Recipe):
    """The figures of a training beside another one."""

    type: Literal["map-figures"] = "map-figures"
    version: Literal[1] = 1
    cell: TrainedCell
    tested: int

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Measure on the first test images."""
        write_whole(folder / FIGURES, self._found(store, progress).model_dump_json(indent=2) + "\n")

    def _found(self, store: Store, progress: Progress) -> Figures:
        test = tested(self.cell.original.images, self.tested)
        try:
            own, plain = (answers(opened(one, store, progress), test) for one in (self.cell, self.cell.beside))
        except DivergedError:
            return Figures()
        original = answers(open_original(self.cell.original, store, progress), test)
        return Figures(
            l1=posterior_l1(own, plain).value,
            kl=posterior_kl(own, original).value,
            error=1 - accuracy(own, test.labels).value,
            plain_error=1 - accuracy(plain, test.labels).value,
            changed=1 - agreement(own, plain).value,
        )


class StolenCell(Recipe):
    """A theft of a training by questions from the images that it was not trained on."""

    type: Literal["map-theft"] = "map-theft"
    version: Literal[1] = 1
    cell: TrainedCell
    labels: Literal["soft", "hard"]
    tested: int
    thief: dict[str, Any]

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Steal, or go on stealing, and measure the clone."""
        victim, test = opened(self.cell, store, progress), tested(self.cell.original.images, self.tested)
        thief = {name: value for name, value in self.thief.items() if name != "queries"}
        oracle = extract.Oracle(victim, budget=self.thief["queries"])
        clone = extract.knockoff(
            oracle,
            parts(self.cell.original.images, self.cell.count).others,
            settings=extract.Knockoff(labels=self.labels, seed=self.cell.settings.train.seed + 100),
            checkpoint=folder / CHECKPOINT,
            progress=progress,
            device="cpu",
            **thief,
        )
        own, stolen = answers(victim, test), answers(clone.model, test)
        found = Stolen(error=1 - accuracy(stolen, test.labels).value, disagreement=1 - agreement(own, stolen).value)
        write_whole(folder / FIGURES, found.model_dump_json(indent=2) + "\n")
        (folder / CHECKPOINT).unlink(missing_ok=True)


class Optimum(Settings):
    """What the loss alone asks for: the mean l1 of its least value, for each alpha."""

    alphas: tuple[float, ...]
    l1: tuple[float, ...]


class OptimumStep(Recipe):
    """The least value of the loss in closed form, for an original's answers to the first test images."""

    type: Literal["map-optimum"] = "map-optimum"
    version: Literal[1] = 1
    original: TrainRecipe
    tested: int
    alphas: tuple[float, ...]

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Compute it; nothing is trained but the original."""
        test = tested(self.original.images, self.tested)
        original = answers(open_original(self.original, store, progress), test)
        l1 = tuple(optimum_l1(original, test.labels, alpha) for alpha in self.alphas)
        write_whole(folder / FIGURES, Optimum(alphas=self.alphas, l1=l1).model_dump_json(indent=2) + "\n")


class Row(NamedTuple):
    """A cell: where it stands, what was measured, and what thieves got."""

    axis: Axis
    alpha: float
    seed: int
    figures: Figures
    stolen: dict[str, Stolen]


class Parts(NamedTuple):
    """The training images that a cell is trained on, and the others."""

    own: ImageSet
    others: ImageSet


def parts(described: ImagesSettings, count: int) -> Parts:
    """Divide the training images, as the seed of the images decides."""
    train = open_splits(described).train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(described.seed))
    return Parts(train.select(order[:count]), train.select(order[count:]))


def tested(described: ImagesSettings, count: int) -> ImageSet:
    """Take the first test images."""
    return open_splits(described).test.select(torch.arange(count))


def opened(cell: TrainedCell, store: Store, progress: Progress) -> torch.nn.Module:
    """Open the twin of a cell's program."""
    return twin(Program.load(store.get(cell, progress) / PROGRAM))


def answers(model: torch.nn.Module, images: ImageSet) -> Tensor:
    """Compute the posteriors `[N,K]` of some images."""
    return twin_scores(model, images.images).softmax(1)


class Map:
    """The cells of a file, those that are finished in a store, and how to finish the others."""

    def __init__(self, settings: MapSettings, store: Store, *, works: bool) -> None:
        """With `works` what is missing is made; otherwise it is counted."""
        self.settings, self.store, self.works = settings, store, works
        self.images = resolve(ImagesSettings(source=settings.data, size=SIZE))
        self.classes = len(class_names(self.images))
        self.missing = 0

    def rows(self) -> Iterator[Row]:
        """Make the rows: each axis with its bisections for the first seed, then thieves and seeds where l1 is usable.

        A cell with thieves is told again.
        """
        axes = self.settings.axes
        usable: list[tuple[float, Axis]] = []
        for axis, seeds in axes.items():
            found: dict[float, Figures] = {}
            for alpha in self._tried(found):
                row = self._row(alpha, axis, seeds[0])
                if row is not None:
                    found[alpha] = row.figures
                    yield row
            floor = found[0.0].l1 if 0.0 in found else None
            usable += [(alpha, axis) for alpha, one in sorted(found.items()) if alpha and self._is_usable(one, floor)]
        for axis in dict.fromkeys(axis for _, axis in usable):
            for alpha in (0.0, *(alpha for alpha, other in usable if other == axis)):
                yield from filter(None, (self._row(alpha, axis, seed, thieves=True) for seed in axes[axis]))

    def optimum(self) -> Optimum | None:
        """Compute what the loss alone asks for, up to the highest alpha, for the first seed's original."""
        chosen = self.settings
        axis, seeds = next(iter(chosen.axes.items()))
        original = self._cell(0.0, axis, seeds[0]).original
        alphas = tuple(round(number * chosen.highest / CURVE, 6) for number in range(1, CURVE + 1))
        missing = self.missing
        found = self._read(OptimumStep(original=original, tested=chosen.tested, alphas=alphas), Optimum)
        self.missing = missing
        return found

    def _tried(self, found: dict[float, Figures]) -> Iterator[float]:
        """Give the alphas one by one up to the first that jumps, then the bisections, as was `found`."""
        alpha = 0.0
        while alpha <= self.settings.highest:
            yield alpha
            if alpha not in found or self._beyond(found):
                break
            alpha = round(alpha + self.settings.step, 4)
        for _ in range(self.settings.bisections):
            beyond = self._beyond(found)
            if not beyond:
                return
            first = min(beyond)
            middle = round((max(alpha for alpha in found if alpha < first) + first) / 2, 4)
            yield middle
            if middle not in found:
                return

    def _beyond(self, found: dict[float, Figures]) -> list[float]:
        """The alphas that move the answers by more than is usable, or whose training diverged."""
        _, high = self.settings.usable
        return [alpha for alpha, one in found.items() if alpha and (one.l1 is None or one.l1 > high)]

    def _is_usable(self, one: Figures, floor: float | None) -> bool:
        """Say whether a cell moves the answers enough, and more than another seed does, at a price."""
        low, high = self.settings.usable
        low = max(low, floor or 0.0)
        if one.l1 is None or one.error is None or one.plain_error is None:
            return False
        return low <= one.l1 <= high and one.error - one.plain_error < self.settings.lost

    def _row(self, alpha: float, axis: Axis, seed: int, *, thieves: bool = False) -> Row | None:
        cell = self._cell(alpha, axis, seed)
        figures = self._read(MeasuredCell(cell=cell, tested=self.settings.tested), Figures)
        if figures is None:
            return None
        stolen: dict[str, Stolen] = {}
        # A training that diverged left no model to steal from.
        for labels in LABELS if thieves and figures.l1 is not None else ():
            step = StolenCell(cell=cell, labels=labels, tested=self.settings.tested, thief=self.settings.thief)
            theft = self._read(step, Stolen)
            stolen |= {} if theft is None else {labels: theft}
        return Row(axis, alpha, seed, figures, stolen)

    def _cell(self, alpha: float, axis: Axis, seed: int) -> TrainedCell:
        """Describe a training."""
        chosen, (model, rate, epochs, batch_norm) = self.settings, axis
        described = self.images.replace(seed=seed)
        trained = {name: value for name, value in chosen.original.items() if name != "model"}
        network = zoo.Architecture(name=model, classes=self.classes, size=SIZE)
        train = TrainSettings(epochs=epochs, learning_rate=rate, seed=seed, device="cpu", **chosen.train)
        fields = {"train": train, "observe_epochs": max(1, epochs - 1), "batch_norm": batch_norm}
        return TrainedCell(
            original=TrainRecipe(
                images=described, architecture=network, init_seed=seed, settings=TrainSettings(seed=seed, **trained)
            ),
            count=chosen.images,
            alpha=alpha,
            target=chosen.target,
            settings=QatSettings.model_validate(fields),
        )

    def _read(self, step: Recipe, kind: type[Found]) -> Found | None:
        """Read what a step found, making it if that is allowed; None if it is missing."""
        if not self.works and not self.store.has(step):
            self.missing += 1
            return None
        return read_document(kind, self.store.get(step) / FIGURES)


def main() -> None:
    """Make the map, or collect what there is of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/studies/divqat/map"))
    parser.add_argument("--collect", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    document = Document(given.file, "map at", "see studies/divqat-map.yaml", RecipeError)
    settings = settings_of(read_yaml(document, "see studies/divqat-map.yaml"), MapSettings, document)
    whole = Map(settings, Store(given.store), works=not given.collect)
    rows: dict[tuple[Any, ...], Row] = {}
    for row in whole.rows():
        rows[(*row.axis, row.alpha, row.seed)] = row
        print(*row.axis, f"alpha {row.alpha:g} seed {row.seed}", row.figures, row.stolen, flush=True)
        write_rows(given.out, list(rows.values()))
    write_optimum(given.out, whole.optimum())
    write_page(given.out, whole.missing, settings.usable, settings.lost, 1 - 1 / whole.classes)


if __name__ == "__main__":
    main()
