"""Differential testing as a step: the report, the files, and images without labels."""

import pytest

from edgerift.deploy import open_build, twin_scores
from edgerift.differ import DifferRecipe, DifferReport, DifferSettings
from edgerift.evade import read_png
from edgerift.steps import Store
from edgerift.zoo import load


@pytest.fixture(scope="module")
def recipe(small_pair):
    settings = DifferSettings(epsilon=16, step=2, steps=20)
    return DifferRecipe(pair=small_pair.settings(), images=small_pair.images, settings=settings, count=40)


@pytest.fixture(scope="module")
def folder(recipe, tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store")).get(recipe)


def test_every_finding_is_a_file_on_which_the_models_differ(folder, small_pair):
    report = DifferReport.model_validate_json((folder / "differences.json").read_text())
    original, build = load(small_pair.folder / "original.safetensors"), open_build(small_pair.folder / "model.onnx")
    assert len(report.findings) == report.search.found.successes > 0
    for finding in report.findings[:5]:
        image = read_png(folder / finding.file)[None]
        answers = twin_scores(original, image).argmax(1).item(), build.predict(image).argmax(1).item()
        assert answers == (finding.original, finding.build)
        assert finding.original != finding.build
    assert report.search.images == report.control.images == 40
    assert report.only_search - report.only_control == report.search.found.successes - report.control.found.successes


def test_labels_of_unlabelled_images_are_not_read(recipe, small_pair, tmp_path):
    report = recipe.replace(unlabelled=small_pair.images, count=6).open(Store(tmp_path), lambda *told, **kwargs: None)
    assert report.search.build_wrong is None
    assert all(finding.label is None for finding in report.findings)
    assert "unlabelled" not in recipe.model_dump(mode="json")
