"""What the cheapest step of the closing command would cost, measured on a sample."""

from __future__ import annotations

from typing import Final

from edgerift.audit import AuditRecipe, Policy, SuggestionPart
from edgerift.evade import Attack
from edgerift.harden import EvasionHardenRecipe, TrialRecipe
from edgerift.steps import Progress, Store

#: The most test images that are attacked for a suggestion.
_SAMPLE: Final = 100
_COVERAGE: Final[float] = EvasionHardenRecipe.model_fields["coverage"].default


def suggestion(recipe: AuditRecipe, policy: Policy, store: Store, progress: Progress) -> SuggestionPart:
    """Put a guard before the build that is audited, and attack a sample of the test images with it."""
    main = Attack() if recipe.main is None else recipe.attacks[recipe.main]
    wanted = _COVERAGE if policy.coverage is None else policy.coverage
    trial = TrialRecipe(
        original=recipe.pair.original,
        program=recipe.pair.program,
        build=recipe.pair.build,
        images=recipe.images,
        coverage=wanted,
        epsilons=(main.epsilon,),
        steps=max(main.steps, 1),
        split="test",
        count=_SAMPLE if recipe.count is None else min(recipe.count, _SAMPLE),
        draw=recipe.draw,
        abstaining=True,
        name="suggestion",
    ).open(store, progress)
    assert trial.guard is not None
    return SuggestionPart(
        wanted=wanted,
        guard=trial.guard,
        epsilon=main.epsilon,
        coverage=trial.coverage,
        accuracy=trial.accuracy,
        evasive=trial.furthest.evasive,
        abstained=trial.furthest.abstained,
    )
