"""A fleet: the audited build and others of the same original, attacked together and against each other."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from edgerift.audit._document_fleet import DisagreementPart, FleetPart, MemberPart, disagreement_name
from edgerift.audit._evidence import findings, write_evidence
from edgerift.audit._opened import Opened
from edgerift.audit._stages import Stages
from edgerift.deploy import BuildRecipe, GivenBuild, opened_build
from edgerift.evade import EvadeRecipe, Evasion, SelectRecipe
from edgerift.measure import Rate, accuracy, interval
from edgerift.specification import Specification
from edgerift.steps import Recipe, silent

if TYPE_CHECKING:
    from edgerift.steps import Store


class FleetSearches(NamedTuple):
    """The searches of a fleet, on the images that the original and every build label correctly.

    `members` says how each pair of original and build answers all test images, the audited one first. `everywhere` has
    to fool all builds at once; `pairs`, by the names of two runtimes, the second while the first stays right.
    """

    members: tuple[SelectRecipe, ...]
    everywhere: EvadeRecipe
    pairs: Mapping[tuple[str, str], EvadeRecipe]

    @property
    def needed(self) -> tuple[Recipe, ...]:
        """The steps that all of this takes."""
        searches = (self.everywhere, *self.pairs.values())
        return (*self.members, *(search.selecting for search in searches), *searches)


def fleet_searches(main: EvadeRecipe, others: tuple[BuildRecipe | GivenBuild, ...]) -> FleetSearches:
    """Describe the searches of a fleet by the audit's main attack; an image is done at its first success."""
    pair, builds = main.pair, (main.pair.build, *others)
    pairs = tuple(pair.replace(build=build) for build in builds)
    common = main.replace(attack=main.attack.replace(stop="goal"), also=pairs)
    return FleetSearches(
        tuple(SelectRecipe(pair=one, images=main.images) for one in pairs),
        common.replace(pair=pair.replace(others=others), name="all builds"),
        {
            (right.runtime, wrong.runtime): common.replace(
                pair=pair.replace(build=wrong, right=right), name=f"{right.runtime} right, {wrong.runtime} wrong"
            )
            for right, wrong in itertools.permutations(builds, 2)
        },
    )


def fleet_part(searches: FleetSearches, opened: Opened, stages: Stages) -> FleetPart:
    """Run every search of a fleet."""

    def run(search: EvadeRecipe) -> Evasion:
        return stages.timed(f"fleet {search.name}", functools.partial(search.open, opened.store, opened.progress))

    everywhere = run(searches.everywhere)
    found = {names: run(search) for names, search in searches.pairs.items()}
    answers = [member.open(opened.store, opened.progress)[1] for member in searches.members]
    labels = torch.stack([scores.argmax(1) for scores in answers])
    apart = torch.stack([one.evasive for one in found.values()]).any(0)
    members = _members(searches, opened)
    rights = {one.runtime: row == opened.test.labels for one, row in zip(members, labels, strict=True)}
    return FleetPart(
        attack=searches.everywhere.attack,
        members=members,
        attacked=len(everywhere),
        clean_apart=interval(Rate(int((labels != labels[0]).any(0).sum()), labels.shape[1])),
        apart=interval(Rate(int(apart.sum()), len(apart))),
        evasive_on_all=interval(everywhere.rate),
        pairs=tuple(
            DisagreementPart(
                right=right,
                wrong=wrong,
                clean=interval(Rate(int((rights[right] & ~rights[wrong]).sum()), labels.shape[1])),
                evasive=interval(one.rate),
                void=int(one.void.sum()),
            )
            for (right, wrong), one in found.items()
        ),
        findings=tuple(part for names, one in found.items() for part in findings(one, disagreement_name(*names))),
    )


def _members(searches: FleetSearches, opened: Opened) -> tuple[MemberPart, ...]:
    parts = []
    for member in searches.members:
        build = opened_build(member.pair.build, opened.store, opened.progress)
        _, scores = member.open(opened.store, opened.progress)
        parts.append(
            MemberPart(
                fingerprint=build.fingerprint().replace(guard=opened.pair.guard),
                accuracy=interval(accuracy(scores, opened.test.labels)),
            )
        )
    return tuple(parts)


def write_fleet(
    folder: Path,
    searches: FleetSearches,
    part: FleetPart,
    store: Store,
    *,
    version: str,
    build: str,
    specification: Specification,
) -> None:
    """Write the evidence of a fleet whose one file is `build` into an audit's folder."""
    known = {member.runtime: member.fingerprint for member in part.members}
    for (right, wrong), search in searches.pairs.items():
        name = disagreement_name(right, wrong)
        write_evidence(
            folder,
            search.open(store, silent),
            tuple(finding for finding in part.findings if finding.attack == name),
            version=version,
            original=build,
            build=build,
            fingerprint=known[wrong],
            original_sha256=known[right].sha256,
            specification=specification,
            original_fingerprint=known[right],
        )
