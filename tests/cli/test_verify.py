"""`edgerift verify`."""

import json
import shutil
from pathlib import Path

import jsonschema
import onnx
import pytest
from onnx import numpy_helper
from quantized_files import float_file, quantized_file

from edgerift.verify import schema

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A float ONNX file, an honest int8 file of it, and one with another code."""
    folder = tmp_path_factory.mktemp("files")
    float_file(folder / "float.onnx")
    quantized_file(folder / "float.onnx", folder / "int8.onnx")
    model = onnx.load(folder / "int8.onnx")
    stored = next(
        one for one in model.graph.initializer if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 4
    )
    values = numpy_helper.to_array(stored).copy()
    values.flat[3] ^= 4
    stored.CopyFrom(numpy_helper.from_array(values, stored.name))
    onnx.save(model, folder / "other.onnx")
    return folder


def test_a_file_of_another_tool_conforms(run, files):
    done = run("verify", "--original", files / "float.onnx", "--build", files / "int8.onnx")
    assert done.code == 0
    told = " ".join(done.out.split())
    assert "int8.onnx: conforms to its original" in told
    assert "by the rules of onnxruntime.quantization" in told
    assert "not made: requantization (needs a recipe), compilation (needs a program)" in told


def test_a_changed_code_fails_and_is_named(run, files):
    done = run("verify", "--original", files / "float.onnx", "--build", files / "other.onnx")
    assert done.code == 1
    told = " ".join(done.out.split())
    assert "does not conform" in told
    assert "[0, 0, 1, 0] is " in told


def test_the_json_is_of_its_schema(run, files):
    found = run("verify", "--original", files / "float.onnx", "--build", files / "int8.onnx", "--json").json()
    jsonschema.validate(found, json.loads(schema()))
    assert (found["verdict"], found["builds"][0]["file"]) == ("conforms", "int8.onnx")


def test_the_documentation_has_the_present_schema():
    """After a change of the document: `python -c "from edgerift import verify; print(verify.schema(), end='')"`."""
    assert (DOCS / "verify.schema.json").read_text() == schema()


def test_a_folder_of_adapt_is_verified_whole(run, adapted, tmp_path):
    folder = shutil.copytree(adapted.folder, tmp_path / "shipped")
    (folder / "model.pte").unlink()
    checks = ("--check", "rounding", "compilation", "provenance", "--json")
    done = run("verify", "--adapted", folder, *checks)
    found = {check["name"]: check["verdict"] for check in json.loads(done.out)["checks"]}
    assert found == {"rounding": "unknown", "compilation": "conforms", "provenance": "conforms"}
    assert done.code == 2  # It was trained, so that its codes do not follow from the original alone.
    card = json.loads((folder / "card.json").read_text())
    card["fingerprint"]["onnxruntime"]["sha256"] = "0" * 64
    (folder / "card.json").write_text(json.dumps(card))
    assert run("verify", "--adapted", folder, "--check", "provenance").code == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "nothing to compare with; give --original FILE or --adapted FOLDER"),
        (("--adapted", "nowhere"), "no folder nowhere"),
        (("--original", "float.onnx"), "nothing to verify; give --build FILE, --program FILE or --adapted FOLDER"),
        (("--original", "float.onnx", "--build", "int9.onnx"), "did you mean int8.onnx?"),
        (
            ("--original", "float.onnx", "--build", "int8.onnx", "--recipe", "int8.onnx"),
            "is no recipe of a quantization",
        ),
        (("--original", "float.onnx", "--build", "int8.onnx", "--quantizer", "nncv"), "did you mean 'nncf'?"),
    ],
)
def test_wrong_input_is_worded_in_one_line(run, files, monkeypatch, arguments, text):
    monkeypatch.chdir(files)
    assert text in run("verify", *arguments).line()


def test_a_repair_is_another_build_of_the_original_and_is_verified(run, adapted, tmp_path):
    folder, repaired = shutil.copytree(adapted.folder, tmp_path / "shipped"), tmp_path / "repaired"
    (folder / "model.pte").unlink()
    checks = ("--check", "origin", "rounding", "scales", "compilation")
    done = run("verify", "--adapted", folder, *checks, "--repair", repaired)
    told = " ".join(done.out.split())
    assert done.code == 0
    assert told.index("may or may not conform") < told.index("quantized again") < told.index("conforms to its original")
    assert "test images: original" in told
    assert {path.name for path in repaired.iterdir()} == {
        "original.safetensors",
        "program.safetensors",
        "model.onnx",
    }
    line = run("verify", "--adapted", folder, "--repair", folder).line()
    assert line == f"--repair {folder} is the folder that is verified; choose another"


def test_a_statement_is_written_and_compared(run, adapted, tmp_path):
    out = tmp_path / "stated"
    assert run(*adapted.arguments, "--statement", "--out", out).code == 0
    verify = ("verify", "--adapted", out, "--check", "provenance", "--json")
    (found,) = json.loads(run(*verify).out)["checks"]
    assert found["verdict"] == "conforms"
    assert "model.onnx of the statement" in found["text"]
    with (out / "model.onnx").open("ab") as file:
        file.write(b"\0")
    assert run(*verify).code == 1
    line = run("verify", "--adapted", adapted.folder, "--public-key", tmp_path / "key.pem").line()
    assert line == "--public-key checks a statement; give that with --statement FILE"
