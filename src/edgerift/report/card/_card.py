"""The card: the disagreement of an edge build with its original on the test images."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn

from edgerift import zoo
from edgerift.adapt import require_repeatable, weights_digest
from edgerift.audit import GuardPart, guard_part
from edgerift.deploy import (
    Build,
    Fidelity,
    Fingerprint,
    Program,
    Provenance,
    Target,
    code_checksums,
    fidelity,
    leaves_program,
    own_twin,
    twin,
    twin_scores,
    why_no_twin,
)
from edgerift.images import ImageSet, to_float
from edgerift.measure import Rate, accuracy, agreement, l1_distance, latency, predict_all, quadrants
from edgerift.report.card._sparsity import LayerSparsity, layer_sparsity
from edgerift.settings import Settings
from edgerift.specification import Guard
from edgerift.steps import Progress, silent

_TIMED_IMAGES = 256
Predict: TypeAlias = Callable[[Tensor], Tensor]

#: Images on which the original runs twice.
_REPEATED = 4


class FidelityEntry(Settings):
    """How far a build is from the twin that follows its runtime's arithmetic; see `deploy.fidelity`."""

    arithmetic: str
    equal_logits: float
    max_lsb: float
    label_disagreement: float


class Card(Settings):
    """What was measured of an original and its builds on the same test images.

    Every mapping is keyed by `original`, `compressed`, `twin` or a runtime's name. Accuracies, agreements and
    instabilities are in [0, 1], each with its exact 95 % interval (Clopper-Pearson) under the same key of the
    mapping beside it. `quadrants` count images by which model is right. `mismatches` say which parts were not made
    from each other. `seed` selects the test images where the set has no test split. `l1` is the mean distance of
    the probabilities from the original's, in [0, 2]. `guarded` holds what the guard of a build does to the images,
    for builds that have one. Of an original that was pruned or distilled before quantization, `compressed` is that
    float model, and `sparsity` the share of zeros in each layer of a pruned one. `codes` has a checksum of the
    integer weights of each layer.
    """

    type: Literal["card"] = "card"
    version: Literal[1] = 1
    data: str
    seed: int
    images: int
    target: Target | None
    provenance: Provenance | None
    accuracy: dict[str, float]
    accuracy_interval: dict[str, tuple[float, float]]
    quadrants: dict[str, dict[str, int]]
    instability: dict[str, float]
    instability_interval: dict[str, tuple[float, float]]
    agreement: dict[str, float]
    agreement_interval: dict[str, tuple[float, float]]
    l1: dict[str, float]
    fidelity: dict[str, FidelityEntry]
    integer_macs: dict[str, float]
    size_bytes: dict[str, int]
    latency_ms: dict[str, float]
    images_per_second: dict[str, float]
    fingerprint: dict[str, Fingerprint]
    mismatches: tuple[str, ...] = ()
    guarded: dict[str, GuardPart] = Field(default_factory=dict, exclude_if=operator.not_)
    sparsity: dict[str, LayerSparsity] = Field(default_factory=dict, exclude_if=operator.not_)
    codes: dict[str, str] = Field(default_factory=dict)


