"""`edgerift certify`."""

import shutil

import pytest

from edgerift.defend import Guard
from edgerift.deploy import write_guard


def test_certify_shows_the_proved_share_for_each_epsilon_and_threshold(run, adapted):
    proof = ("--size", 16, "--runtime", "executorch", "--count", 12, "--epsilon", "0,1", "--threshold", "0,1000")
    result = run("certify", adapted.folder, *proof, "--json").json()
    shares = {(share["epsilon"], share["threshold"]): share["certified"] for share in result["shares"]}
    assert list(shares) == [(0, 0.0), (0, 1000.0), (1, 0.0), (1, 1000.0)]
    assert (result["runtime"], result["aligned"], result["levels"]) == ("executorch", True, 0)
    assert 0 < result["images"] <= 12
    assert shares[0, 0.0]["successes"] == shares[1, 1000.0]["successes"] == result["images"]
    assert shares[1, 0.0]["successes"] <= result["images"]
    told = run("certify", adapted.folder, *proof)
    assert told.code == 0
    assert f"certified of {result['images']} images of digits that both label correctly, executorch" in " ".join(
        told.out.split()
    )


def test_certify_takes_the_threshold_of_the_guard_that_ships(run, adapted, tmp_path):
    folder = shutil.copytree(adapted.folder, tmp_path / "guarded")
    write_guard(Guard(threshold=1000.0), "executorch", folder / "model.pte")
    proof = ("--size", 16, "--runtime", "executorch", "--count", 12, "--epsilon", "1")
    shares = run("certify", folder, *proof, "--json").json()["shares"]
    assert [(share["epsilon"], share["threshold"]) for share in shares] == [(1, 1000.0)]
    assert shares[0]["certified"]["value"] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--epsilon", "1.5"], "--epsilon is 1.5; allowed are whole grey levels from 0 to 255"),
        (["--epsilon", "300"], "--epsilon is 300; allowed are whole grey levels"),
        (["--threshold", "-1"], "--threshold is '-1'; it must be a number from 0 up"),
    ],
)
def test_certify_words_wrong_input_in_one_line(run, adapted, arguments, text):
    assert text in run("certify", adapted.folder, "--size", 16, *arguments).line()


def test_certify_needs_a_folder(run, tmp_path):
    assert "no folder" in run("certify", tmp_path / "none").line()
