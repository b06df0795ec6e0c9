"""A `.pte` beside an original and without a program, at the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any


def test_it_is_inspected_and_audited_with_the_twin_of_its_own_file(run: Any, adapted: Any, tmp_path: Path) -> None:
    build = shutil.copy(adapted.folder / "model.pte", tmp_path / "release.pte")

    found = run("inspect", build, "--json").json()
    assert (found["no_twin"], found["equal_logits"], found["largest_difference"]) == ("", 1.0, 0.0)

    few = ("--data", "digits", "--size", 16, "--images", 8, "--steps", 3, "--threats", "evasion", "--attack", "default")
    original = ("--original", adapted.folder / "original.safetensors", "--build", build)
    outcome = run("audit", *original, *few, "--allow-inaccurate", "--out", tmp_path / "audit")
    assert outcome.code in (0, 1), outcome.err
    document = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert document["pair"]["gradients"] == "file"
    assert document["evasion"]["fidelity_attacked"]["equal_logits"] == 1.0


def test_a_damaged_one_is_one_line(run: Any, adapted: Any, tmp_path: Path) -> None:
    content = (adapted.folder / "model.pte").read_bytes()
    for name, damaged in (("cut", content[: len(content) // 2]), ("header", content[:40] + bytes(400) + content[440:])):
        (tmp_path / f"{name}.pte").write_bytes(damaged)
        assert f"{name}.pte" in run("inspect", tmp_path / f"{name}.pte").line()
