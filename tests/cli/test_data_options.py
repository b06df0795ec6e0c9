"""What the command line says about images that can be read in more than one way."""

from pathlib import Path

import numpy as np
import pytest

from edgerift.cli._options import DataOptions
from edgerift.cli._terminal import progress_bars
from edgerift.errors import DataError, ImagesWarning
from edgerift.images import class_names


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
