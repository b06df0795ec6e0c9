"""A user's own network by a file of its weights: the whole way, and each wrong input in one line."""

import json
from pathlib import Path

import mynet
import pytest
import torch

from edgerift import images, zoo
from edgerift.images import ImagesSettings, in_channels, to_float
from edgerift.measure import accuracy

SOURCE = Path(mynet.__file__)
DATA = ("--data", "digits", "--size", 12)
QUICK = ("--method", "ptq", "--target", "server", "--runtime", "onnxruntime", "--calibration-images", 64)


@pytest.fixture(scope="session")
def splits():
    return images.open_splits(ImagesSettings(size=12))


@pytest.fixture(scope="session")
def weights(tmp_path_factory, splits):
    """Files of weights: `plain` for images less 0.5 over 0.25, `levels` for grey levels, `two` as `plain`."""
    folder = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mynet.trained(splits.train, folder / "plain.pt", mynet.Net(), 4, -2)
        mynet.trained(splits.train, folder / "levels.pt", mynet.Levels(), 255, 0)
        mynet.trained(splits.train, folder / "grey.pt", mynet.Net(channels=1), 4, -2)
    return folder


def given(weights, name, factory, *more):
    model = ("--model", f"{SOURCE}:{factory}") if factory else ()
    return (*DATA, "--original", weights / name, *model, *more)


def test_weights_and_a_factory_go_the_whole_way(run, weights, splits, tmp_path):
    normalised = ("--input", "mean=0.5,std=0.25", "--trust")
    made = run("adapt", *given(weights, "plain.pt", "create", *normalised), *QUICK, "--out", tmp_path, "--json").json()
    network = mynet.Net().eval()
    network.load_state_dict(torch.load(weights / "plain.pt", weights_only=True))
    with torch.no_grad():
        rate = accuracy(network((to_float(in_channels(splits.test.images, 3)) - 0.5) / 0.25), splits.test.labels)
    assert made["accuracy"]["original"] == rate.value
    assert rate.value > 0.85
    assert made["accuracy"]["onnxruntime"] > rate.value - 0.03
    written = zoo.load(tmp_path / "original.safetensors", trust=True)
    assert written.architecture.specification.input.mean == (0.5,)


def test_a_network_that_takes_bgr_is_quantized_as_it_is_fed(run, weights, splits, tmp_path):
    state = torch.load(weights / "plain.pt", weights_only=True)
    state["stem.weight"] = state["stem.weight"].flip(1)
    torch.save(state, tmp_path / "bgr.pt")
    fed = ("--input", "mean=0.5,std=0.25,channels=bgr", "--trust")
    made = run(
        *("adapt", *given(tmp_path, "bgr.pt", "create", *fed), *QUICK, "--out", tmp_path / "out", "--json")
    ).json()
    network = mynet.Net().eval()
    network.load_state_dict(torch.load(weights / "plain.pt", weights_only=True))
    with torch.no_grad():
        rate = accuracy(network((to_float(in_channels(splits.test.images, 3)) - 0.5) / 0.25), splits.test.labels)
    assert abs(made["accuracy"]["original"] - rate.value) < 0.01
    assert made["accuracy"]["onnxruntime"] > rate.value - 0.03


def test_an_audit_of_own_weights_replays_from_its_folder(run, weights, tmp_path):
    normalised = ("--input", weights / "plain.yaml", "--trust")
    (weights / "plain.yaml").write_text("input: {mean: 0.5, std: 0.25}\n", encoding="utf-8")
    attack = ("--attack", "default", "--steps", 4, "--epsilon", 24, "--images", 60, "--control", "no")
    out = tmp_path / "audit"
    done = run(
        *("audit", *given(weights, "plain.pt", "create", *normalised), *QUICK, *attack),
        *("--threats", "evasion", "--out", out, "--json", "--store", tmp_path / "store"),
    )
    assert done.code in (0, 1), done.err
    document = json.loads(done.out)
    assert document["pair"]["model"] == f"{SOURCE}:create"
    findings = document["evasion"]["findings"]
    assert findings
    replayed = run("replay", out / findings[0]["attacked_png"], "--trust", "--json").json()
    assert replayed["evasive"]
    assert replayed["same_original"]
    assert "--trust" in run("replay", out / findings[0]["attacked_png"]).line()


def test_a_file_beside_the_weights_says_how_they_are_fed(run, weights, tmp_path):
    (weights / "levels.pt.yaml").write_text("input: {scale: 1}\n", encoding="utf-8")
    try:
        made = run(
            *("adapt", *given(weights, "levels.pt", "Levels", "--trust"), *QUICK, "--out", tmp_path, "--json")
        ).json()
    finally:
        (weights / "levels.pt.yaml").unlink()
    assert made["accuracy"]["original"] > 0.85
    assert made["accuracy"]["onnxruntime"] > made["accuracy"]["original"] - 0.03


@pytest.mark.parametrize(
    ("name", "factory", "more", "told"),
    [
        ("plain.pt", "", (), "holds weights without their architecture; name it with --model"),
        ("plain.pt", "create", (), "is your own code; pass trust=True (--trust)"),
        ("plain.pt", "creat", ("--trust",), "unknown factory of module"),
        ("plain.pt", "grey", ("--trust",), "'stem.weight' is [8, 3, 3, 3] and [8, 1, 3, 3] in the architecture"),
        ("grey.pt", "grey", ("--trust",), "it answers with --input channels=grey"),
        ("plain.pt", "Two", ("--trust",), "has 2 outputs: 0 [8, 10], 1 [8, 432]; pick the scores with index=N"),
        ("plain.pt", "create", ("--trust", "--input", "layout=nhwc"), "it answers without --input"),
        ("plain.pt", "create", ("--trust", "--input", "layot=nhwc"), "did you mean 'layout'?"),
        ("plain.pt", "create", ("--trust", "--input", "none.yaml"), "cannot read the specification none.yaml"),
        ("plain.pt", "create", ("--trust", "--input", "background=first"), "has 9 classes, the data has 10"),
        ("cut.pt", "create", ("--trust",), "is not a whole file of PyTorch"),
        ("levels.pt", "Levels", ("--trust",), "hardly knows these images, but with scale=1 the accuracy is 9"),
    ],
)
def test_a_wrong_input_is_told_in_one_line(run, weights, tmp_path, name, factory, more, told):
    (weights / "cut.pt").write_bytes((weights / "plain.pt").read_bytes()[:-100])
    line = run("adapt", *given(weights, name, factory, *more), *QUICK, "--out", tmp_path).line()
    assert told in line
    assert not list(tmp_path.iterdir())


def test_input_is_for_weights_of_others(run, adapted, tmp_path):
    own = ("--original", adapted.folder / "original.safetensors", "--size", 16)
    assert (
        "is edgerift's own and says what it takes"
        in run(*("adapt", *own, "--input", "mean=0.5", "--out", tmp_path)).line()
    )
    trained = run("adapt", *DATA, "--input", "mean=0.5", "--out", tmp_path)
    assert "--input is for the weights of a file" in trained.line()
    # Training takes no file at all.
    assert "unknown option --input" in run("train", *DATA, "--input", "mean=0.5", "--out", tmp_path).line()
