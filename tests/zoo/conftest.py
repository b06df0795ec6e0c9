import sys
import textwrap
from pathlib import Path

import pytest


@pytest.fixture
def users_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        from torch import nn

        number = 3

        def fine(classes):
            return nn.Sequential(nn.Flatten(), nn.Linear(3072, classes))

        def narrow(classes):
            return nn.Sequential(nn.Flatten(), nn.Linear(3072, 2))

        def text(classes):
            return "a network"
    """
    (tmp_path / "users_nets.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "users_nets", raising=False)
