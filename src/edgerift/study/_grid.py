"""From a study to its cells: the recipes whose results its tables and figures are made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from edgerift import zoo
from edgerift.adapt import AdaptRecipe, CompressRecipe, FinetuneRecipe, adaptation
from edgerift.audit import SurrogateRecipe
from edgerift.deploy import BuildRecipe, Target, default_runtime
from edgerift.errors import InputError, RecipeError
from edgerift.evade import PairSettings
from edgerift.extract import COLLAGES, HELD_BACK, QUERY_SETS, ExtractRecipe, QuerySettings
from edgerift.harden import VARIANTS, DataFreeHardenRecipe, HardenRecipe, VariantName
from edgerift.images import ImagesSettings
from edgerift.settings import Problem, is_folder
from edgerift.study._attack_choice import AttackChoice
from edgerift.study._pairs import PairRecipe
from edgerift.study._settings import DataChoice, NetworkChoice, Study
from edgerift.study._sources import Sources
from edgerift.train import TrainRecipe

#: How the kind of the cells that are data-free extractions begins; the attack's name follows.
DATA_FREE: Final = "data-free"

#: Says where in a file a value stands, as errors begin.
Where: TypeAlias = Callable[[tuple[str | int, ...]], str]


@dataclass(frozen=True)
class Cell:
    """One point of the grid: where it stands, and the recipe of its result."""

    data: str
    original: str
    seed: int
    kind: str
    recipe: PairRecipe | HardenRecipe | DataFreeHardenRecipe

    @property
    def images(self) -> ImagesSettings:
        """The images that it is about."""
        recipe = self.recipe
        return recipe.victims.images if isinstance(recipe, DataFreeHardenRecipe) else recipe.images

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.data}, {self.original}, {self.kind}, seed {self.seed}"


def _nowhere(_: tuple[str | int, ...]) -> str:
    """Say nothing of a study that is in no file."""
    return ""


def make_cells(study: Study, data_root: Path | None = None, where: Where = _nowhere) -> tuple[Cell, ...]:
    """Make every cell of a study; the data root is set for what follows. Errors begin with what `where` says.

    Raises :class:`~edgerift.errors.DataError` for images that are missing or damaged, and
    :class:`~edgerift.errors.InputError` for a class to be pictured that they do not have.
    """
    if data_root is not None:
        if not is_folder(data_root):
            raise InputError(f"the data root {data_root} is not a folder; give one that holds the image sets")
        os.environ["EDGERIFT_DATA"] = str(data_root)
    sources = Sources()
    return tuple(cell for seed in study.seeds for cell in _Seed(study, seed, sources, where).cells())


class _Seed:
    """The cells of one seed."""

    def __init__(self, study: Study, seed: int, sources: Sources, where: Where) -> None:
        self._study, self._seed, self._sources, self._where = study, seed, sources, where

    def cells(self) -> Iterator[Cell]:
        study, seed = self._study, self._seed
        for data_name, data in study.data.items():
            size = data.size or study.size
            with self._about("data", data_name, *([] if data.source is None else ["source"])):
                described = self._sources.describe(data.source or data_name, size, seed, data.labels)
                classes = self._sources.classes(described)
            self._require_classes(data_name, classes)
            for name, network in study.originals.items():
                original = self._original(described, data, network)
                if study.evasion is not None:
                    for adapted in study.evasion.adaptations:
                        recipe = self._pair(original, described, data_name, data, network, adapted)
                        yield Cell(data_name, name, seed, adapted, recipe)
                if study.theft is not None:
                    for target in study.theft.targets:
                        theft = self._theft(original, described, data_name, data, network, target)
                        yield Cell(data_name, name, seed, target, theft)
                        if target == study.theft.targets[0] and self._is_data_free(data_name):
                            for stealing in self._data_free(theft):
                                kind = f"{DATA_FREE} {stealing.attacks[0].name}"
                                yield Cell(data_name, name, seed, kind, stealing)

    def _require_classes(self, data_name: str, classes: int) -> None:
        for place, number in enumerate(() if self._study.evasion is None else self._study.evasion.classes):
            if number >= classes:
                with self._about("evasion", "classes", place):
                    raise InputError(f"there is no class {number}; data set '{data_name}' has 0 to {classes - 1}")

    def _original(self, described: ImagesSettings, data: DataChoice, network: NetworkChoice) -> TrainRecipe:
        assert described.size is not None
        architecture = zoo.Architecture(
            name=network.model,
            classes=self._sources.classes(described),
            size=described.size,
            stem=network.stem,
            pretrained=network.pretrained,
        )
        settings = self._study.training(data, network, self._seed)
        return TrainRecipe(images=described, architecture=architecture, settings=settings, init_seed=self._seed)

    def _pair(
        self,
        original: TrainRecipe,
        described: ImagesSettings,
        data_name: str,
        data: DataChoice,
        network: NetworkChoice,
        adapted: str,
    ) -> PairRecipe:
        plan = self._study.evasion
        assert plan is not None
        made, settings = adaptation(adapted), self._study.adapting(data, network, self._seed)
        compression = None
        if made.compression is not None:
            compression = self._study.compressing(made.compression, data, network, self._seed)
        program = AdaptRecipe(
            original=original,
            images=described,
            method=made.method or "qat",
            target=plan.target,
            settings=settings,
            # Where nothing is quantized the program is not opened, and is that of every float model.
            compression=None if made.method is None else compression,
        )
        control: FinetuneRecipe | CompressRecipe | None = None
        if made.method is None and compression is not None:
            control = CompressRecipe(original=original, images=described, compression=compression)
        elif made.method is None:
            control = FinetuneRecipe(original=original, images=described, settings=settings.train)
        build = BuildRecipe(program=program, runtime=plan.runtime or default_runtime(plan.target))
        pictured = self._seed == self._study.seeds[0] and adapted in plan.pictured
        attacks = {name: choice for name, choice in plan.attacks.items() if choice.is_on(adapted)}
        lacking = {name: choice for name, choice in attacks.items() if choice.knows != "both"}
        return PairRecipe(
            pair=PairSettings(original=original, program=program, build=build, control=control),
            images=described,
            attacks={name: choice.attack.replace(seed=self._seed) for name, choice in attacks.items()},
            surrogates=self._surrogates(lacking, build, described, data_name, data) if lacking else {},
            count=network.count or plan.count,
            draw=self._seed,
            split=plan.split,
            pictured=plan.shown if pictured else None,
            classes=plan.classes if pictured else (),
            flips=None if control is not None else self._study.flipping(self._seed),
            differ=None if control is not None else self._study.differing(self._seed),
            **({"points": plan.points} if pictured and plan.points is not None else {}),
            shard=plan.shard,
        )

    def _surrogates(
        self,
        lacking: dict[str, AttackChoice],
        build: BuildRecipe,
        described: ImagesSettings,
        data_name: str,
        data: DataChoice,
    ) -> dict[str, SurrogateRecipe]:
        """Describe what steers the attackers who lack a model, all from the same answers of the build."""
        plan = self._study.evasion
        assert plan is not None
        assert plan.surrogate is not None
        source = plan.surrogate.queries or QUERY_SETS.get(data.source or data_name, COLLAGES)
        stealing = ExtractRecipe(
            victim=build,
            images=described,
            queries=self._queries(described, source, plan.surrogate.budget, ("evasion", "surrogate", "queries")),
            budget=plan.surrogate.budget,
            attack=self._study.imitating(data, self._seed),
        )
        return {
            name: SurrogateRecipe(extract=stealing, knows=choice.knows, target=plan.target)
            for name, choice in lacking.items()
        }

    def _theft(
        self,
        original: TrainRecipe,
        described: ImagesSettings,
        data_name: str,
        data: DataChoice,
        network: NetworkChoice,
        target: Target,
    ) -> HardenRecipe:
        plan = self._study.theft
        assert plan is not None
        first = target == plan.targets[0]
        alphas = plan.alphas if data.alphas is None else data.alphas
        students = plan.students if data.students is None else data.students
        rows = plan.other_rows if not first else plan.rows if data.rows is None else data.rows
        recipe = HardenRecipe(
            original=original,
            images=described,
            target=target,
            runtime=default_runtime(target),
            settings=self._study.adapting(data, network, self._seed),
            allowance=plan.allowance,
            # In a table's order and in rising order, as the command line has them: the same comparison is made once.
            rows=tuple(name for name in VARIANTS.names() if name in rows),
            alphas=tuple(sorted(alphas)) if first else (),
            answers=tuple((name, tuple(fields.items())) for name, fields in data.answers.items()),
            students=students if first else (),
            queries=self._queries(
                described,
                data.queries or QUERY_SETS.get(data.source or data_name, COLLAGES),
                data.budget or plan.budget,
                ("data", data_name, "queries"),
            ),
            budget=data.budget or plan.budget,
            attack=self._study.stealing(data, self._seed),
        )
        with self._about("theft", "allowance"):
            # A search that cannot be made is told before the hours that what it needs takes.
            for name in recipe.compared:
                _require_search(recipe, name)
        return recipe

    def _is_data_free(self, data_name: str) -> bool:
        assert self._study.theft is not None
        plan = self._study.theft.data_free
        return (
            plan is not None
            and data_name in (plan.data or self._study.data)
            and self._seed in (plan.seeds or self._study.seeds)
        )

    def _data_free(self, theft: HardenRecipe) -> Iterator[DataFreeHardenRecipe]:
        """Describe the extractions by each attack, so that one that fails takes no other with it."""
        assert self._study.theft is not None
        plan = self._study.theft.data_free
        assert plan is not None
        for attack in plan.thieves(self._seed):
            yield DataFreeHardenRecipe(
                victims=theft.victims,
                rows=tuple(name for name in VARIANTS.names() if name in plan.rows),
                attacks=(attack,),
                epsilons=tuple(sorted(plan.epsilons)),
                controls=plan.controls,
                budget=plan.budgets.get(attack.name, plan.budget),
                points=plan.points,
            )

    def _queries(self, described: ImagesSettings, source: str, budget: int, place: tuple[str, ...]) -> QuerySettings:
        if source == COLLAGES:
            return QuerySettings(images=described, collages=budget, seed=self._seed)
        assert described.size is not None
        with self._about(*place):
            asked = self._sources.describe(source, described.size, described.seed, validation_fraction=HELD_BACK)
        return QuerySettings(images=asked, seed=self._seed)

    @contextmanager
    def _about(self, *place: str | int) -> Iterator[None]:
        """Say of an error which value of the study it is about, and where that stands."""
        try:
            yield
        except InputError as error:
            raise type(error)(self._where(place) + Problem(place, place, f": {error}").text) from None


def _require_search(recipe: HardenRecipe, name: VariantName) -> None:
    """Raise `RecipeError` for an allowance that leaves a variant nothing to search in, as some end lower."""
    try:
        recipe.victims.choosing(name)
    except RecipeError as error:
        raise RecipeError(
            f"variant '{name}' cannot be searched for: {str(error).removeprefix('Allowance: ')}"
        ) from None
