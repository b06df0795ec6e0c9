"""What an audit starts from: a pair that belongs together, classes by name, an original that knows the images."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from small_pair import make_other_build

from edgerift import images, train, zoo
from edgerift.adapt import given_original, ptq
from edgerift.audit import AuditRecipe, run_audit
from edgerift.audit._start import _allowed, _Checks
from edgerift.deploy import Program, build, given_build, given_program, quiet
from edgerift.errors import InputError, ModelError
from edgerift.evade import PairSettings, preset
from edgerift.measure import Rate
from edgerift.steps import Store


def files(folder, original="original.safetensors", program="program.safetensors", model="model.onnx"):
    """The pair of three files, absolute or in a folder."""
    return PairSettings(
        original=given_original(folder / original),
        program=given_program(folder / program),
        build=given_build(folder / model),
    )


@pytest.fixture(scope="module")
def others(small_pair, tmp_path_factory):
    """The same network trained a little further, its program, and builds of other programs."""
    folder = tmp_path_factory.mktemp("others")
    splits = images.open_splits(small_pair.images)
    original = zoo.load(small_pair.folder / "original.safetensors")
    settings = train.TrainSettings(epochs=1, batch_size=64, learning_rate=0.01, device="cpu")
    train.fit(original, splits.train, None, settings=settings)
    zoo.save(original, folder / "later.safetensors")
    with quiet():
        program = ptq(original, splits.train, target="server", calibration_images=64)
        build(program, "onnxruntime", folder / "later.onnx")
    program.save(folder / "later-program.safetensors")
    make_other_build(small_pair, folder / "blind.onnx", label=3)
    return folder


def recipe(small_pair, pair):
    attacks = {"pgd": preset("pgd", 8, 1)}
    return AuditRecipe(pair=pair, images=small_pair.images, attacks=attacks, main="pgd", count=5)


MISMATCHES = {
    "another original": ({"original": "later.safetensors"}, "the program was made from another original than this one"),
    "another program": ({"program": "later-program.safetensors"}, "the program was made from another original"),
    "a stale build": (
        {"original": "later.safetensors", "program": "later-program.safetensors"},
        "the build was not compiled from this program",
    ),
    "a newer build": ({"model": "later.onnx"}, "the build was not compiled from this program"),
    "a blind build": ({"model": "blind.onnx"}, "the build was not compiled from this program"),
}


@pytest.mark.parametrize(("changes", "text"), MISMATCHES.values(), ids=MISMATCHES)
def test_a_pair_whose_parts_do_not_belong_together_is_refused(small_pair, others, tmp_path, changes, text):
    pair = files(small_pair.folder, **{name: others / file for name, file in changes.items()})
    told = []
    with pytest.raises(InputError) as caught:
        run_audit(
            recipe(small_pair, pair),
            tmp_path / "out",
            Store(tmp_path / "store"),
            before=lambda: pytest.fail("the work began"),
            progress=lambda *one: told.append(one),
        )
    assert text in str(caught.value)
    assert str(caught.value).endswith("or --allow-mismatch audits such a pair all the same")
    assert not (tmp_path / "out").exists()
    assert "pgd" not in {one[0] for one in told}


def test_such_a_pair_may_be_audited_and_the_audit_says_so(small_pair, others, tmp_path):
    pair = files(small_pair.folder, original=others / "later.safetensors")
    audit = run_audit(recipe(small_pair, pair), tmp_path / "out", Store(tmp_path / "store"), allow_mismatch=True)
    levels = {flag.name: flag.level for flag in audit.pair.flags}
    assert levels == {"class-names": "ok", "pair-original": "warning", "pair-build": "ok", "accuracy": "ok"}
    assert set(audit.pair.flags) <= set(audit.flags)


def test_a_finished_audit_is_checked_again(small_pair, others, tmp_path):
    """What was measured with leave is no leave for the next one."""
    pair, store = files(small_pair.folder, original=others / "later.safetensors"), Store(tmp_path / "store")
    run_audit(recipe(small_pair, pair), tmp_path / "out", store, allow_mismatch=True)
    with pytest.raises(InputError, match="another original"):
        run_audit(recipe(small_pair, pair), tmp_path / "out", store)


def test_a_program_that_does_not_say_what_it_was_made_from_is_taken(small_pair, tmp_path):
    program = Program.load(small_pair.folder / "program.safetensors")
    Program(**{**vars(program), "provenance": program.provenance.replace(original="")}).save(
        tmp_path / "old.safetensors"
    )
    pair = files(small_pair.folder, program=tmp_path / "old.safetensors")
    audit = run_audit(recipe(small_pair, pair), tmp_path / "out", Store(tmp_path / "store"))
    (flag,) = (flag for flag in audit.flags if flag.name == "pair-original")
    assert (flag.level, flag.seen) == ("ok", "the program does not say what it was made from")


def started(logits, labels, *, learned=None, classes=10, allow=False):
    """Check the accuracy of an original that answers these logits, with a program and a build that pass."""
    model = zoo.create("lenet", classes, size=12)
    model.learned = learned
    names = tuple(f"class {number}" for number in range(classes))
    opened = SimpleNamespace(
        clean=(logits, logits),
        pair=SimpleNamespace(original=model),
        test=SimpleNamespace(labels=labels, classes=names, name="photos", images=torch.zeros(len(labels))),
    )
    return _allowed(_Checks(opened).accuracy(), allow, "--allow-inaccurate audits it all the same")


def answers(right, labels, classes):
    """Logits that give the first `right` images their label, and the others the next class."""
    wrong = torch.arange(len(labels)) >= right
    return torch.nn.functional.one_hot((labels + wrong) % classes, classes).float()


def balanced(count, classes=10):
    return torch.arange(count) % classes


#: images, right, the share of the commonest class as its number of images, classes; whether it is stopped.
ACCURACIES = {
    "a healthy set": (1000, 920, 100, 10, False),
    "a weak original": (1000, 400, 100, 10, False),
    "chance": (1000, 100, 100, 10, True),
    "below chance": (1000, 2, 100, 10, True),
    "hardly above chance": (1000, 150, 100, 10, True),
    "five images, all right": (5, 5, 1, 10, False),
    "five images, three right": (5, 3, 1, 10, False),
    "ten images, one right": (10, 1, 1, 10, True),
    "one image, wrong": (1, 0, 1, 10, False),
    "one class alone": (200, 180, 200, 10, False),
    "nearly one class": (1000, 900, 990, 10, False),
    "two classes, healthy": (100, 85, 50, 2, False),
    "two classes, guessed": (100, 50, 50, 2, True),
    "two classes, turned round": (100, 10, 50, 2, True),
    "a hundred classes, weak": (10_000, 1500, 100, 100, False),
    "a hundred classes, sorted as text": (10_000, 300, 100, 100, True),
}


@pytest.mark.parametrize(("count", "right", "most", "classes", "stopped"), ACCURACIES.values(), ids=ACCURACIES)
def test_an_original_at_chance_stops_and_a_healthy_one_never(count, right, most, classes, stopped):
    others = torch.arange(count - most) % max(classes - 1, 1) + 1
    labels = torch.cat([torch.zeros(most, dtype=torch.long), others])
    logits = answers(right, labels, classes)
    if not stopped:
        assert started(logits, labels, classes=classes).level == "ok"
        return
    with pytest.raises(InputError) as caught:
        started(logits, labels, classes=classes)
    text = str(caught.value)
    assert f"the original gets {Rate(right, count)} of the test images of photos right" in text
    for reason in ("order of the classes", "normalisation", "size of the images", "--allow-inaccurate"):
        assert reason in text
    assert started(logits, labels, classes=classes, allow=True).level == "warning"


@pytest.mark.parametrize("right", range(30, 101))
def test_few_images_of_a_healthy_original_are_stopped_by_bad_luck_alone(right):
    """An original that is right on 60 % is stopped in fewer than one of forty sets of twenty images."""
    from scipy.stats import binom

    labels = balanced(20)
    stopped = []
    for hits in range(21):
        try:
            started(answers(hits, labels, 10), labels)
        except InputError:
            stopped.append(hits)
    assert stopped == list(range(max(stopped) + 1))
    if right >= 60:
        assert binom.cdf(max(stopped), 20, right / 100) < 0.025


@pytest.mark.parametrize(
    ("accuracy", "images", "right", "stopped"),
    [
        (0.9, 1000, 880, False),
        (0.9, 1000, 720, False),
        (0.9, 1000, 550, True),
        (0.9, 20, 550, False),
        (0.9, 20, 450, True),
        (0.6, 1000, 500, False),
        (0.6, 1000, 350, True),
        (None, None, 550, False),
    ],
)
def test_an_original_that_knew_more_in_its_training_stops(accuracy, images, right, stopped):
    learned = zoo.Learned(data="signs", classes=tuple("0123456789"), accuracy=accuracy, images=images)
    labels = balanced(1000)
    logits = answers(right, labels, 10)
    if stopped:
        with pytest.raises(
            InputError, match=f"its training measured {accuracy:.1%} on {images} images of signs held out"
        ):
            started(logits, labels, learned=learned)
    else:
        assert started(logits, labels, learned=learned).level == "ok"


def test_an_original_of_other_images_stops_the_audit_before_the_attacks(small_pair, tmp_path):
    """The normalisation is forgotten: every other part fits, and only the accuracy tells."""
    original = zoo.load(small_pair.folder / "original.safetensors")
    original.normalise.mean += 3.0
    zoo.save(original, tmp_path / "original.safetensors")
    splits = images.open_splits(small_pair.images)
    with quiet():
        program = ptq(original, splits.train, target="server", calibration_images=64)
        build(program, "onnxruntime", tmp_path / "model.onnx")
    program.save(tmp_path / "program.safetensors")
    asked = recipe(small_pair, files(tmp_path))
    with pytest.raises(InputError, match=r"right; always predicting the most common class reaches 10\.\d%; look at"):
        run_audit(asked, tmp_path / "out", Store(tmp_path / "store"))
    assert not (tmp_path / "out").exists()


def renamed(small_pair, folder, classes):
    """Copy the pair, with an original that calls its classes otherwise; without names where there are none."""
    shutil.copytree(small_pair.folder, folder)
    original = zoo.load(folder / "original.safetensors")
    original.learned = None if classes is None else zoo.Learned(data="somewhere", classes=classes)
    zoo.save(original, folder / "original.safetensors")
    program = Program.load(folder / "program.safetensors")
    without = program.provenance.replace(classes=())
    Program(**{**vars(program), "provenance": without}).save(folder / "program.safetensors")
    return files(folder)


def test_classes_in_another_order_are_refused_by_name(small_pair, tmp_path):
    pair = renamed(small_pair, tmp_path / "pair", tuple("0132456789"))
    with pytest.raises(ModelError, match=r"class '3' is number 2 to the model and 3 in digits \(2 of 10 names stand"):
        run_audit(recipe(small_pair, pair), tmp_path / "out", Store(tmp_path / "store"), allow_inaccurate=True)
    program = Program.load(tmp_path / "pair" / "program.safetensors")
    told = program.provenance.replace(classes=tuple("1023456789"))
    Program(**{**vars(program), "provenance": told}).save(tmp_path / "pair" / "program.safetensors")
    nameless = zoo.load(tmp_path / "pair" / "original.safetensors")
    nameless.learned = None
    zoo.save(nameless, tmp_path / "pair" / "original.safetensors")
    with pytest.raises(ModelError, match="class '1' is number 0 to the model and 1 in digits"):
        run_audit(recipe(small_pair, files(tmp_path / "pair")), tmp_path / "out", Store(tmp_path / "store"))


@pytest.mark.parametrize(
    ("classes", "level", "seen"),
    [
        (tuple("0123456789"), "ok", "name 10 of 10 classes alike"),
        (None, "ok", "neither the original nor the program says"),
        (tuple(f"digit {number}" for number in range(10)), "note", "what is '0' here was 'digit 0' in the model's tr"),
    ],
    ids=["the same", "none", "others"],
)
def test_other_names_are_told_and_none_are_taken(small_pair, tmp_path, classes, level, seen):
    pair = renamed(small_pair, tmp_path / "pair", classes)
    audit = run_audit(recipe(small_pair, pair), tmp_path / "out", Store(tmp_path / "store"))
    flag = audit.pair.flags[0]
    assert (flag.name, flag.level) == ("class-names", level)
    assert seen in flag.seen