def make_card(
    original: nn.Module,
    program: Program | None,
    builds: Mapping[str, Build],
    test: ImageSet,
    *,
    files: Mapping[str, Path],
    compressed: nn.Module | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Card:
    """Measure an original, its program's twin and its builds on test images.

    Without a program the builds are files of other tools, and the twin is that of the first file that gives one.
    `builds` is keyed by runtime; `files` names the files whose sizes are reported, `original` and `program` among them.
    `compressed` is the float model that was quantized, where that is not the original.
    Raises :class:`~edgerift.errors.ModelError` for an original whose outputs are not repeatable.
    """
    predicts = _predicts(_repeatable(original, test), compressed, program, builds)
    scores = _scores(predicts, test, progress)
    reference, compared = scores["original"], {name: one for name, one in scores.items() if name != "original"}
    parts = {name: quadrants(reference, one, test.labels) for name, one in compared.items()}
    same = {name: agreement(reference, one) for name, one in compared.items()}
    speed = {name: latency(predicts[name], test.images[:_TIMED_IMAGES]) for name in ("original", *builds)}
    near = _fidelities(program, builds, test.images)
    return Card(
        data=test.name,
        seed=seed,
        images=len(test),
        target=None if program is None else program.target,
        provenance=None if program is None else program.provenance,
        accuracy=_values(right := {name: accuracy(one, test.labels) for name, one in scores.items()}),
        accuracy_interval=_intervals(right),
        quadrants={name: _counts(part.as_dict()) for name, part in parts.items()},
        instability=_values(unstable := {name: part.instability for name, part in parts.items()}),
        instability_interval=_intervals(unstable),
        agreement=_values(same),
        agreement_interval=_intervals(same),
        l1={name: l1_distance(reference, one) for name, one in compared.items()},
        fidelity={name: _fidelity(found) for name, found in near.items()},
        integer_macs={name: build.integer_macs() for name, build in builds.items()},
        size_bytes={name: path.stat().st_size for name, path in files.items()},
        latency_ms={name: value.milliseconds for name, value in speed.items()},
        images_per_second={name: value.images_per_second for name, value in speed.items()},
        fingerprint={name: build.fingerprint() for name, build in builds.items()},
        mismatches=tuple(_mismatches(original, program, near)),
        guarded=_guarded(builds, scores, test.labels),
        codes={} if program is None else code_checksums(program),
        sparsity={} if compressed is None or program is None else layer_sparsity(compressed, program),
    )


def _repeatable(original: nn.Module, test: ImageSet) -> nn.Module:
    """Copy an original that answers the same images equally; others are refused."""
    model = zoo.frozen_copy(original).cpu()
    require_repeatable(zoo.taking(model, test.shape), to_float(test.images[:_REPEATED].contiguous()))
    return model


def _guarded(builds: Mapping[str, Build], scores: Mapping[str, Tensor], labels: Tensor) -> dict[str, GuardPart]:
    """Measure the guards of the builds that have one."""
    found: dict[str, Guard | None] = {name: getattr(build, "guard", None) for name, build in builds.items()}
    return {
        name: guard_part(guard, scores["original"], scores[name], labels)
        for name, guard in found.items()
        if guard is not None
    }


def _fidelities(program: Program | None, builds: Mapping[str, Build], images: Tensor) -> dict[str, Fidelity]:
    """Compare the builds with the program's twin, or those that give a twin of their own with that."""
    followed = (name for name, build in builds.items() if program is not None or not why_no_twin(build))
    return {name: fidelity(program, builds[name], images) for name in followed}


def _mismatches(original: nn.Module, program: Program | None, near: Mapping[str, Fidelity]) -> Iterator[str]:
    """Say which parts of the pair were not made from each other; a build of another tool does not say."""
    if program is None:
        return
    made_from = program.provenance.original
    if made_from and made_from != weights_digest(original):
        yield "the program was made from another original than this one"
    for name, found in near.items():
        if leaves_program(found):
            yield f"the {name} build was not compiled from this program; rebuild it"


def _scores(predicts: Mapping[str, Predict], test: ImageSet, progress: Progress) -> dict[str, Tensor]:
    """Predict the test images with each of the models."""
    scores = {}
    for number, (name, predict) in enumerate(predicts.items()):
        progress("measure", number, len(predicts), name)
        scores[name] = predict_all(predict, test)
    progress("measure", len(predicts), len(predicts))
    return scores


def _predicts(
    original: nn.Module, compressed: nn.Module | None, program: Program | None, builds: Mapping[str, Build]
) -> dict[str, Predict]:
    """What each model is asked by: the original, what was made of it in float, the twin where there is one, builds."""
    reference = _reference(program, builds)

    def answer(images: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = original(to_float(images))
        return logits

    return {
        "original": answer,
        **({} if compressed is None else {"compressed": lambda images: twin_scores(compressed, images)}),
        **({} if reference is None else {"twin": lambda images: twin_scores(reference, images)}),
        **{name: build.predict for name, build in builds.items()},
    }


def _reference(program: Program | None, builds: Mapping[str, Build]) -> nn.Module | None:
    if program is not None:
        return twin(program)
    return next((own_twin(build) for build in builds.values() if not why_no_twin(build)), None)


def _fidelity(found: Fidelity) -> FidelityEntry:
    return FidelityEntry(
        arithmetic=found.arithmetic,
        equal_logits=found.equal_logits,
        max_lsb=found.max_lsb,
        label_disagreement=found.label_disagreement,
    )


def _values(rates: Mapping[str, Rate]) -> dict[str, float]:
    return {name: rate.value for name, rate in rates.items()}


def _intervals(rates: Mapping[str, Rate]) -> dict[str, tuple[float, float]]:
    return {name: (rate.low, rate.high) for name, rate in rates.items()}


def _counts(part: Mapping[str, object]) -> dict[str, int]:
    return {name: value for name, value in part.items() if isinstance(value, int)}
