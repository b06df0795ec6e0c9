"""Quantizing again by the recipe, bit for bit."""

import pytest

from edgerift import adapt, images, zoo
from edgerift.adapt import AdaptRecipe, PtqSettings, QatSettings
from edgerift.deploy import build, quiet
from edgerift.images import ImagesSettings
from edgerift.verify import verify


@pytest.fixture(scope="module")
def made(quiet_imports, tmp_path_factory):
    """An untrained original, the program that the recipe gives, and its build."""
    folder = tmp_path_factory.mktemp("made")
    described = images.resolve(ImagesSettings(size=12))
    original = zoo.create("lenet", classes=10, size=12)
    zoo.save(original.eval(), folder / "original.safetensors")
    recipe = AdaptRecipe(
        original=adapt.given_original(folder / "original.safetensors"),
        images=described,
        method="ptq",
        target="mobile",
        settings=QatSettings(calibration=PtqSettings(calibration_images=64)),
    )
    with quiet():
        program = adapt.ptq(original, images.open_splits(described).train, target="mobile", calibration_images=64)
        build(program, "litert", folder / "model.tflite")
    return original, recipe, program, folder


def test_the_same_recipe_gives_the_same_program_and_the_same_file(made):
    original, recipe, program, folder = made
    file = folder / "original.safetensors"
    with quiet():
        found = verify(
            original, program=program, recipe=recipe, original_file=file, checks=["requantization", "provenance"]
        )
        of_file = verify(original, folder / "model.tflite", recipe=recipe, checks=["requantization"])
    assert {check.name: check.verdict for check in found.checks} == {
        "requantization": "conforms",
        "provenance": "conforms",
    }
    assert found.verdict == of_file.verdict == "conforms"


def test_what_differs_is_named_by_layer_and_index(made):
    original, recipe, program, _ = made
    layer = next(name for name in program.tensors if name.endswith(".weight"))
    codes, scales = program.tensors[layer].clone(), program.tensors[layer.replace("weight", "scale")].clone()
    codes[2, 0, 1, 1] ^= 1
    scales[3] *= 1.0001
    changed = program.with_tensors({layer: codes, layer.replace("weight", "scale"): scales})
    with quiet():
        found = verify(original, program=changed, recipe=recipe, checks=["requantization"])
    part = found.check("requantization")
    assert (found.verdict, part.figures["differences"]) == ("deviates", 2)
    assert {(place.layer, place.index) for place in part.places} == {
        (layer.replace("weight", "scale"), (3,)),
        (layer, (2, 0, 1, 1)),
    }


def test_other_settings_than_the_recipes_are_found(made):
    original, recipe, program, _ = made
    fewer = recipe.replace(settings=QatSettings(calibration=PtqSettings(calibration_images=32)))
    with quiet():
        found = verify(original, program=program, recipe=fewer, checks=["requantization", "provenance"])
    assert found.check("provenance").verdict == "deviates"
    assert "settings" in found.check("provenance").text
    assert found.check("requantization").verdict == "deviates"
