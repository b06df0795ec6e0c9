"""`edgerift serve`: what it serves, from a folder or a file, and each wrong input in one line."""

import json
import re
import shlex
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from edgerift import serve
from edgerift.defend import Rounding
from edgerift.deploy import OpenedBuild
from edgerift.images import ImageShape
from edgerift.serve import Service

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


class InThisProcess:
    """A build that is not given to another process, and is told that it may go."""

    def __init__(self, build: OpenedBuild, shape: ImageShape, *, trust: bool) -> None:
        self._build, self.is_open = build, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._build, name)

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Catch what would be served, by the process that opened it."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(serve, "ProcessBuild", InThisProcess)

    def catch(service: Service, **fields: Any) -> None:
        found.update(fields, service=service)
        service.close()

    monkeypatch.setattr(serve, "serve", catch)
    return found


def test_a_folder_is_served_with_the_options(run, small_pair, served, tmp_path):
    options = ("--budget", "7", "--defence", "rounding:decimals=1", "--name", "digits", "--port", "8123")
    done = run("serve", small_pair.folder, "--ledgers", tmp_path / "led", *options)
    assert (done.code, done.out) == (0, "")
    service = served["service"]
    assert (served["host"], served["port"]) == ("127.0.0.1", 8123)
    assert (service.signature.name, service.signature.shape) == ("digits", ImageShape(3, 12, 12))
    assert service.signature.classes == tuple("0123456789")
    assert (service.accounts["default"].budget, service.settings.defences) == (7, (Rounding(decimals=1),))
    assert {path.name for path in (tmp_path / "led").iterdir()} == {"default.ids"}


def test_a_file_says_what_it_takes(run, small_pair, served, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGERIFT_TOKEN", "a-token-of-20-letters")
    done = run("serve", small_pair.folder / "model.onnx", "--ledgers", tmp_path, "--host", "0.0.0.0")
    assert (done.code, done.out) == (0, "")
    assert served["service"].signature.shape == ImageShape(3, 12, 12)
    assert not served["service"].doorkeeper.is_open


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["{folder}", "--host", "0.0.0.0"], "--host 0.0.0.0 is open to the network, which needs tokens"),
        (["{folder}", "--clients", "none.yaml"], "cannot read the file of clients none.yaml"),
        (["{folder}", "--name", "a/b"], "ServeSettings.name is 'a/b'"),
        (["{folder}", "--defence", "roundin"], "unknown defence 'roundin'; did you mean 'rounding'?"),
        (["{folder}", "--budget", "0"], "--budget is 0; it must be greater than 0"),
        (["{folder}", "--port", "70000"], "--port is 70000; it must be less than or equal to 65535"),
        (["{folder}/model.pte"], "no build at"),
        (["{empty}"], "has no build; `edgerift adapt --out DIR` writes one"),
        (["{folder}", "--ledgers", "{folder}/model.onnx"], "choose another"),
    ],
)
def test_wrong_input_is_told_in_one_line(run, small_pair, tmp_path, arguments, text):
    places = {"folder": small_pair.folder, "empty": tmp_path}
    given = [argument.format(**places) for argument in arguments]
    ledgers = () if "--ledgers" in given else ("--ledgers", tmp_path / "led")
    assert text in run("serve", *given, *ledgers).line()


def test_an_address_in_use_is_told(run, small_pair, tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = ("--ledgers", tmp_path / "led", "--port", port)
        assert f"cannot serve at 127.0.0.1:{port}" in run("serve", small_pair.folder, *arguments).err


def test_what_is_not_installed_is_named(run, small_pair, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    told = run("serve", small_pair.folder, "--ledgers", tmp_path).line()
    assert told == "a server needs uvicorn, which is not installed: pip install 'edgerift[serve]'"


def test_the_documented_calls_work(small_pair, tmp_path):
    from served import listening

    from edgerift.deploy import open_build

    build = open_build(small_pair.folder / "model.onnx")
    calls = re.findall(r"^curl .*$", DOCUMENTED, flags=re.MULTILINE)
    assert calls
    with listening(Service(build, ImageShape(3, 12, 12))) as address:
        for call in calls:
            place = shlex.split(call)[-1].replace("localhost:8000", f"http://{address}")
            with urllib.request.urlopen(place, timeout=10) as reply:
                assert "name" in json.loads(reply.read())
