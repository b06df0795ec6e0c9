"""What an attacker makes who lacks the original, or both models: surrogates, from the build's answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from edgerift import zoo
from edgerift.adapt import ptq
from edgerift.audit._document_evasion import SurrogatePart
from edgerift.deploy import Target, twin_scores
from edgerift.evade import SURROGATE_ORIGINAL, SURROGATE_PROGRAM
from edgerift.extract import ExtractRecipe
from edgerift.images import ImageSet, open_splits
from edgerift.measure import Rate, interval
from edgerift.steps import Progress, Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from edgerift.steps import Store

#: What an attacker has besides queries: the build's file, or nothing.
Knowledge: TypeAlias = Literal["build", "answers"]


class SurrogateRecipe(Recipe):
    """Make the models that steer an attacker who has not got the true ones.

    A clone that was trained on the build's answers stands for the original. An attacker who `knows` the `build` takes
    gradients from its twin; one who only gets `answers` quantizes the clone too, on the images of the queries. The
    files are `original.safetensors` and, for the second, `program.safetensors`.
    """

    type: Literal["surrogate"] = "surrogate"
    version: Literal[1] = 1
    extract: ExtractRecipe
    knows: Knowledge
    target: Target = "mobile"

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the extraction."""
        return (self.extract,)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Extract, quantize where the build is not known, and write the models into `folder`."""
        clone = zoo.load(store.get(self.extract, progress) / "clone.safetensors", trust=True)
        zoo.save(clone, folder / SURROGATE_ORIGINAL)
        if self.knows == "answers":
            queries = self.extract.queries.open()
            classes = open_splits(self.extract.images).test.classes
            # Calibration reads no labels, and those of the queries may be of other classes.
            blank = ImageSet(queries.name, queries.images, queries.labels * 0, classes, queries.fingerprint)
            ptq(clone, blank, target=self.target, progress=progress).save(folder / SURROGATE_PROGRAM)


def surrogate_part(
    made: SurrogateRecipe, images: Tensor, original: Tensor, store: Store, progress: Progress
) -> SurrogatePart:
    """Measure surrogates on uint8 test images `[N,C,H,W]`, to which the original answers logits `[N,K]`."""
    theft = made.extract.theft(store, progress)
    clone = zoo.load(store.get(made, progress) / SURROGATE_ORIGINAL, trust=True)
    same = twin_scores(clone, images).argmax(1) == original.argmax(1)
    apart = theft.disagreement
    return SurrogatePart(
        knows=made.knows,
        queries=theft.spent,
        agreement=interval(Rate(apart.trials - apart.successes, apart.trials)),
        agreement_original=interval(Rate(int(same.sum()), len(same))),
    )
