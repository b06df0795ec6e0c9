"""`edgerift card`: measure a pair of original and builds again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from edgerift.cli._adapt import measured_card
from edgerift.cli._options import DataOptions, Json
from edgerift.cli._terminal import progress_bars, show
from edgerift.errors import InputError
from edgerift.report import Card, card_text
from edgerift.settings import Document, Seed, Settings, is_file, is_folder
from edgerift.steps import write_whole


class CardCommand(Settings):
    """Measure the original, the program and the builds in a folder on test images, and write DIR/card.json."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """a folder that `edgerift adapt --out` wrote"""
    trust: bool = False
    """open an Inductor package or an original of your own factory, which runs code"""
    seed: Seed | None = None
    """draws the test images where a set has none of its own; that of FOLDER/card.json unless given"""
    data: Annotated[DataOptions, tyro.conf.arg(name="")] = DataOptions()
    as_json: Json = False

    def run(self) -> int:
        """Measure, write the card and show it."""
        if not is_folder(self.folder):
            raise InputError(f"no folder {self.folder}; give one that `edgerift adapt --out` wrote")
        with progress_bars() as progress:
            seed = self.seed if self.seed is not None else _seed_of(self.folder / "card.json")
            card = measured_card(self.folder, self.data, seed, self.trust, progress)
            write_whole(self.folder / "card.json", card.model_dump_json(indent=2) + "\n")
        show(card, card_text(card), self.as_json)
        return 0


def _seed_of(path: Path) -> int:
    """Read the seed of the card that `edgerift adapt` wrote, so that no image it trained on is measured."""
    if not is_file(path):
        raise InputError(
            f"no {path}, which says how the test images were drawn; pass --seed as `edgerift adapt` had it"
        )
    return Document(path, "card", "pass --seed as `edgerift adapt` had it").settings(Card).seed
