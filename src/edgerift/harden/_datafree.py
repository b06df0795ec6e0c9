"""Data-free extraction from victims of one original, with controls that separate training from rounding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, PositiveFloat

from edgerift.deploy import BuildRecipe
from edgerift.extract import DataFree, DataFreeRecipe
from edgerift.harden._datafree_document import DataFreeComparison, DataFreeEntry
from edgerift.harden._variant import VARIANTS, VariantName
from edgerift.harden._variants import MadeVariant, VariantMaker
from edgerift.settings import Count, Parts
from edgerift.steps import Progress, Recipe, read_document, silent, write_whole

if TYPE_CHECKING:
    from edgerift.steps import Store

DATA_FREE: Final = "data-free.json"


class DataFreeHardenRecipe(Recipe):
    """Extract victims of one original without images: `data-free.json`.

    A float victim answers float images, as in the publications; a build answers whole grey levels. Attacks that take
    finite differences are run on builds at each of the `epsilons` as well. With `controls` they also attack a float
    victim through whole grey levels, and a build's weights in float without rounding: the two separate the protection
    due to training from the gradient masking due to rounding. Each has a budget of `budget` queries. Every attack is
    a step of its own in the store.
    """

    type: Literal["data-free-harden"] = "data-free-harden"
    version: Literal[1] = 1
    victims: VariantMaker
    rows: tuple[VariantName, ...] = ("large", "qat", "divqat")
    attacks: tuple[DataFree, ...] = Field(min_length=1)
    epsilons: tuple[PositiveFloat, ...] = ()
    controls: bool = True
    budget: Count = 20_000_000
    points: Parts = 20

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the victims, the searches and the attacks on each variant whose searches are finished."""
        found: list[Recipe] = [self.victims.original]
        for name in self.compared:
            choosing = self.victims.choosing(name)
            found += (self.victims.victim(name), *choosing)
            if all(store.has(step) for step in choosing):
                found += (theft for _, theft in self.thefts(self.victims.made(name, store, silent)))
        return tuple(found)

    @property
    def compared(self) -> tuple[VariantName, ...]:
        """The variants in a table's order."""
        return tuple(name for name in VARIANTS.names() if name in self.rows)

    def thefts(
        self, variant: MadeVariant
    ) -> Iterator[tuple[Literal["whole pixels", "simulated"] | None, DataFreeRecipe]]:
        """Describe the attacks on a variant; each comes with its control, None if it is not one."""
        is_build = isinstance(variant.victim, BuildRecipe)
        for attack in self.attacks:
            for varied in self._varied(attack) if is_build else (attack,):
                yield None, self._theft(variant, varied, pixels="whole" if is_build else "float")
            # Without finite differences, rounding hides nothing.
            if not self.controls or attack.differences is None:
                continue
            if is_build:
                yield "simulated", self._theft(variant, attack, pixels="float", simulated=True)
            else:
                yield "whole pixels", self._theft(variant, attack, pixels="whole")

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Run the missing trainings, searches and attacks, and write all results into `folder`."""
        entries = []
        for name in self.compared:
            for control, recipe in self.thefts(self.victims.made(name, store, progress)):
                differences = recipe.attack.differences
                entries.append(
                    DataFreeEntry(
                        victim=name,
                        attack=recipe.attack.name,
                        epsilon=None if differences is None else differences.epsilon,
                        control=control,
                        theft=recipe.theft(store, progress),
                    )
                )
        write_whole(folder / DATA_FREE, DataFreeComparison(entries=tuple(entries)).model_dump_json(indent=2) + "\n")

    def open(self, store: Store, progress: Progress) -> DataFreeComparison:
        """Read the results; run the attacks that are missing."""
        return read_document(DataFreeComparison, store.get(self, progress) / DATA_FREE)

    def _varied(self, attack: DataFree) -> Iterator[DataFree]:
        """The attack itself, then with every other epsilon if it uses finite differences."""
        yield attack
        if attack.differences is None:
            return
        for epsilon in sorted(set(self.epsilons) - {attack.differences.epsilon}):
            yield attack.replace(differences=attack.differences.replace(epsilon=epsilon))

    def _theft(
        self, variant: MadeVariant, attack: DataFree, *, pixels: Literal["whole", "float"], simulated: bool = False
    ) -> DataFreeRecipe:
        sees_labels_alone = attack.loss == "cross-entropy"
        return DataFreeRecipe(
            victim=variant.victim,
            # With hard labels, a defence that keeps every label is invisible: the attack equals the undefended one.
            defences=() if sees_labels_alone and variant.keeps_labels else variant.defences,
            images=self.victims.images,
            budget=self.budget,
            attack=attack,
            pixels=pixels,
            simulated=simulated,
            points=self.points,
        )
