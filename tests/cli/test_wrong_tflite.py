"""Wrong `.tflite` files at the command line: each is one line and exit code 2, or what it is stands in the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert import schema_py_generated as schema
from tflite_files import TfliteFile

from edgerift.deploy import RUNTIMES


def network(activations: str = "float32", weights: str = "float32", last: str = "RELU") -> bytes:
    """A convolution to three features, one more operator, and their means."""
    file, draws = TfliteFile(), np.random.default_rng(0)
    fine = {} if activations == "float32" else {"scale": 2**-10}
    weighed = {} if weights == "float32" else {"scale": 0.01}
    image = file.tensor([1, 8, 8, 3], activations, **fine)
    kernel = file.tensor([3, 3, 3, 3], weights, **weighed, data=draws.integers(-9, 9, (3, 3, 3, 3)))
    summed = {"dtype": "int64", "scale": 2**-10 * 0.01} if activations == "int16" else {"dtype": "float32"}
    bias = file.tensor([3], **summed, data=np.zeros(3))
    maps = [file.tensor([1, 8, 8, 3], activations, **fine) for _ in range(2)]
    axes, scores = file.tensor([2], "int32", data=[1, 2]), file.tensor([1, 3], activations, **fine)
    sizes = schema.Conv2DOptionsT(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
    file.operator("CONV_2D", [image, kernel, bias], [maps[0]], sizes)
    file.operator(last, [maps[0]], [maps[1]])
    file.operator("MEAN", [maps[1], axes], [scores], schema.ReducerOptionsT())
    return file.written([image], [scores])


#: Files that LiteRT does not run, and words of the line about them.
REFUSED: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "no flatbuffer": (lambda: b"PK\3\4 an archive", ("cannot load", "its identifier TFL3 is missing")),
    "empty": (lambda: b"", ("cannot load", "no .tflite file")),
    "truncated": (lambda: network()[:-400], ("cannot load", "model.tflite")),
    "select-ops": (lambda: network(last="FlexErf"), ("FlexErf", "select-ops")),
    "custom": (lambda: network(last="MyOwn"), ("MyOwn", "custom")),
    "16 bits": (lambda: network("int16", "int8"), ("takes numbers of type int16", "known are")),
}
#: Files that LiteRT runs and that have no twin, and why.
WITHOUT_TWIN: dict[str, tuple[Callable[[], bytes], str]] = {
    "no kernel here": (lambda: network(last="L2_NORMALIZATION"), "L2_NORMALIZATION (operator 1) has no translation"),
    "dynamic range": (lambda: network(weights="int8"), "int8 weights and float activations (dynamic range"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_does_not_run_is_one_line(run: Any, tmp_path: Path, name: str) -> None:
    make, words = REFUSED[name]
    (tmp_path / "model.tflite").write_bytes(make())
    line = run("inspect", tmp_path / "model.tflite").line()
    assert all(word in line for word in words), line


@pytest.mark.parametrize("name", WITHOUT_TWIN)
def test_a_file_without_a_twin_says_why_and_is_no_original(run: Any, tmp_path: Path, name: str) -> None:
    make, why = WITHOUT_TWIN[name]
    path = tmp_path / "model.tflite"
    path.write_bytes(make())
    assert why in run("inspect", path, "--json").json()["no_twin"]
    assert why in run("card", "--original", path, "--build", path, "--data", "digits", "--size", "8").line()


def test_a_float_file_is_a_build_and_it_is_said(run: Any, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(network())
    told = run("inspect", tmp_path / "model.tflite", "--json").json()
    assert (told["integer_macs"], told["no_twin"]) == (0, "")


@pytest.fixture
def dying(tmp_path: Path) -> Iterator[None]:
    """LiteRT whose child process ends as a native fault would end it."""
    script, runtime = tmp_path / "opening.py", RUNTIMES["litert"]
    usual = runtime.opening
    script.write_text(
        "import os, signal\n\ndef import_runtime():\n    pass\n\ndef ask_once(path, threads, kernels):\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    object.__setattr__(runtime, "opening", script)
    yield
    object.__setattr__(runtime, "opening", usual)


@pytest.mark.usefixtures("dying")
def test_a_file_that_kills_the_runtime_is_one_line(run: Any, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(network(last="TANH"))
    line = run("inspect", tmp_path / "model.tflite").line()
    assert "ends the process that opens it (SIGSEGV in litert)" in line
