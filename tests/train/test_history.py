import json
from pathlib import Path

import pytest

from edgerift.errors import StoreError
from edgerift.train import Epoch, History, plot_history, read_history

HISTORY = History((Epoch(1.5, 0.4, 1.6, 0.35, 0.1), Epoch(1.25, None, None, None, 0.05)))


def test_json_round_trip() -> None:
    assert read_history(HISTORY.as_json()) == HISTORY
    assert json.loads(HISTORY.as_json()) == HISTORY.as_dict()
    assert HISTORY.as_dict()["epochs"][0]["validation_accuracy"] == 0.35


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"epochs": [{"loss": 1}]}', '{"epochs": 3}'])
def test_what_is_no_history(text: str) -> None:
    with pytest.raises(StoreError, match="not a training history"):
        read_history(text)


@pytest.mark.parametrize("history", [HISTORY, History(), History((Epoch(1.0, None, None, None, 0.1),))])
def test_plot_is_a_png_and_repeats_itself(history: History, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        plot_history(history, tmp_path / name)
    data = (tmp_path / "one.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data == (tmp_path / "two.png").read_bytes()
