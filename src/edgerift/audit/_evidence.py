"""The evidence: a PNG pair and a description for each finding, and one JSON line per attacked image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field
from torch import Tensor

from edgerift.audit._distances import as_colour, distances
from edgerift.audit._document_finding import FindingPart, InsideName
from edgerift.deploy import Fingerprint
from edgerift.evade import Evasion, png_bytes
from edgerift.settings import Settings, is_none
from edgerift.specification import Guard, Specification
from edgerift.steps import write_whole

FINDINGS: Final = "findings"
SAMPLES: Final = "samples.jsonl"


def _is_default(specification: Specification) -> bool:
    return specification.is_default


class FindingFile(Settings):
    """The content of `findings/ID.json`: the finding, and what is needed to reproduce it.

    `original` and `build` are paths from the audit's folder; `classes` names the class numbers. `original_sha256` is
    that of the original's file; empty in findings of earlier versions. `specification` says how the build wants its
    images and what it answers, where its file does not; `guard` is the one it was judged with.
    `original_fingerprint` is that of a build which stays right in the original's place, None where the original does.
    """

    type: Literal["finding"] = "finding"
    version: Literal[1] = 1
    edgerift: str
    finding: FindingPart
    classes: tuple[str, ...]
    original: InsideName
    build: InsideName
    fingerprint: Fingerprint
    original_sha256: str = ""
    specification: Specification = Field(default=Specification(), exclude_if=_is_default)
    guard: Guard | None = Field(default=None, exclude_if=is_none)
    original_fingerprint: Fingerprint | None = Field(default=None, exclude_if=is_none)


def findings(found: Evasion, attack: str) -> tuple[FindingPart, ...]:
    """Describe each evasive image of a search."""
    hits = found.select(found.evasive)
    original, build = hits.original.double().softmax(1), hits.build.double().softmax(1)
    linf, l2, similar = _distances(hits)
    parts = []
    for row in range(len(hits)):
        index = int(hits.index[row])
        name = f"{attack}-{index:06d}"
        before, after = int(hits.original[row].argmax()), int(hits.build[row].argmax())
        parts.append(
            FindingPart(
                id=name,
                index=index,
                attack=attack,
                label=int(hits.labels[row]),
                original_label=before,
                original_probability=float(original[row, before]),
                build_label=after,
                build_probability=float(build[row, after]),
                build_right_probability=float(build[row, int(hits.labels[row])]),
                step=int(hits.first[row]),
                linf=linf[row],
                l2=l2[row],
                ssim=similar[row],
                sha256=pixels_digest(hits.images[row]),
                clean_png=f"{FINDINGS}/{name}.clean.png",
                attacked_png=f"{FINDINGS}/{name}.attacked.png",
            )
        )
    return tuple(parts)


def pixels_digest(image: Tensor) -> str:
    """Return the SHA-256 of the pixels of a uint8 image `[C,H,W]`; a grey one counts as three equal channels."""
    return hashlib.sha256(as_colour(image[None]).contiguous().numpy().tobytes()).hexdigest()


def write_evidence(
    folder: Path,
    found: Evasion,
    parts: tuple[FindingPart, ...],
    *,
    version: str,
    original: str,
    build: str,
    fingerprint: Fingerprint,
    original_sha256: str = "",
    specification: Specification | None = None,
    original_fingerprint: Fingerprint | None = None,
) -> None:
    """Write the PNG pairs and descriptions of the findings into `folder/findings`."""
    target = folder / FINDINGS
    if parts:
        target.mkdir(exist_ok=True)
    hits = found.select(found.evasive)
    for row, part in enumerate(parts):
        described = FindingFile(
            edgerift=version,
            finding=part,
            classes=found.classes,
            original=original,
            build=build,
            fingerprint=fingerprint,
            original_sha256=original_sha256,
            specification=specification or Specification(),
            guard=found.guard,
            original_fingerprint=original_fingerprint,
        )
        write_whole(folder / part.clean_png, png_bytes(hits.clean[row]))
        write_whole(folder / part.attacked_png, png_bytes(hits.images[row]))
        write_whole(target / f"{part.id}.json", described.model_dump_json(indent=2) + "\n")


def sample_lines(found: Evasion) -> str:
    """Write one JSON object per line for each attacked image of a search."""
    linf, l2, similar = _distances(found)
    labels = found.labels
    answers = {
        "clean_original": found.clean_original,
        "clean_build": found.clean_build,
        "original": found.original,
        "build": found.build,
    }
    scored = {name: scores.double().softmax(1) for name, scores in answers.items()}
    lines = []
    for row in range(len(found)):
        line: dict[str, Any] = {
            "index": int(found.index[row]),
            "label": int(labels[row]),
            "evasive": bool(found.evasive[row]),
            "void": bool(found.void[row]),
            "fooled": bool(found.fooled[row]),
            "first": int(found.first[row]),
            "gradient_calls": int(found.gradient_calls[row]),
            "build_questions": int(found.build_questions[row]),
            "original_questions": int(found.original_questions[row]),
            "linf": linf[row],
            "l2": l2[row],
            "ssim": similar[row],
        }
        for name, probabilities in scored.items():
            line[f"{name}_label"] = int(probabilities[row].argmax())
            line[f"{name}_probability"] = float(probabilities[row].amax())
            line[f"{name}_label_probability"] = float(probabilities[row, labels[row]])
        lines.append(json.dumps(line))
    return "\n".join(lines) + "\n"


def _distances(found: Evasion) -> tuple[list[int], list[float], list[float]]:
    if len(found) == 0:
        return [], [], []
    measured = distances(found)
    return measured.linf.tolist(), measured.l2.tolist(), measured.ssim.tolist()
