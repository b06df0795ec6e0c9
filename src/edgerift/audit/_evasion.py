"""The threat of evasion: every attack, check and explanation, stage by stage."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, final

from edgerift.adapt import FinetuneRecipe
from edgerift.audit._checks import check_all
from edgerift.audit._document_evasion import (
    ControlPart,
    EmbeddingPart,
    EvasionPart,
    FidelityPart,
    KnowledgePart,
    LayerPart,
)
from edgerift.audit._document_pair import FlagPart
from edgerift.audit._evidence import findings
from edgerift.audit._fleet import FleetSearches, fleet_part
from edgerift.audit._measures import attack_part, comparison
from edgerift.audit._opened import Opened
from edgerift.audit._reasons import embedding_parts, layer_parts
from edgerift.audit._stages import Stages
from edgerift.audit._surrogate import Knowledge, SurrogateRecipe, surrogate_part
from edgerift.deploy import fidelity
from edgerift.evade import EvadeRecipe, Evasion
from edgerift.measure import Interval, fisher, interval, quadrants
from edgerift.settings import Settings


class Searches(NamedTuple):
    """The attacks of an audit by name; the one named `main` also runs on the control where there is one.

    `classes` are those of the embedding; empty means all. `hiding` makes a build with a guard abstain, and `fleet`
    attacks it together with others. `knowing` are the main attack by what its attacker knows, where that is not both
    models.
    """

    main: str
    attacks: Mapping[str, EvadeRecipe]
    control: EvadeRecipe | None
    classes: tuple[int, ...]
    hiding: EvadeRecipe | None = None
    fleet: FleetSearches | None = None
    knowing: Mapping[Knowledge, EvadeRecipe] = MappingProxyType({})


class _Flags(Settings):
    flags: tuple[FlagPart, ...]


class _Reasons(Settings):
    layers: tuple[LayerPart, ...]
    embeddings: tuple[EmbeddingPart, ...]


class _Fidelity(Settings):
    clean: FidelityPart | None
    attacked: FidelityPart | None


class _Control(Settings):
    control: ControlPart | None


def evasion_part(searches: Searches, opened: Opened, stages: Stages) -> EvasionPart:
    """Run every attack, the main one first, and examine its results."""
    run, main = _Run(searches, opened), searches.main
    names = (main, *sorted(searches.attacks.keys() - {main}))
    found = {name: stages.timed(f"attack {name}", functools.partial(run.found, name)) for name in names}
    first = found[main]
    fidelities = stages.kept("fidelity", _Fidelity, lambda: run.fidelity(first))
    flags = stages.kept("checks", _Flags, lambda: run.flags(found, fidelities))
    reasons = stages.kept("reasons", _Reasons, lambda: run.reasons(first))
    hidden = None
    if searches.hiding is not None:
        hidden = stages.timed("forced abstention", functools.partial(run.hidden, searches.hiding))
    control = _Control(control=None)
    if searches.control is not None:
        again = searches.control
        control = stages.kept("control", _Control, lambda: run.control(first, again))
    fleet = None if searches.fleet is None else fleet_part(searches.fleet, opened, stages)
    knowledge = {
        name: stages.kept(f"knowledge-{name}", KnowledgePart, functools.partial(run.knowledge, name, search, first))
        for name, search in searches.knowing.items()
    }
    return EvasionPart(
        attacked=len(first),
        dropped_original_wrong=first.dropped.original_wrong,
        dropped_build_wrong=first.dropped.build_wrong,
        dropped_both_wrong=first.dropped.both_wrong,
        main_attack=main,
        attacks={name: attack_part(result) for name, result in found.items()},
        comparisons=tuple(comparison(main, first, name, other) for name, other in found.items() if name != main),
        control=control.control,
        fidelity_clean=fidelities.clean,
        fidelity_attacked=fidelities.attacked,
        flags=flags.flags,
        layers=reasons.layers,
        embeddings=reasons.embeddings,
        findings=findings(first, main),
        forced_abstention=hidden,
        fleet=fleet,
        knowledge=tuple(knowledge.values()),
    )


@final
class _Run:
    """The stages of one run; `first` is what the main attack found."""

    def __init__(self, searches: Searches, opened: Opened) -> None:
        self._searches, self._opened = searches, opened

    def found(self, name: str) -> Evasion:
        return self._searches.attacks[name].open(self._opened.store, self._opened.progress)

    def hidden(self, search: EvadeRecipe) -> Interval | None:
        found = search.open(self._opened.store, self._opened.progress)
        return None if found.rate_answered is None else interval(found.rate_answered)

    def knowledge(self, name: Knowledge, search: EvadeRecipe, first: Evasion) -> KnowledgePart:
        opened = self._opened
        assert isinstance(search.surrogate, SurrogateRecipe)
        found = search.open(opened.store, opened.progress)
        part = surrogate_part(search.surrogate, opened.test.images, opened.clean[0], opened.store, opened.progress)
        apart = comparison("white box", first, name, found)
        return KnowledgePart(
            **dict(part),
            evasive=interval(found.rate),
            only_white_box=apart.only_first,
            only_surrogates=apart.only_second,
            p=apart.p,
        )

    def fidelity(self, first: Evasion) -> _Fidelity:
        parts: dict[str, FidelityPart | None] = {"clean": None, "attacked": None}
        if self._opened.no_twin:
            return _Fidelity(clean=None, attacked=None)
        # Both models classify the attacked images correctly, so twin and build agree there; this uses all images.
        for which, images in (("clean", self._opened.test.images), ("attacked", first.images)):
            near = fidelity(self._opened.program, self._opened.pair.build, images)
            parts[which] = FidelityPart(
                images=near.images,
                equal_logits=near.equal_logits,
                max_lsb=near.max_lsb,
                label_disagreement=near.label_disagreement,
            )
        return _Fidelity(clean=parts["clean"], attacked=parts["attacked"])

    def flags(self, found: dict[str, Evasion], near: _Fidelity) -> _Flags:
        opened = self._opened
        both = {"clean": near.clean, "attacked": near.attacked}
        return _Flags(flags=check_all(*opened.both, opened.test, opened.clean, found, self._searches.main, both))

    def reasons(self, first: Evasion) -> _Reasons:
        opened = self._opened
        return _Reasons(
            layers=layer_parts(opened.pair, first, opened.progress),
            embeddings=embedding_parts(opened.pair, first, self._searches.classes),
        )

    def control(self, first: Evasion, search: EvadeRecipe) -> _Control:
        opened = self._opened
        result = search.open(opened.store, opened.progress)
        answers = search.selecting.open(opened.store, opened.progress)
        return _Control(
            control=ControlPart(
                evasive=interval(result.rate),
                attacked=len(result),
                clean_disagreement=interval(quadrants(*answers, opened.test.labels).instability),
                p=fisher(first.rate, result.rate),
                change="fine-tuning" if isinstance(search.pair.control, FinetuneRecipe) else "compression",
            )
        )
