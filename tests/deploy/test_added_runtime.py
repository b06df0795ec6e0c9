"""A runtime is added by a folder alone, as docs/how-to/add-a-runtime.md says."""

from added_parts import code_blocks, run_with

USED = """
from pathlib import Path

import torch
from two_convolutions import two_convolutions
from edgerift.cli import main
from edgerift.deploy import BuildRecipe, default_runtime, runtimes_for

program = two_convolutions("mobile", second_in_integers=True)
images = torch.randint(256, (5, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
check_the_runtime(program, images, Path())
assert runtimes_for("server") == ("onnxruntime", "inductor", "reference")
assert default_runtime("mobile") == "executorch"
assert "reference" in BuildRecipe.model_json_schema()["properties"]["runtime"]["enum"]
assert main(["doctor"]) == 0
assert main(["adapt", "--help"]) == 0
"""


def test_a_folder_adds_a_runtime_everywhere(tmp_path):
    runtime, opening, check = code_blocks("add-a-runtime.md")
    folder = "deploy/runtimes/reference"
    told = run_with({f"{folder}/__init__.py": runtime, f"{folder}/_opening.py": opening}, check + USED, tmp_path)
    assert "runtime reference" in told
    assert told.count("reference") > 1
