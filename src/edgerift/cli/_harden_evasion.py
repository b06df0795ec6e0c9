"""`edgerift harden --against evasion`: find the cheapest build that passes a policy, and write it with its guard."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import tyro
from pydantic import Field

from edgerift import adapt, audit, deploy, harden, steps
from edgerift.cli._commands import changed_words, path_word
from edgerift.cli._fields import Shown
from edgerift.cli._options import LEVELS, DataOptions, Words, word_list
from edgerift.cli._pipeline import QuantizeOptions, chosen_runtimes, find_source, qat_settings
from edgerift.cli._train import OriginalOptions, copy_file
from edgerift.errors import InputError, unknown_name
from edgerift.evade import GreyLevels
from edgerift.harden import DEFAULT_COVERAGE, DEFAULT_MEANS, MEANS
from edgerift.settings import Count, Settings

_MEANS: Final = MEANS.names()

Against = Literal["theft", "evasion", "both"]


class EvasionOptions(Settings):
    """What `--against evasion` is told."""

    epsilon: Annotated[GreyLevels, LEVELS] = 8
    """largest pixel change of the attacker, in grey levels of 255"""
    policy: Annotated[Path | None, Shown(metavar="FILE", default="the audit's")] = None
    """YAML file with the limits of the release gate, of which evasive, coverage and accuracy_drop count here"""
    coverage: Annotated[
        float | None,
        Field(gt=0, le=1),
        Shown(default=f"{DEFAULT_COVERAGE:g}", details="A policy's own counts otherwise"),
    ] = None
    """least share of images that are answered"""
    means: Annotated[
        Words,
        tyro.conf.arg(metavar="NAME ..."),
        Shown(
            metavar="NAME ...",
            text=f"means to try, from cheap to dear: {', '.join(_MEANS)}",
            default=", ".join(DEFAULT_MEANS),
        ),
    ] = ()
    all_means: Annotated[bool, Shown(advanced=True)] = False
    """try all of the means, not only those up to the first that passes"""
    images: Annotated[Count, Shown(advanced=True)] = 400
    """images to attack in each trial, at most"""

    def named(self) -> tuple[str, ...]:
        """List the means in their order; raises `InputError` for one that is not known."""
        names = word_list(self.means)
        for name in names:
            if name not in _MEANS:
                raise InputError(unknown_name(MEANS.kind, name, _MEANS))
        return tuple(name for name in _MEANS if name in names) or DEFAULT_MEANS


class Given(NamedTuple):
    """What a hardening against evasion is told on the command line, with an `l1_budget` one against theft too."""

    original: Path | None
    trust: bool
    runtime: str | None
    data: DataOptions
    training: OriginalOptions
    quantizing: QuantizeOptions
    accuracy_drop: float | None
    evasion: EvasionOptions
    l1_budget: float | None = None


def evasion_recipe(given: Given) -> harden.EvasionHardenRecipe:
    """Turn the options into the recipe of the search; raises `InputError` for what cannot be used."""
    options, evasion = given.quantizing, given.evasion
    policy = audit.Policy() if evasion.policy is None else audit.read_policy(evasion.policy)
    (runtime,) = chosen_runtimes(options.target, (given.runtime,) if given.runtime else ())
    original, described = find_source(
        given.data.images(given.training.seed), given.training, given.original, given.trust, options.target
    )
    named = evasion.named()
    if isinstance(original, adapt.GivenOriginal) and all(MEANS[name].adversary for name in named):
        raise InputError(f"{' and '.join(named)} trains the original anew; leave out --original, or try other means")
    limits = {
        "evasive": policy.evasive,
        "coverage": _first(evasion.coverage, policy.coverage),
        "accuracy_drop": _first(given.accuracy_drop, policy.accuracy_drop),
    }
    return harden.EvasionHardenRecipe.model_validate(
        {
            "original": original,
            "images": described,
            "target": options.target,
            "runtime": runtime,
            "settings": qat_settings(given.training, options),
            "means": named,
            "until": "last" if evasion.all_means else "first",
            "epsilon": evasion.epsilon,
            "surely": evasion.coverage is None and policy.coverage is not None,
            **{name: limit for name, limit in limits.items() if limit is not None},
            "count": evasion.images,
            "draw": given.training.seed,
        }
    )


def hardened(given: Given, folder: Path, store: steps.Store, progress: steps.Progress) -> harden.EvasionHardening:
    """Search, copy the models and the guard into `folder`, and name the command that audits them."""
    recipe = evasion_recipe(given)
    found = recipe.open(store, progress)
    shipped = found.shipped
    made = recipe.made(MEANS[shipped.means])
    assert made is not None
    guard = found.means(shipped.means).trial(shipped.wanted).guard
    artefact = store.get(made.build, progress) / made.build.artefact
    copy_file(store.get(made.original, progress) / "original.safetensors", folder / "original.safetensors")
    copy_file(store.get(made.program, progress) / "program.safetensors", folder / "program.safetensors")
    deploy.ship_guard(guard, recipe.runtime, copy_file(artefact, folder / artefact.name))
    found = found.replace(audit=_audit_command(given, folder))
    if given.l1_budget is None:
        return found
    # Training against theft moves a build away from its original; what changes its answers only, leaves it there.
    answers: dict[str, dict[str, Any]] = {name: {} for name in harden.PAPER_ANSWERS}
    theft = harden.sweep_defences(
        made.build, recipe.images, answers, store, budget_l1=given.l1_budget, progress=progress
    )
    return found.replace(theft=theft, stealing=_stealing_command(given, folder))


def _stealing_command(given: Given, folder: Path) -> str:
    """Write the command that steals what is in `folder`, with and without the defences of its answers."""
    words = ["edgerift", "defend", "--adapted", path_word(folder), *changed_words(given.data)]
    words += changed_words(given.training, tuple(name for name in OriginalOptions.model_fields if name != "seed"))
    words += ["--trust"] if given.trust else []
    return shlex.join([*words, "--steal", "--out", path_word(folder / "defend")])


def _audit_command(given: Given, folder: Path) -> str:
    """Write the command that audits what is in `folder`, as a shell takes it."""
    words = ["edgerift", "audit", "--adapted", path_word(folder), *changed_words(given.data)]
    words += changed_words(given.evasion, ("coverage", "means", "all_means", "images"))
    words += changed_words(given.training, tuple(name for name in OriginalOptions.model_fields if name != "seed"))
    words += ["--trust"] if given.trust else []
    return shlex.join([*words, "--threats", "evasion", "--out", path_word(folder / "audit")])


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
