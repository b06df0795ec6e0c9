"""`edgerift harden`: the comparison and the hardened build, what the options describe, each wrong input in one line."""

import json

import pytest

from edgerift import zoo
from edgerift.adapt import Allowance, Divqat, PtqSettings, QatSettings
from edgerift.cli._harden import HardenCommand, HardenOptions
from edgerift.cli._theft import TheftOptions
from edgerift.cli._train import OriginalOptions
from edgerift.deploy import Program, open_build, twin, twin_scores
from edgerift.extract import Knockoff, QuerySettings
from edgerift.harden import PAPER_VARIANTS, VARIANTS, Hardening, HardenRecipe
from edgerift.images import ImagesSettings, open_splits, resolve
from edgerift.measure import accuracy
from edgerift.train import TrainRecipe, TrainSettings

MODELS = {"original.safetensors", "program.safetensors", "model.onnx"}
LABELS = ("soft", "hard")
TWO = ("adversary_error", "disagreement")


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """A store that the runs of these tests share."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def given(small_pair, kept):
    """Harden the original on the disk with little training and few questions."""
    making = ("--original", small_pair.folder / "original.safetensors", "--size", 12, "--target", "server")
    training = ("--adapt-epochs", 1, "--calibration-images", 64)
    thief = ("--student", "lenet", "--budget", 60, "--clone-epochs", 1)
    return ("harden", *making, *training, *thief, "--store", kept)


def test_it_compares_and_leaves_the_hardened_build(run, given, small_pair, tmp_path):
    done = run(*given, "--variants", "ptq", "divqat", "--alpha", 0.1, "--out", tmp_path, "--json")
    assert done.code == 0, done.err
    assert done.out == (tmp_path / "harden.json").read_text()
    assert {path.name for path in tmp_path.iterdir()} > MODELS | {"harden.json"}
    assert list(tmp_path.rglob("*.png")) or list(tmp_path.rglob("*.svg"))
    document = json.loads(done.out)
    assert set(document["victim"]) == {"ptq", "qat", "divqat"}
    for part in document["victim"].values():
        for share in (part["defender_error"], *(part[name][labels] for name in TWO for labels in LABELS)):
            assert 0 <= share["low"] <= share["value"] <= share["high"] <= 1
            assert share["trials"] == 359
        assert part["l1"]["low"] <= part["l1"]["value"] <= part["l1"]["high"]
    assert (document["alpha"], document["victim"]["divqat"]["strength"]) == (0.1, 0.1)
    assert document["thief"]["spent"] == 60

    program = Program.load(tmp_path / "program.safetensors")
    assert program.provenance.method == "divqat"
    assert program.provenance.settings["divqat"]["alpha"] == 0.1
    test = open_splits(small_pair.images).test
    found = 1 - accuracy(open_build(tmp_path / "model.onnx").predict(test.images), test.labels).value
    assert found == pytest.approx(document["victim"]["divqat"]["defender_error"]["value"])
    assert abs(found - (1 - accuracy(twin_scores(twin(program), test.images), test.labels).value)) < 0.02
    original = small_pair.folder / "original.safetensors"
    assert (tmp_path / "original.safetensors").read_bytes() == original.read_bytes()


def test_it_says_what_it_found_and_which_build_is_hardened(run, given, tmp_path):
    done = run(*given, "--variants", "divqat", "--alpha", 0.1, "--out", tmp_path)
    assert done.code == 0
    assert "adversary" in done.out.lower() or "thief" in done.out.lower()
    assert " ".join(done.out.split()).endswith("model.onnx is the hardened build: DivQAT, strength 0.1.")
    again = run(*given, "--variants", "divqat", "--alpha", 0.1, "--out", tmp_path / "again")
    assert (again.code, again.err) == (0, "")


def test_without_a_trained_defence_there_is_no_hardened_build(run, given, tmp_path):
    assert run(*given, "--variants", "rs", "--out", tmp_path).code == 0
    assert not MODELS & {path.name for path in tmp_path.iterdir()}
    assert list(Hardening.model_validate_json((tmp_path / "harden.json").read_text()).victim) == ["qat", "rs"]


def described(**fields):
    return HardenCommand(**{"out": "out"} | fields)._recipe()


def test_without_arguments_it_is_digits_on_executorch():
    recipe = described()
    assert (recipe.images.source, recipe.original.architecture.name) == ("digits", "resnet8")
    assert (recipe.target, recipe.runtime, recipe.alpha, recipe.alphas) == ("mobile", "executorch", None, ())
    assert recipe.rows == HardenRecipe.model_fields["rows"].default
    assert {"ptq", "qat", "divqat"} <= set(recipe.rows)
    assert recipe.allowance == Allowance(l1=0.6, accuracy_drop=0.05, high=2.0)
    assert (recipe.queries.collages, recipe.budget) == (2000, 2000)
    assert recipe.attack.seed != recipe.original.init_seed


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((("paper",),), PAPER_VARIANTS),
        ((("all",),), VARIANTS.names()),
        ((("divqat,ptq",), ("rs", "ptq")), ("ptq", "rs", "divqat")),
        ((("paper", "noise"),), (*PAPER_VARIANTS, "noise")),
    ],
)
def test_the_victims_are_those_named_in_the_order_of_the_table(given, expected):
    assert described(variants=given).rows == expected


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """Stand-ins for two large sets."""
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    for name, classes in (("own", 10), ("other", 5)):
        labels = np.arange(60) % classes
        np.savez(tmp_path / f"{name}.npz", images=pixels, labels=labels)
    return tmp_path


@pytest.mark.filterwarnings("ignore:the images of .* are resized")
def test_options_describe_the_recipes_that_the_python_face_does(sets):
    """A comparison that was begun in Python goes on from the command line: equal recipes, equal results."""
    own, other = str(sets / "own.npz"), str(sets / "other.npz")
    recipe = described(
        variants=(("paper",),),
        data={"data": own, "size": 32},
        hardening=HardenOptions(adapt_epochs=1, alphas=(("0.5", "0.25,1"),)),
        training=OriginalOptions(model="resnet8"),
        stealing=TheftOptions(
            queries=other,
            budget=20000,
            clone_epochs=10,
            clone_learning_rate=0.1,
            clone_batch_size=128,
            clone_precision="bfloat16",
            clone_seed=7,
        ),
    )
    images = resolve(ImagesSettings(source=own, size=32))
    training = TrainSettings(epochs=10, learning_rate=0.1, batch_size=128, precision="bfloat16", seed=7)
    expected = HardenRecipe(
        original=TrainRecipe(
            images=images,
            architecture=zoo.Architecture(name="resnet8", classes=10, size=32),
            settings=TrainSettings(epochs=20, precision="auto"),
        ),
        images=images,
        settings=QatSettings(calibration=PtqSettings(), train=TrainSettings(epochs=1, learning_rate=0.001)),
        rows=PAPER_VARIANTS,
        alphas=(0.25, 0.5, 1.0),
        queries=QuerySettings(images=resolve(ImagesSettings(source=other, size=32, validation_fraction=0.01))),
        budget=20000,
        attack=Knockoff(student="resnet8", training=training, seed=7),
    )
    assert recipe == expected
    assert recipe.digest() == expected.digest()
    fixed = described(hardening=HardenOptions(alpha="0.3", highest_alpha=4, search_steps=2, l1_budget=0.2))
    assert fixed.victims.hardened(Divqat(alpha=fixed.alpha)).defence.alpha == 0.3
    assert fixed.allowance == Allowance(l1=0.2, high=4, steps=2)
    alive = described(hardening=HardenOptions(batch_norm="alive", accuracy_drop=1, adapt_epochs=1))
    assert alive.settings == QatSettings(batch_norm="alive", train=TrainSettings(epochs=1, learning_rate=0.001))
    assert alive.allowance == Allowance(accuracy_drop=1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--variants", "divqt"], "unknown variant 'divqt'; did you mean 'divqat'?"),
        (["--alpha", "automatic"], "--alpha is 'automatic'; it must be auto or a number from 0 up"),
        (["--alpha=-1"], "--alpha is '-1'; it must be auto or a number from 0 up"),
        (["--alphas", "0.1", "much"], "--alphas is 'much'; it must be a number from 0 up"),
        (["--alphas", "inf"], "--alphas is 'inf'; it must be a number from 0 up"),
        (["--l1-budget", "0"], "--l1-budget is 0.0; it must be greater than 0"),
        (["--l1-budget", "3"], "--l1-budget is 3.0; it must be less than or equal to 2"),
        (["--accuracy-drop", "5"], "--accuracy-drop is 5.0; it must be less than or equal to 1"),
        (["--batch-norm", "living"], "--batch-norm"),
        (["--highest-alpha", "0"], "--highest-alpha is 0.0; it must be greater than 0"),
        (["--search-steps", "-1"], "--search-steps is -1; it must be greater than or equal to 0"),
        (["--budget", "0"], "--budget is 0; it must be greater than 0"),
        (["--queries", "./none"], "there is no image folder or .npz file './none'; check the path"),
        (["--student", "lennet"], "unknown model 'lennet'; did you mean 'lenet'?"),
        (["--runtime", "executorch"], "does not take target 'server'; choose onnxruntime or inductor"),
        (["--original", "BAD/none.safetensors"], "cannot read the original at BAD/none.safetensors"),
        (["--size", "16"], "was made for images of 12 pixels, the images are resized to 16; pass --size 12"),
        (["--method", "ptq"], "--method"),
        (["--out", "BAD/file"], "cannot be made a folder"),
    ],
)
def test_wrong_input_is_one_line(run, given, tmp_path, arguments, text):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "file").write_text("not a folder")
    out = () if "--out" in arguments else ("--out", tmp_path / "out")
    line = run(*given, *out, *(value.replace("BAD", str(bad)) for value in arguments)).line()
    assert text.replace("BAD", str(bad)) in line
    assert list(tmp_path.rglob("out/*")) == []


@pytest.mark.slow
def test_digits_are_hardened_in_minutes(run, tmp_path):
    making = ("--data", "digits", "--model", "resnet8", "--target", "mobile", "--variants", "ptq", "qat", "divqat")
    document = run("harden", *making, "--out", tmp_path, "--json").json()
    parts = document["victim"]
    assert set(parts) == {"ptq", "qat", "divqat"}
    assert document["searches"]["divqat"]["chosen"] == document["alpha"]
    assert len(document["searches"]["divqat"]["trials"]) >= 2
    for name in ("ptq", "qat"):
        assert parts[name]["defender_error"]["value"] < 0.05
        # A thief who learns nothing would make every defence look good.
        assert all(parts[name]["disagreement"][labels]["high"] < 0.5 for labels in LABELS)
    assert parts["qat"]["l1"]["value"] == 0
    assert (tmp_path / "model.pte").is_file()
