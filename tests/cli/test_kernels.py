"""Sets of kernels at the command line: one file, run by each of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_networks import residual
from program_maker import ProgramMaker

from edgerift.deploy import build, quiet

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        import torchao.quantization.pt2e  # noqa: F401
    path = tmp_path_factory.mktemp("kernels") / "model.tflite"
    maker = ProgramMaker()
    build(maker.program(residual(maker)), "litert", path)
    return path


@pytest.mark.parametrize(
    ("options", "runtime"),
    [
        ((), "litert"),
        (("--kernels", "default"), "litert"),
        (("--kernels", "builtin"), "litert-builtin"),
        (("--runtime", "litert", "--kernels", "reference"), "litert-reference"),
        (("--runtime", "litert-builtin", "--kernels", "reference"), "litert-reference"),
        (("--runtime", "litert-builtin"), "litert-builtin"),
    ],
)
def test_a_file_is_inspected_with_the_kernels_that_are_named(
    run: Any, file: Path, options: tuple[str, ...], runtime: str
) -> None:
    outcome = run("inspect", file, *options, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["fingerprint"]["runtime"] == runtime
    assert (found["no_twin"], found["equal_logits"], found["integer_macs"]) == ("", 1.0, 1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kernels", "refrence"), ("reference",)),
        (("--runtime", "onnxruntime", "--kernels", "builtin"), ("onnxruntime", "one set of kernels", "litert")),
    ],
)
def test_kernels_that_a_runtime_lacks_are_one_line(
    run: Any, file: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    outcome = run("inspect", file, *options)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert all(word in outcome.err for word in words)
