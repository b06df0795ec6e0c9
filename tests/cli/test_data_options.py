"""What the command line says about images that can be read in more than one way."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_pair import SmallPair

from edgerift.audit import AuditRecipe
from edgerift.cli._audit import AuditCommand
from edgerift.cli._extract import ExtractCommand
from edgerift.cli._harden import HardenCommand
from edgerift.cli._options import DataOptions
from edgerift.cli._terminal import progress_bars
from edgerift.cli._train import OriginalOptions
from edgerift.cli._victim import VictimOptions
from edgerift.errors import DataError, ImagesWarning
from edgerift.harden import HardenRecipe
from edgerift.images import ImagesSettings, class_names


@pytest.fixture
def counted_from_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.savez("set.npz", images=pixels, labels=np.arange(20) % 2 + 1)
    return "set.npz"


def test_labels_that_count_from_one_need_a_word(counted_from_one: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="--class-labels renumbered"):
        DataOptions(data=counted_from_one, size=8).images()
    described = DataOptions(data=counted_from_one, size=8, class_labels="renumbered").images()
    assert (described.labels, class_names(described)) == ("renumbered", ("1", "2"))
    assert capsys.readouterr() == ("", "")


def test_a_class_without_images_is_said_once(counted_from_one: str, capfd: pytest.CaptureFixture[str]) -> None:
    options = DataOptions(data=counted_from_one, size=8, class_labels="as-is")
    with pytest.warns(ImagesWarning, match="1 of the 3 classes of 'set' have no image: '0'"):
        options.images()
    with progress_bars():
        options.images()
        options.images()
    assert capfd.readouterr() == ("", "note: 1 of the 3 classes of 'set' have no image: '0'\n")


def audit() -> AuditRecipe:
    training = OriginalOptions(model="lenet")
    command = AuditCommand(data=DataOptions(size=12), training=training, threats=("evasion", "theft"), control="yes")
    return command._recipe()


def audit_of(pair: SmallPair) -> AuditRecipe:
    return AuditCommand(data=DataOptions(size=12), adapted=pair.folder)._recipe()


def harden() -> HardenRecipe:
    data, training = DataOptions(size=12), OriginalOptions(model="lenet")
    return HardenCommand(out=Path("out"), data=data, training=training)._recipe()


def extract(whom: VictimOptions) -> object:
    data, training = DataOptions(size=12), OriginalOptions(model="lenet")
    return ExtractCommand(out=Path("out"), whom=whom, data=data, training=training)._recipe()


COMMANDS: dict[str, Callable[[SmallPair], object]] = {
    "audit": lambda pair: audit(),
    "audit of files": audit_of,
    "harden": lambda pair: harden(),
    "extract": lambda pair: extract(VictimOptions()),
    "extract an original": lambda pair: extract(
        VictimOptions(victim="original", original=pair.folder / "original.safetensors")
    ),
    "extract a build": lambda pair: extract(VictimOptions(adapted=pair.folder)),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_images_are_resolved_and_noted_once_a_command(
    small_pair: SmallPair, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked = []

    def resolve(described: ImagesSettings) -> ImagesSettings:
        asked.append(described)
        return small_pair.images.replace(seed=described.seed)

    monkeypatch.setattr("edgerift.images.resolve", resolve)
    monkeypatch.setattr("edgerift.images.notes", lambda described: ("a note",))
    with pytest.warns(ImagesWarning) as told:
        COMMANDS[name](small_pair)
    assert [str(one.message) for one in told] == ["a note"]
    assert len(asked) == 1
