"""What the cheapest step of the closing command would cost, measured on a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edgerift import audit, evade, harden

if TYPE_CHECKING:
    from edgerift.audit import AuditRecipe, Policy, SuggestionPart
    from edgerift.steps import Progress, Store

#: The most test images that are attacked for a suggestion.
_SAMPLE: Final = 100


def suggestion(recipe: AuditRecipe, policy: Policy, store: Store, progress: Progress) -> SuggestionPart:
    """Put a guard before the build that is audited, and attack a sample of the test images with it."""
    main = evade.Attack() if recipe.main is None else recipe.attacks[recipe.main]
    wanted = harden.DEFAULT_COVERAGE if policy.coverage is None else policy.coverage
    trial = harden.TrialRecipe(
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
    return audit.SuggestionPart(
        wanted=wanted,
        guard=trial.guard,
        epsilon=main.epsilon,
        coverage=trial.coverage,
        accuracy=trial.accuracy,
        evasive=trial.furthest.evasive,
        abstained=trial.furthest.abstained,
    )
