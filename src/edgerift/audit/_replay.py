"""Reproduce one finding from its PNG file."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from edgerift import zoo
from edgerift.audit._evidence import FINDINGS, FindingFile, pixels_digest
from edgerift.deploy import Fingerprint, OpenedBuild, open_build
from edgerift.errors import DataError, InputError, ModelError
from edgerift.evade import Pair, QueriedModule, read_png
from edgerift.images import shape_of
from edgerift.measure import Logits
from edgerift.settings import Document, Settings, is_file, is_folder, is_none


class Replay(Settings):
    """Both models' present answers to a finding's file.

    `evasive`: the original answers the label, the build another class. `abstains`: its guard keeps the build from
    answering; that of the build's file, or else of the audit. `original_runtime` runs the build that stays right in the
    original's place; None where the original does. `same_pixels`: the file holds the reported pixels.
    `same_build`: runtime, version, processor and artefact are those of the audit. `same_original`: its file is that of
    the audit; None where the finding does not record it. Probabilities are in [0, 1].
    """

    type: Literal["replay"] = "replay"
    version: Literal[1] = 1
    finding: str
    evasive: bool
    same_pixels: bool
    same_build: bool
    same_original: bool | None
    label: str
    original_answer: str
    original_probability: float
    build_answer: str
    build_probability: float
    runtime: str
    abstains: bool = Field(default=False, exclude_if=operator.not_)
    original_runtime: str | None = Field(default=None, exclude_if=is_none)


def replay(
    path: Path,
    *,
    original: Path | None = None,
    build: Path | None = None,
    trust: bool = False,
    allow_mismatch: bool = False,
) -> Replay:
    """Reproduce a finding: `path` is `findings/ID.json` in an audit's folder, or one of the two images beside it.

    `original` and `build` take the place of the audit's own files. Raises :class:`~edgerift.errors.InputError` for a
    file that is no finding, and, unless `allow_mismatch`, where a model in the audit's folder is not the one that the
    finding names; :class:`~edgerift.errors.DataError` for an image that cannot be read or has another size, and
    :class:`~edgerift.errors.ModelError` for models with another class count.
    """
    described, folder = _described(path)
    finding = described.finding
    same_original = _is_file(original or folder / described.original, described.original_sha256)
    if not allow_mismatch:
        if original is None and same_original is False:
            raise InputError(_is_another("original", folder / described.original, "--original"))
        if build is None and _is_file(folder / described.build, described.fingerprint.sha256) is False:
            raise InputError(_is_another("build", folder / described.build, "--build"))
    model = _original(described, original or folder / described.original, trust)
    image = _attacked(folder / finding.attacked_png, model)
    used = _opened(described, described.fingerprint, build or folder / described.build, trust)
    pair = Pair(model, None, used, used.guard or described.guard)
    scores = {"original": pair.original_scores(image[None]), "build": pair.build_scores(image[None])}
    _require_classes(scores, len(described.classes))
    abstains = pair.guard is not None and not bool(pair.guard.answers(scores["build"])[0])
    before, after = (answer.double().softmax(1)[0] for answer in scores.values())
    return Replay(
        finding=finding.id,
        evasive=not abstains and int(before.argmax()) == finding.label != int(after.argmax()),
        abstains=abstains,
        same_pixels=pixels_digest(image) == finding.sha256,
        same_build=pair.build.fingerprint() == described.fingerprint,
        same_original=same_original,
        label=described.classes[finding.label],
        original_answer=described.classes[int(before.argmax())],
        original_probability=float(before.amax()),
        build_answer=described.classes[int(after.argmax())],
        build_probability=float(after.amax()),
        runtime=pair.build.runtime,
        original_runtime=None if described.original_fingerprint is None else described.original_fingerprint.runtime,
    )


def _original(described: FindingFile, path: Path, trust: bool) -> nn.Module:
    """Open what stays right: the original, or a build in its place."""
    if described.original_fingerprint is None:
        return zoo.load(path, trust=trust)
    right = _opened(described, described.original_fingerprint, path, trust)
    return QueriedModule(Logits(right.predict, "the build"))


def _opened(described: FindingFile, by: Fingerprint, path: Path, trust: bool) -> OpenedBuild:
    return open_build(path, by.runtime, trust=trust, specification=described.specification)


def _is_file(path: Path, sha256: str) -> bool | None:
    """Return whether a file has a digest; None where there is no digest or no file."""
    if not sha256 or not is_file(path):
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def _is_another(what: str, path: Path, option: str) -> str:
    return (
        f"{path} is not the {what} that the finding was judged on; give that one with {option}, audit again, "
        "or pass --allow-mismatch to replay on what is there"
    )


def _attacked(path: Path, model: nn.Module) -> Tensor:
    image = read_png(path)
    if not isinstance(model, zoo.Classifier):  # A build says itself which images it does not take.
        return image
    taken, given = model.architecture.shape, shape_of(image[None])
    if given.size != taken.size or given.channels > taken.channels:
        raise DataError(
            f"{path} holds an image of {given}, the original takes {taken} (channels x height x width); give the "
            "audit's own files"
        )
    return image


def _require_classes(scores: Mapping[str, Tensor], classes: int) -> None:
    for whose, answer in scores.items():
        if answer.shape[1] != classes:
            raise ModelError(
                f"the finding has {classes} classes, the {whose} answers {answer.shape[1]}; give the audit's own files"
            )


def _described(path: Path) -> tuple[FindingFile, Path]:
    """Read a finding's description, given that file or one of its images; returns it and the audit's folder."""
    if is_folder(path):
        found = sorted((path if path.name == FINDINGS else path / FINDINGS).glob("*.json"))
        like = f", such as {found[0]}" if found else " of an audit's folder"
        raise InputError(f"{path} is a folder; give one finding{like}")
    name = path.name.removesuffix(".png").removesuffix(".attacked").removesuffix(".clean").removesuffix(".json")
    file = path.parent / f"{name}.json"
    described = Document(file, "finding", f"give a file of an audit's {FINDINGS} folder").settings(FindingFile)
    if not 0 <= described.finding.label < len(described.classes):
        raise InputError(
            f"{file} is damaged: label {described.finding.label}, the classes are 0 to {len(described.classes) - 1}"
        )
    return described, file.absolute().parent.parent
