"""A small adaptation by the command line, made once, and how a verb is run in this process."""

import contextlib
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgerift.cli import main

#: As little work as the whole way takes: a network that trains in a second.
SMALL = (
    *("--data", "digits", "--model", "lenet", "--size", "16"),
    *("--epochs", "2", "--learning-rate", "0.1", "--adapt-epochs", "1"),
)


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def line(self) -> str:
        """The one line of an error: nothing else was written, and the exit code is 2."""
        assert self.out == ""
        assert self.code == 2
        assert self.err.endswith("\n")
        (line,) = self.err.splitlines()
        assert line.startswith("edgerift: ")
        assert "internal error" not in line
        assert "Traceback" not in line
        return line.removeprefix("edgerift: ")

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@pytest.fixture(scope="session", autouse=True)
def quiet_imports() -> None:
    """Import torchao once; its import warns about accelerators that are not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchao.quantization.pt2e  # noqa: F401


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `edgerift` with arguments and catch what it writes, C++ libraries and all."""

    def invoke(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return invoke


class Adapted(NamedTuple):
    folder: Path
    store: Path
    arguments: tuple[str, ...]
    card: dict[str, Any]
    told: str


@pytest.fixture(scope="session")
def adapted(session_folders: None, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    """What the main command gives, with the smallest network."""
    folder, store = tmp_path_factory.mktemp("adapted"), tmp_path_factory.mktemp("store")
    runtimes = ("--runtime", "executorch", "--runtime", "onnxruntime")
    arguments = ("adapt", *SMALL, "--method", "qat", "--target", "mobile", *runtimes, "--store", str(store), "--json")
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        assert main([*arguments, "--out", str(folder / "first")]) == 0
    return Adapted(folder / "first", store, arguments, json.loads(out.getvalue()), told.getvalue())
