"""What a report says besides its tables and figures: of a study, or of one run, which is a study of one cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edgerift.report.shared._words import as_json
from edgerift.report.study._claims import ClaimRow, claim_rows
from edgerift.report.study._words import cell_count, cells_words, command, missing_words, setting_rows, study_words
from edgerift.study import StudyResult


class Tile(NamedTuple):
    """A figure at the top of a page: its name, its value, and more words in small letters."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True)
class About:
    """The words of a report.

    `lines` are its result in short and stand first, `notes` how it was measured, each with a name, and `settings` what
    was measured; `documents` are settings in full by their titles. `made` is the command that makes it again.
    """

    kind: str
    page: str
    title: str
    subject: str
    edgerift: str
    file: str
    lines: tuple[str, ...]
    tiles: tuple[Tile, ...]
    settings: tuple[tuple[str, str], ...]
    documents: Mapping[str, str]
    notes: tuple[tuple[str, str], ...] = ()
    made: str = ""
    missing: tuple[str, ...] = ()
    claims: tuple[ClaimRow, ...] = ()


def about_study(result: StudyResult) -> About:
    """Describe a study."""
    study = result.study
    found, whole = cell_count(result)
    return About(
        kind="study",
        page=f"study {study.study}, {result.profile}",
        title=study.title,
        subject=study_words(result),
        edgerift=result.edgerift,
        file="result.json",
        lines=(cells_words(result),),
        tiles=(
            Tile("Cells with a result", f"{found} of {whole}"),
            Tile("Seeds", str(len(study.seeds))),
            Tile("Image sets", str(len(study.data)), ", ".join(study.data)),
            Tile("Networks", str(len(study.originals)), ", ".join(study.originals)),
        ),
        settings=tuple(setting_rows(study)),
        documents={"Every setting": as_json(study.model_dump(mode="json"))},
        made=command(result),
        missing=tuple(map(missing_words, result.missing)),
        claims=tuple(claim_rows(result)),
    )
