"""Pruned and distilled models through the store, and quantized."""

import json
from pathlib import Path

import pytest
import torch

from edgerift import zoo
from edgerift.adapt import (
    ADAPTATIONS,
    QUANTIZED,
    AdaptRecipe,
    CompressRecipe,
    Distillation,
    Pruning,
    PtqSettings,
    QatSettings,
    adaptation,
    ptq,
    sparsity,
    weights_digest,
)
from edgerift.deploy import Program
from edgerift.errors import RecipeError
from edgerift.images import ImagesSettings, open_splits
from edgerift.steps import Store, silent
from edgerift.train import TrainRecipe, TrainSettings

IMAGES = ImagesSettings(size=12)
TRAIN = TrainSettings(epochs=1, batch_size=256, learning_rate=0.01, device="cpu")
ORIGINAL = TrainRecipe(images=IMAGES, architecture=zoo.Architecture(name="lenet", classes=10, size=12), settings=TRAIN)
SETTINGS = QatSettings(calibration=PtqSettings(calibration_images=64), train=TRAIN)
PRUNED = Pruning(sparsity=0.6, train=TRAIN)


def adapting(**changes: object) -> AdaptRecipe:
    fields = {"original": ORIGINAL, "images": IMAGES, "target": "server", "settings": SETTINGS}
    return AdaptRecipe(**{**fields, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def test_the_store_keeps_a_pruned_model_as_an_original(store):
    recipe = CompressRecipe(original=ORIGINAL, images=IMAGES, compression=PRUNED)
    folder = store.get(recipe)
    assert {path.name for path in folder.iterdir()} == {
        "original.safetensors",
        "history.json",
        "history.png",
        "recipe.json",
        "SHA256SUMS",
    }
    model = recipe.open(store, silent)
    assert all(share == pytest.approx(0.6, abs=0.02) for share in sparsity(model).values())
    assert CompressRecipe.model_validate_json(recipe.model_dump_json()).digest() == recipe.digest()
    assert len(json.loads((folder / "history.json").read_text())["epochs"]) == 1


@pytest.mark.parametrize("method", ["ptq", "qat"])
def test_what_is_quantized_is_the_pruned_model_of_this_original(store, method):
    recipe = adapting(method=method, compression=PRUNED)
    program = Program.load(store.get(recipe) / "program.safetensors")
    original = zoo.load(store.get(ORIGINAL) / "original.safetensors")
    assert program.provenance.method == f"prune+{method}"
    assert program.provenance.original == weights_digest(original)
    assert program.provenance.settings["prune"] == PRUNED.model_dump(mode="json")
    assert program.provenance.classes == tuple("0123456789")
    pruned = recipe.compressing.open(store, silent)
    for layer in sparsity(pruned):
        zeros = pruned.get_parameter(f"{layer}.weight") == 0
        assert zeros.any()
        assert not program.tensors[f"{layer}.weight"][zeros].any()


def test_a_distilled_student_is_quantized(store):
    recipe = adapting(method="ptq", compression=Distillation(student="lenet", train=TRAIN, temperature=2))
    program = Program.load(store.get(recipe) / "program.safetensors")
    student = recipe.compressing.open(store, silent)
    assert student.architecture.name == "lenet"
    assert program.provenance.method == "distil+ptq"
    assert program.provenance.settings["distil"]["temperature"] == 2
    first = ptq(student, open_splits(IMAGES).train, target="server", settings=SETTINGS.calibration)
    assert all(torch.equal(tensor, program.tensors[name]) for name, tensor in first.tensors.items())


def test_recipes_without_a_compression_keep_their_names():
    assert "compression" not in adapting().model_dump(mode="json")
    assert "keep_zeros" not in QatSettings().model_dump(mode="json")
    assert adapting(compression=PRUNED).digest() != adapting().digest()


def test_the_adaptations_by_name(tmp_path: Path):
    assert set(QUANTIZED) == {"ptq", "qat", "prune+ptq", "prune+qat", "distil+ptq", "distil+qat"}
    assert set(ADAPTATIONS) - set(QUANTIZED) == {"finetune", "prune", "distil"}
    assert adaptation("prune") == ("pruned", "prune", None)
    with pytest.raises(RecipeError, match=r"unknown adaptation 'prune\+qta'; did you mean 'prune\+qat'"):
        adaptation("prune+qta")
