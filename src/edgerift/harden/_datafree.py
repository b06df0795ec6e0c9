"""Victims of one original, each stolen without images, and what tells training from rounding."""

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
    """Steal victims of one original without images: `data-free.json`.

    A float victim answers float images, as in the publications; a build answers whole grey levels. Attacks that take
    finite differences are run on builds at each of the `epsilons` as well. With `controls` they also attack a float
    victim through whole grey levels, and a build's weights in float without rounding: between them these tell what
    training protects from what rounding hides. Each has `budget` questions. Every theft is a step of its own in the
    store.
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
        """List the victims, the searches and, of each variant whose searches are finished, the thefts."""
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
        """Describe the thefts of a variant, each with the control that it is."""
        is_build = isinstance(variant.victim, BuildRecipe)
        for attack in self.attacks:
            for varied in self._varied(attack) if is_build else (attack,):
                yield None, self._theft(variant, varied, pixels="whole" if is_build else "float")
            # There is nothing to tell from rounding where no differences are taken.
            if not self.controls or attack.differences is None:
                continue
            if is_build:
                yield "simulated", self._theft(variant, attack, pixels="float", simulated=True)
            else:
                yield "whole pixels", self._theft(variant, attack, pixels="whole")

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Make, search and steal what is not finished, and write all thefts into `folder`."""
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
        """Read the thefts, made when missing."""
        return read_document(DataFreeComparison, store.get(self, progress) / DATA_FREE)

    def _varied(self, attack: DataFree) -> Iterator[DataFree]:
        """The attack as it is, and with every other epsilon where it takes differences."""
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
            # A thief of labels alone cannot see a defence that keeps every label: that theft is the undefended one's.
            defences=() if sees_labels_alone and variant.keeps_labels else variant.defences,
            images=self.victims.images,
            budget=self.budget,
            attack=attack,
            pixels=pixels,
            simulated=simulated,
            points=self.points,
        )
