"""A training with a defence that may diverge, and whether it did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from edgerift.adapt._hardened import HardenedRecipe
from edgerift.errors import DivergedError
from edgerift.settings import Settings
from edgerift.steps import Progress, Recipe, read_document, write_whole

if TYPE_CHECKING:
    from edgerift.steps import Store

ATTEMPT: Final = "attempt.json"


class Attempt(Settings):
    """Whether a training `diverged`: its loss or its weights did not stay finite, and there is no program.

    `reason` is the line that says where, empty otherwise.
    """

    diverged: bool
    reason: str = ""


class AttemptRecipe(Recipe):
    """Train with a defence, and write down whether the training diverged: `attempt.json`.

    The training is a step of its own in the store. What is compared over a range of strengths goes on without those
    that diverged.
    """

    type: Literal["attempt"] = "attempt"
    version: Literal[1] = 1
    hardened: HardenedRecipe

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List what the training starts from; the training itself is run by this step, as it may fail."""
        return self.hardened.needs(store)

    def asked(self, store: Store) -> tuple[Recipe, ...]:
        """List the training, if it is in the store."""
        return (self.hardened,) if store.has(self.hardened) else ()

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Train, if that is not done, and write the outcome into `folder`."""
        for needed in self.needs(store):
            # Where the original's own training diverges, this one did not.
            store.get(needed, progress)
        outcome = Attempt(diverged=False)
        try:
            store.get(self.hardened, progress)
        except DivergedError as error:
            outcome = Attempt(diverged=True, reason=str(error))
            progress("attempt", 1, 1, f"strength {self.hardened.defence.strength:g}: {error}")
        write_whole(folder / ATTEMPT, outcome.model_dump_json(indent=2) + "\n")

    def diverged(self, store: Store, progress: Progress) -> bool:
        """Read the outcome; train if it is missing. Raises `StoreError` for a damaged file."""
        return read_document(Attempt, store.get(self, progress) / ATTEMPT).diverged
