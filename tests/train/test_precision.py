"""What decides the precision of training, and that recipes name what was decided."""

import pytest
import torch

from edgerift.errors import RecipeError
from edgerift.extract import DataFree
from edgerift.train import TrainSettings, bfloat16_is_fast, fastest_precision

FLAGS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def machine(monkeypatch: pytest.MonkeyPatch, *flags: bool, gpu: bool = False) -> None:
    for name, value in zip(FLAGS, flags, strict=True):
        monkeypatch.setattr(torch.cpu, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)


@pytest.mark.parametrize(("flags", "wanted"), [((False, False), False), ((True, False), True), ((False, True), True)])
def test_bfloat16_is_fast_where_the_processor_has_it(monkeypatch, flags, wanted):
    machine(monkeypatch, *flags)
    assert bfloat16_is_fast() is wanted


def test_a_processor_that_older_torch_cannot_ask_is_slow(monkeypatch):
    for name in FLAGS:
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not bfloat16_is_fast()


@pytest.mark.parametrize(
    ("has", "gpu", "device", "precision"),
    [
        (True, False, "auto", "bfloat16"),
        (True, False, "cpu", "bfloat16"),
        (True, True, "cpu", "bfloat16"),
        (True, True, "auto", "float32"),
        (True, True, "cuda", "float32"),
        (False, False, "auto", "float32"),
    ],
)
def test_auto_is_replaced_by_what_the_machine_trains_fastest_in(monkeypatch, has, gpu, device, precision):
    machine(monkeypatch, has, False, gpu=gpu)
    assert fastest_precision(device) == precision
    settings = TrainSettings(precision="auto", device=device)
    assert settings == TrainSettings(precision=precision, device=device)
    assert settings.model_dump_json() == TrainSettings(precision=precision).model_dump_json()
    assert TrainSettings(device=device).replace(precision="auto") == settings


def test_a_recipe_means_the_same_on_a_machine_that_decides_otherwise(monkeypatch):
    machine(monkeypatch, True, False)
    described = TrainSettings(precision="auto").model_dump_json()
    machine(monkeypatch, False, False)
    assert TrainSettings.model_validate_json(described).precision == "bfloat16"
    assert TrainSettings.model_validate_json('{"precision": "auto"}').precision == "float32"


def test_exact_training_is_the_default_of_the_library(monkeypatch):
    machine(monkeypatch, True, False)
    assert TrainSettings().precision == "float32"
    assert DataFree(name="dfme").precision == "float32"


def test_another_precision_is_refused():
    with pytest.raises(RecipeError, match=r"precision.*float16"):
        TrainSettings(precision="float16")
