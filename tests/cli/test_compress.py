"""`edgerift adapt` with pruning or distillation before quantization."""

import json

import pytest

from edgerift import zoo
from edgerift.adapt import sparsity
from edgerift.deploy import Program

# The quantizer of `server` takes a tenth of the time of that of `mobile`.
ADAPT = ("adapt", "--data", "digits", "--size", 16, "--target", "server", "--runtime", "onnxruntime")
SHORT = ("--compress-epochs", 1, "--adapt-epochs", 1, "--batch-size", 256)


@pytest.fixture
def original(adapted):
    return ("--original", adapted.folder / "original.safetensors")


def test_a_pruned_build_comes_with_its_float_model_and_its_sparsity(run, original, tmp_path):
    done = run(*ADAPT, *SHORT, *original, "--method", "prune+ptq", "--sparsity", 0.5, "--out", tmp_path, "--json")
    card = done.json()
    pruned, program = zoo.load(tmp_path / "compressed.safetensors"), Program.load(tmp_path / "program.safetensors")
    assert set(card["accuracy"]) == {"original", "compressed", "twin", "onnxruntime"}
    assert card["provenance"]["method"] == "prune+ptq"
    assert card["mismatches"] == []
    assert {name: layer["zeros"] for name, layer in card["sparsity"].items()} == sparsity(pruned)
    for name, layer in card["sparsity"].items():
        codes = program.tensors[f"{name}.weight"]
        assert layer["weights"] == codes.numel()
        assert layer["zero_codes"] == (codes == 0).double().mean().item() >= layer["zeros"] > 0.45
    again = run("card", tmp_path, "--size", 16)
    assert again.code == 0
    assert "0 in int8" in again.out
    assert json.loads((tmp_path / "card.json").read_text())["sparsity"] == card["sparsity"]


@pytest.mark.slow
def test_a_distilled_build_is_of_the_student_and_replaces_what_was_there(run, original, tmp_path):
    (tmp_path / "compressed.safetensors").write_bytes(b"of an earlier run")
    given = (*ADAPT, *SHORT, *original, "--out", tmp_path, "--json")
    card = run(*given, "--method", "distil+qat", "--distil-to", "mobilenet_tiny").json()
    assert card["provenance"]["settings"]["distil"]["temperature"] == 4
    assert zoo.load(tmp_path / "compressed.safetensors").architecture.name == "mobilenet_tiny"
    assert "sparsity" not in card
    assert "compressed" not in run(*given, "--method", "ptq").json()["accuracy"]
    assert not (tmp_path / "compressed.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--method", "prune+qta"), "it must be ptq, qat, distil+ptq, distil+qat, prune+ptq or prune+qat"),
        (("--method", "prune+ptq", "--sparsity", 1.5), "sparsity is 1.5; it must be less than 1"),
        (("--method", "distil+ptq", "--distil-to", "lenett"), "did you mean 'lenet'"),
    ],
)
def test_wrong_options_are_one_line(run, original, tmp_path, arguments, text):
    assert text in run(*ADAPT, *SHORT, *original, *arguments, "--out", tmp_path / "out").line()
