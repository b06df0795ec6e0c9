"""`edgerift card`: measure a pair of original and builds again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from edgerift.cli._adapt import measured_card
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import DataOptions, Json
from edgerift.cli._terminal import progress_bars, show
from edgerift.errors import InputError
from edgerift.report import Card, card_text
from edgerift.settings import Document, Seed, is_file, is_folder
from edgerift.steps import write_whole


class CardCommand(Command):
    """Measure the models in a folder of `edgerift adapt` again.

    Tests the original, the program and every build on the test images of --data and writes FOLDER/card.json.
    """

    example: ClassVar[str] = "edgerift card adapted --data cifar10"

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """a folder that `edgerift adapt --out` wrote"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = DataOptions()
    seed: Annotated[Seed | None, Shown(group="data", default="that of FOLDER/card.json")] = None
    """seed of the train-test split, for image sets without test images of their own"""
    trust: Annotated[bool, Shown(group="model")] = False
    """allow models that run code when they are opened: Inductor packages, architectures from your own module:factory"""
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
