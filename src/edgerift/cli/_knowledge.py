"""The options about what an attacker knows, and the surrogates of one who lacks a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from edgerift import audit, deploy, evade, images
from edgerift.cli._fields import Shown
from edgerift.cli._pipeline import network_name
from edgerift.cli._theft import query_settings, question_budget, thief
from edgerift.errors import InputError
from edgerift.settings import Count, Settings

if TYPE_CHECKING:
    from edgerift.cli._audit import AuditCommand


class KnowledgeOptions(Settings):
    """What an attacker knows besides the white box, which knows both models."""

    knows: Annotated[tuple[Literal["both", "build", "answers"], ...], Shown(default="both")] = ()
    """what the attacker knows: both models always, and also only the build, or only its answers, with surrogates
    for the rest; repeatable"""
    surrogate_queries: Annotated[Count | None, Shown(default="those of the theft")] = None
    """number of queries that such an attacker may send to the build"""


def surrogate_recipes(
    given: AuditCommand, pair: evade.PairSettings, described: images.ImagesSettings
) -> dict[str, Any]:
    """Describe the surrogates of each attacker of an audit, from the same answers of the build."""
    options, seed, device = given.knowing, given.training.seed, given.training.device
    lacking = [name for name in dict.fromkeys(options.knows) if name != "both"]
    if not lacking:
        if options.surrogate_queries is not None:
            raise InputError("--surrogate-queries is for --knows build or --knows answers; give one, or leave it out")
        return {}
    asking = given.stealing
    if options.surrogate_queries is not None:
        asking = asking.replace(budget=options.surrogate_queries)
    theft = audit.TheftSettings(
        queries=query_settings(asking, described, seed=seed),
        budget=question_budget(asking, described),
        attack=thief(asking, described, network_name(pair.original), seed=seed, device=device),
    )
    extraction = audit.AuditRecipe.stealing_from(pair.build, described, theft)
    target = deploy.RUNTIMES[pair.build.runtime].targets[0]
    return {name: audit.SurrogateRecipe(extract=extraction, knows=name, target=target) for name in lacking}
