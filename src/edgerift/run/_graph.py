"""The steps that a study still needs: finished, ready and waiting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias, final

from edgerift.errors import EdgeriftError, StoreError
from edgerift.steps import Recipe

if TYPE_CHECKING:
    from edgerift.steps import Store

#: What names a step: the type of its recipe and its digest, as the store names the result.
Key: TypeAlias = str


def key_of(recipe: Recipe) -> Key:
    """Name a step."""
    return f"{recipe.type}-{recipe.digest()}"


@final
class Graph:
    """The unfinished steps below some goals, each once, found by querying the store.

    The dependencies of a finished step are not examined. A step that can name more dependencies once other results
    exist is examined again when those it named before are finished, so the graph grows while a study runs. A step whose
    dependencies cannot be determined, or whose result is damaged, waits for nothing: it fails for that reason, and on
    its own, when it runs.
    """

    def __init__(self, goals: Iterable[Recipe], store: Store) -> None:
        self._store = store
        self._recipes: dict[Key, Recipe] = {}
        self._waits_for: dict[Key, set[Key]] = {}
        self._needed_by: dict[Key, set[Key]] = {}
        self._needs: dict[Key, tuple[Key, ...]] = {}
        self._finished: dict[Key, Recipe] = {}
        self._failed: set[Key] = set()
        self._damaged: set[Key] = set()
        self._known: dict[int, tuple[Recipe, Key]] = {}
        self._explore(self._add(goals)[1][::-1])

    @property
    def missing(self) -> dict[Key, Recipe]:
        """The steps that are not finished, in the order in which they were found; failed ones among them."""
        return self._recipes

    @property
    def finished(self) -> dict[Key, Recipe]:
        """The steps that were found finished, or finished since; dependencies of a finished one are not included."""
        return self._finished

    @property
    def failed(self) -> set[Key]:
        """The steps that failed."""
        return self._failed

    def ready(self) -> list[Key]:
        """List the steps that can run now: their dependencies are finished, and they did not fail."""
        return [key for key, waits in self._waits_for.items() if not waits and key not in self._failed]

    def waits_for(self, key: Key) -> set[Key]:
        """Name the unfinished steps that one waits for directly."""
        return self._waits_for[key]

    def needed_by(self, key: Key) -> set[Key]:
        """Name the steps that wait for one directly."""
        return self._needed_by.get(key, set())

    def needs(self, key: Key) -> tuple[Key, ...]:
        """Name the direct dependencies of a step, finished or not; of a finished one only after `look_below`."""
        return self._needs.get(key, ())

    def look_below(self) -> None:
        """Examine the dependencies of finished steps too, which doubles the cost and adds no work to do.

        A missing dependency of a finished step is not needed, and left out.
        """
        open_steps = list(self._finished)
        while open_steps:
            key = open_steps.pop()
            below = [(self.key(recipe), recipe) for recipe in self._named_by(key, self._finished[key])]
            for step, recipe in below:
                if step not in self._finished and step not in self._recipes and self._is_there(recipe):
                    self._finished[step] = recipe
                    open_steps.append(step)
            self._needs[key] = tuple(dict.fromkeys(step for step, _ in below if step in self._finished))

    def blocked(self) -> dict[Key, Key]:
        """Map each step that can never run to the failed one that blocks it, directly or not."""
        found: dict[Key, Key] = {}
        open_steps = [(key, key) for key in sorted(self._failed)]
        while open_steps:
            key, cause = open_steps.pop()
            for above in sorted(self._needed_by.get(key, ())):
                if above not in found and above not in self._failed:
                    found[above] = cause
                    open_steps.append((above, cause))
        return found

    def finish(self, key: Key) -> None:
        """Mark a step as finished; those that waited for it alone are examined for further dependencies."""
        self._finished[key] = self._recipes.pop(key)
        self._waits_for.pop(key)
        self._failed.discard(key)
        for above in sorted(self._needed_by.pop(key, ())):
            self._waits_for[above].discard(key)
            if not self._waits_for[above]:
                self._explore([above])

    def fail(self, key: Key) -> None:
        """Mark a step as failed."""
        self._failed.add(key)

    def key(self, recipe: Recipe) -> Key:
        """Name a step as `key_of` does, cached by object."""
        # The same recipe object is used in many places, and its digest costs more than this lookup. It is kept with its
        # key, so that no other object ever has its id.
        known = self._known.get(id(recipe))
        if known is None:
            known = self._known[id(recipe)] = (recipe, key_of(recipe))
        return known[1]

    def _explore(self, open_steps: list[Key]) -> None:
        """Add the dependencies of steps, transitively; not by recursion, because chains may be long."""
        while open_steps:
            key = open_steps.pop()
            named = self._named_by(key, self._recipes[key])
            self._needs[key] = tuple(dict.fromkeys(self.key(recipe) for recipe in named))
            waits, found = self._add(named)
            self._waits_for[key] = waits
            for step in waits:
                self._needed_by.setdefault(step, set()).add(key)
            open_steps += reversed(found)

    def _named_by(self, key: Key, recipe: Recipe) -> tuple[Recipe, ...]:
        try:
            return () if key in self._damaged else recipe.needs(self._store)
        except EdgeriftError:
            # It raises the same error when it runs, where a study reports errors and continues.
            return ()

    def _is_finished(self, key: Key, recipe: Recipe) -> bool:
        try:
            return self._store.has(recipe)
        except StoreError:
            self._damaged.add(key)
            return False

    def _is_there(self, recipe: Recipe) -> bool:
        try:
            return self._store.has(recipe)
        except StoreError:
            return False

    def _add(self, recipes: Iterable[Recipe]) -> tuple[set[Key], list[Key]]:
        """Return the unfinished steps, and those of them that are new."""
        unfinished: set[Key] = set()
        found: list[Key] = []
        for recipe in recipes:
            key = self.key(recipe)
            if key not in self._recipes and key not in self._finished:
                if self._is_finished(key, recipe):
                    self._finished[key] = recipe
                else:
                    self._recipes[key] = recipe
                    found.append(key)
            if key in self._recipes:
                unfinished.add(key)
        return unfinished, found
