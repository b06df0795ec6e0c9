"""The last layer in float, as a step that the store keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edgerift.adapt._hardened import HardenedRecipe
from edgerift.adapt._recipe import PROGRAM, AdaptRecipe
from edgerift.deploy import Program, float_logits
from edgerift.images import ImagesSettings
from edgerift.steps import Progress, Recipe

if TYPE_CHECKING:
    from edgerift.steps import Store


class FloatLogitsRecipe(Recipe):
    """Take the last layer of an adapted original out of the integers: `program.safetensors`, see `float_logits`."""

    type: Literal["float-logits"] = "float-logits"
    version: Literal[1] = 1
    program: Annotated[AdaptRecipe | HardenedRecipe, Field(discriminator="type")]

    @property
    def images(self) -> ImagesSettings:
        """The images that the program was adapted on."""
        return self.program.images

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the program."""
        return (self.program,)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Rewrite the program into `folder`."""
        float_logits(Program.load(store.get(self.program, progress) / PROGRAM)).save(folder / PROGRAM)
