"""The search for bit flips as a step: the report, the flipped build, and what is refused."""

import pytest
import torch

from edgerift.deploy import Program, code_checksums, open_build
from edgerift.errors import InputError
from edgerift.flips import FlipSettings, FlipsRecipe, FlipsReport, flipped
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


def test_a_class_that_is_not_there_is_one_line(recipe, tmp_path):
    wrong = recipe.replace(settings=recipe.settings.replace(target_class=12))
    with pytest.raises(InputError, match="there is no class 12"):
        wrong.open(Store(tmp_path), silent)
