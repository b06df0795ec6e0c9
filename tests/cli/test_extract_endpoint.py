"""`edgerift extract --victim URL`: the same clone as from the build in process, and each wrong input in one line."""

import json

import pytest
from served import listening

from edgerift.deploy import open_build
from edgerift.images import ImageShape
from edgerift.serve import Service

THEFT = ("--data", "digits", "--size", "12", "--student", "lenet", "--queries", "collages", "--budget", "200")
SHORT = ("--clone-epochs", "1", "--seed", "3")


def test_an_endpoint_has_the_same_clone_as_its_build(run, small_pair, tmp_path):
    build = small_pair.folder / "model.onnx"
    local = run("extract", "--build", build, *THEFT, *SHORT, "--out", tmp_path / "local", "--json").json()
    service = Service(open_build(build), ImageShape(3, 12, 12), folder=tmp_path / "ledgers")
    account = service.accounts["default"]
    with listening(service) as address:
        victim = ("--victim", f"http://{address}", "--i-am-authorised")
        done = run("extract", *victim, *THEFT, *SHORT, "--out", tmp_path / "remote", "--json")
        remote = done.json()
        assert account.spent == 200 + 359
    clones = [(tmp_path / where / "clone.safetensors").read_bytes() for where in ("local", "remote")]
    assert clones[0] == clones[1]
    for same in ("spent", "adversary_error", "defender_error", "disagreement", "best_epoch", "divergence"):
        assert remote[same] == local[same]
    # What was stolen once is not asked for again: the server is gone.
    assert json.loads((tmp_path / "remote" / "theft.json").read_text()) == remote


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--victim", "http://127.0.0.1:9"], "say authorised=True (--i-am-authorised) if it is yours"),
        (["--victim", "http://127.0.0.1:9", "--build", "x.onnx"], "--build names a victim and --victim an endpoint"),
        (["--victim", "http://127.0.0.1:9", "--attack", "dfme"], "only `edgerift extract` with --attack knockoff"),
        (["--victim", "ftp://127.0.0.1"], "it must be build, original or http://HOST:PORT"),
        (["--victim", "orignal"], "--victim is 'orignal'"),
    ],
)
def test_wrong_input_is_told_in_one_line(run, tmp_path, arguments, told):
    assert told in run("extract", *arguments, "--data", "digits", "--out", tmp_path / "out").line()
