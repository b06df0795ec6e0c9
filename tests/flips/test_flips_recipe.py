"""The search for bit flips as a step: the report, the flipped build, and what is refused."""

from itertools import islice

import pytest
import torch

from edgerift.deploy import RUNTIMES, Program, code_checksums, open_build, twin, twin_scores
from edgerift.errors import InputError
from edgerift.flips import FlipSettings, FlipsRecipe, FlipsReport, flipped, search_bits
from edgerift.images import open_splits
from edgerift.measure import accuracy
from edgerift.steps import Store, silent


@pytest.fixture(scope="module")
def recipe(small_pair):
    pair = small_pair.settings()
    settings = FlipSettings(flips=5, images=24, trials=2, candidates=1)
    return FlipsRecipe(
        program=pair.program,
        original=pair.original,
        images=small_pair.images,
        runtime="onnxruntime",
        settings=settings,
        count=40,
    )


@pytest.fixture(scope="module")
def folder(recipe, tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store")).get(recipe)


@pytest.fixture(scope="module")
def report(folder):
    return FlipsReport.model_validate_json((folder / "flips.json").read_text())


def test_the_report_is_what_the_files_say(recipe, report, folder, small_pair):
    test = open_splits(small_pair.images).test.select(torch.arange(40))
    build, program = open_build(folder / "model.onnx"), Program.load(folder / "program.safetensors")
    first = report.trials[0]
    assert first.accuracy.value == accuracy(build.predict(test.images), test.labels).value
    original = Program.load(small_pair.folder / "program.safetensors")
    used = first.flips if first.needed is None else first.flips[: first.needed]
    assert code_checksums(program) == code_checksums(flipped(original, used)) != code_checksums(original)
    assert report.accuracy.value == first.curve[0]
    assert len(first.curve) == len(first.flips) + 1
    assert report.chance == float(torch.bincount(test.labels).max()) / 40
    assert report.original_accuracy.value > report.chance


def test_chosen_flips_do_more_than_as_many_random_ones(report):
    assert min(report.trials[0].curve) < report.random[0].accuracy.value
    assert [part.flips for part in report.random] == [report.random[0].flips * times for times in (1, 10, 100)]
    assert sum(report.bits) == sum(layer.used for layer in report.layers) > 0
    assert report.trials[0].flips != report.trials[1].flips


def test_training_images_that_the_seed_draws_steer_the_search(report, small_pair):
    """The same search by hand, from them alone; that of the measured images finds other flips."""
    splits, original = open_splits(small_pair.images), Program.load(small_pair.folder / "program.safetensors")
    measured = splits.test.select(torch.arange(24))
    for trial in report.trials:
        order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(trial.seed))
        steering = splits.train.select(order[:24])
        flips = [(flip.layer, flip.place, flip.bit) for flip in trial.flips]
        assert searched(original, steering, len(flips)) == flips
        assert searched(original, measured, len(flips)) != flips
    assert [trial.seed for trial in report.trials] == [0, 1]


def searched(program, images, count):
    found = islice(search_bits(program, images.images, images.labels, candidates=1), count)
    return [(one.flip.layer, one.flip.place, one.flip.bit) for one in found]


def test_with_a_target_class_the_flips_are_counted_until_it_is_answered(recipe, small_pair, tmp_path):
    """What the report says of the first flips after which enough images of other classes get the target."""
    test = open_splits(small_pair.images).test.select(torch.arange(40))
    original = Program.load(small_pair.folder / "program.safetensors")
    follows = RUNTIMES["onnxruntime"].arithmetic

    def answers(flips):
        return twin_scores(twin(flipped(original, flips), follows), test.images).argmax(1)

    # The class that is answered most: it takes few flips to be answered a little oftener.
    target = int(answers(()).mode().values)
    others = test.labels != target
    reach = float((answers(())[others] == target).float().mean()) + 0.05
    settings = recipe.settings.replace(target_class=target, reach=reach, trials=1, flips=12)
    folder = Store(tmp_path).get(recipe.replace(settings=settings))
    report = FlipsReport.model_validate_json((folder / "flips.json").read_text())
    (trial,) = report.trials
    given = [answers(trial.flips[:count]) for count in range(len(trial.flips) + 1)]
    shares = [float((one[others] == target).float().mean()) for one in given]
    assert report.target_class == target
    assert trial.needed == len(trial.flips) == next(place for place, share in enumerate(shares) if share >= reach)
    assert report.needed.value == trial.needed > 0
    assert trial.curve == pytest.approx([float((one == test.labels).float().mean()) for one in given])
    judged = open_build(folder / "model.onnx").predict(test.images).argmax(1)
    assert trial.answered == int(judged.mode().values)
    assert trial.answered_share == int((judged == trial.answered).sum()) / 40
    assert float((judged[others] == target).float().mean()) >= reach


def test_a_class_that_is_not_there_is_one_line(recipe, tmp_path):
    wrong = recipe.replace(settings=recipe.settings.replace(target_class=12))
    with pytest.raises(InputError, match="there is no class 12"):
        wrong.open(Store(tmp_path), silent)
