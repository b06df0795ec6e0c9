"""`edgerift extract`: the files, whom and how it steals, going on after Ctrl-C, and each wrong input in one line."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from edgerift import zoo
from edgerift.adapt import GivenOriginal
from edgerift.cli._defences import read_defence
from edgerift.cli._extract import CounterOptions, ExtractCommand
from edgerift.cli._theft import TheftOptions
from edgerift.cli._train import OriginalOptions
from edgerift.cli._victim import VictimOptions
from edgerift.defend import Deception, LabelOnly, ReverseSigmoid, TopK, defended
from edgerift.deploy import BuildRecipe, GivenBuild, open_build, twin_scores
from edgerift.extract import Oracle, Theft
from edgerift.images import open_splits
from edgerift.measure import accuracy, agreement

FILES = {"theft.json", "clone.safetensors", "ledger.bin", "history.json", "history.png"}
DEFENCE = "reverse-sigmoid:beta=0.5,gamma=0.4"


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def given(small_pair):
    """Steal the pair on the disk with few questions."""
    thief = ("--student", "lenet", "--budget", 60, "--clone-epochs", 2)
    return ("extract", "--adapted", small_pair.folder, "--size", 12, *thief)


def test_it_writes_what_was_stolen_and_prints_the_measures_alone(run, given, small_pair, tmp_path):
    done = run(*given, "--defence", DEFENCE, "--out", tmp_path / "out", "--json")
    assert (done.code, names(tmp_path / "out")) == (0, FILES)
    assert done.out == (tmp_path / "out" / "theft.json").read_text()
    assert [line.split(":")[1] for line in done.err.splitlines()] == [" epoch 1/2", " epoch 2/2"]
    theft = Theft.model_validate_json(done.out)
    assert (theft.budget, theft.spent, theft.queries) == (60, 60, "digits collages")
    assert theft.defences == (ReverseSigmoid(beta=0.5, gamma=0.4),)

    test = open_splits(small_pair.images).test
    clean = open_build(small_pair.folder / "model.onnx").predict(test.images).softmax(1)
    answers = defended(clean, theft.defences)
    clone = twin_scores(zoo.load(tmp_path / "out" / "clone.safetensors"), test.images)
    assert theft.defender_error.value == pytest.approx(1 - accuracy(answers, test.labels).value)
    assert theft.adversary_error.value == pytest.approx(1 - accuracy(clone, test.labels).value)
    assert theft.disagreement.value == pytest.approx(1 - agreement(answers, clone).value)


def test_the_ledger_is_that_of_the_answers_that_were_paid_for(run, given, small_pair, tmp_path):
    assert run(*given, "--out", tmp_path).code == 0
    build = open_build(small_pair.folder / "model.onnx")
    with Oracle(build, budget=60, ledger=tmp_path / "ledger.bin") as oracle:
        assert (oracle.spent, oracle.remaining) == (60, 0)


def test_the_same_command_again_steals_nothing(run, given, tmp_path):
    store = ("--store", tmp_path / "store")
    first = run(*given, *store, "--out", tmp_path / "one")
    again = run(*given, *store, "--out", tmp_path / "two")
    assert (again.code, again.err) == (0, "")
    assert str(tmp_path / "one") in first.out
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def described(small_pair, **fields):
    data = {"size": 12}
    return ExtractCommand(**{"out": "out", "data": data, "whom": VictimOptions(adapted=small_pair.folder)} | fields)


def test_options_reach_the_recipe(small_pair):
    recipe = described(
        small_pair,
        defence=("deception:beta=0.7,form=exact", "top-k:k=3"),
        countering=CounterOptions(labels="hard", top_k=2, views=3, smoothing=0.1, undo=True),
        stealing=TheftOptions(budget=33, student="lenet", clone_epochs=7, clone_learning_rate=0.2),
        training=OriginalOptions(seed=4),
    )._recipe()
    attack = recipe.attack
    assert recipe.defences == attack.undo == (Deception(beta=0.7, form="exact"), TopK(k=3))
    assert (attack.labels, attack.top_k, attack.views, attack.smoothing) == ("hard", 2, 3, 0.1)
    assert (attack.student, attack.training.epochs, attack.training.learning_rate) == ("lenet", 7, 0.2)
    assert (recipe.budget, recipe.queries.collages, recipe.images.seed) == (33, 33, 4)


def test_the_thief_does_not_start_from_the_victims_first_weights(small_pair):
    recipe = described(small_pair, whom=VictimOptions())._recipe()
    original = recipe.victim.program.original
    assert recipe.attack.student == original.architecture.name == "resnet8"
    assert recipe.attack.seed != original.init_seed


def test_the_victim_is_the_one_that_was_named(small_pair):
    def victim(**fields):
        return described(small_pair, whom=VictimOptions(**fields))._recipe().victim

    folder = small_pair.folder
    shipped = victim(adapted=folder)
    assert (type(shipped), shipped.runtime) == (GivenBuild, "onnxruntime")
    assert victim(build=folder / "model.onnx") == shipped
    assert isinstance(victim(adapted=folder / "program.safetensors"), BuildRecipe)
    original = victim(adapted=folder, victim="original")
    assert isinstance(original, GivenOriginal)
    assert victim(original=folder / "original.safetensors", victim="original") == original
    made = victim()
    assert (made.runtime, made.program.original.type, made.program.method) == ("executorch", "train", "qat")
    assert victim(original=folder / "original.safetensors").program.original == original


def test_a_build_alone_is_enough(run, small_pair, tmp_path):
    shutil.copy(small_pair.folder / "model.onnx", tmp_path / "release.onnx")
    whom = ("--build", tmp_path / "release.onnx", "--size", 12)
    done = run("extract", *whom, "--student", "lenet", "--budget", 20, "--clone-epochs", 1, "--out", tmp_path / "out")
    assert (done.code, names(tmp_path / "out")) == (0, FILES)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for another process")
def test_a_real_ctrl_c_pays_for_nothing_twice(run, given, tmp_path):
    arguments = [str(value) for value in (*given, "--clone-epochs", 60, "--out", tmp_path / "out")]
    command = [sys.executable, "-c", "import sys; from edgerift.cli import main; sys.exit(main())", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "epoch 1/60" in process.stderr.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "edgerift: stopped; run the same command again to resume"
    assert not (tmp_path / "out").exists()
    again = run(*arguments)
    assert again.code == 0
    assert "epoch 1/60" not in again.err
    assert "epoch 60/60" in again.err
    assert json.loads((tmp_path / "out" / "theft.json").read_text())["spent"] == 60


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label-only", LabelOnly()),
        (" reverse-sigmoid : beta = 0.25 , form = clamped-odds ", ReverseSigmoid(beta=0.25, form="clamped-odds")),
        ("top-k:k=4,renormalise=false", TopK(k=4, renormalise=False)),
    ],
)
def test_a_defence_is_read_as_it_is_written(text, expected):
    assert read_defence(text) == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--defence", "reverse-sigmod"], "unknown defence 'reverse-sigmod'; did you mean 'reverse-sigmoid'?"),
        (["--defence", "deception:betta=1"], "deception:betta=1: unknown setting 'betta'; did you mean 'beta'?"),
        (["--defence", "deception:beta=-1"], "deception:beta=-1: beta is '-1'; it must be greater than or equal to 0"),
        (["--defence", "deception:beta=nan"], "beta is 'nan'; it must be a finite number"),
        (["--defence", "deception:beta"], "'beta' is no setting; write NAME:SETTING=VALUE,SETTING=VALUE"),
        (["--defence", "deception:beta=1,beta=2"], "'beta' is given twice; give it once"),
        (["--defence", "label-only:k=1"], "'label-only' has no settings; write --defence label-only"),
        (["--defence", "top-k:renormalise=false"], "a theft is measured on answers that add up to 1"),
        (["--undo"], "--undo inverts the victim's defences and there are none; name one with --defence"),
        (["--top-k", "11"], "--top-k is 11; the victim predicts 10 classes"),
        (["--views", "61"], "--views is 61 and the budget is 60 images; give fewer views"),
        (["--budget", "0"], "--budget is 0; it must be greater than 0"),
        (["--smoothing", "1"], "--smoothing is 1.0; it must be less than 1"),
        (["--labels", "sof"], "'sof'"),
        (["--queries", "cifar"], "unknown image set 'cifar'; did you mean 'cifar10'?"),
        (["--queries", "./none"], "there is no image folder or .npz file './none'; check the path"),
        (["--student", "lennet"], "unknown model 'lennet'; did you mean 'lenet'?"),
        (["--clone-epochs", "0"], "--clone-epochs is 0; it must be greater than 0"),
        (["--victim", "orignal"], "'orignal'"),
        (["--victim", "original", "--build", "x.onnx"], "--build names a build and --victim original the original"),
        (["--adapted", "BAD"], "no program file at BAD/program.safetensors"),
        (["--build", "BAD/none.onnx"], "no build at BAD/none.onnx"),
        (["--size", "16"], "the program was made for images of 12 pixels, the images are resized to 16"),
        (["--out", "BAD/file"], "cannot be made a folder"),
        (["--defense", "rounding"], "--defence"),
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
