"""The evidence: what is written for each finding and each attacked image, and what goes when it is written again."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from edgerift.audit import FindingFile
from edgerift.audit._evidence import findings, sample_lines, write_evidence
from edgerift.deploy import Fingerprint
from edgerift.measure import l2_distance, linf_distance, ssim

FINGERPRINT = Fingerprint(runtime="made", version="1", sha256="0" * 64, processor="p", instructions="i")


@pytest.fixture
def some(found):
    """A dozen of the attacked images; not all of them evade."""
    some = found.evasion.select(torch.arange(12))
    assert 4 < some.evasive.sum() < 12
    return some


def write(folder, found, parts):
    write_evidence(
        folder,
        found,
        parts,
        version="0.1.0",
        original="original.safetensors",
        build="model.bin",
        fingerprint=FINGERPRINT,
    )


def pixels(path):
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_each_evasive_image_is_a_finding(found):
    result = found.evasion
    parts = findings(result, "main")
    rows = result.evasive.nonzero()[:, 0].tolist()
    assert 20 < len(parts) == len(rows) < len(result)
    for part, row in zip(parts, rows, strict=True):
        image = result.images[row]
        assert part.id == f"main-{int(result.index[row]):06d}"
        assert part.index == result.index[row]
        assert torch.equal(found.test.images[part.index], result.clean[row])
        assert (part.label, part.original_label, part.build_label) == (1, 1, 0)
        original, build = found.pair.original_scores(image[None])[0], found.pair.build_scores(image[None])[0]
        assert part.original_probability == pytest.approx(float(original.softmax(0)[1]), abs=1e-5)
        assert part.build_probability == pytest.approx(float(build.softmax(0)[0]), abs=1e-5)
        assert part.build_right_probability == pytest.approx(float(build.softmax(0)[1]), abs=1e-5)
        assert part.step == result.first[row]
        assert part.sha256 == hashlib.sha256(image.numpy().tobytes()).hexdigest()
        both = result.clean[row][None], image[None]
        assert 0 < part.linf == linf_distance(*both) <= 8
        assert part.l2 == l2_distance(*both)
        assert part.ssim == ssim(*both)


def test_the_files_hold_the_pixels_and_what_is_needed_to_judge_them(some, tmp_path):
    result = some
    parts = findings(result, "main")
    write(tmp_path, result, parts)
    names = {f"{part.id}.{kind}" for part in parts for kind in ("json", "clean.png", "attacked.png")}
    assert {path.name for path in (tmp_path / "findings").iterdir()} == names
    hits = result.select(result.evasive)
    for row, part in enumerate(parts):
        assert torch.equal(pixels(tmp_path / part.clean_png), hits.clean[row])
        assert torch.equal(pixels(tmp_path / part.attacked_png), hits.images[row])
        described = FindingFile.model_validate_json((tmp_path / "findings" / f"{part.id}.json").read_bytes())
        assert described.finding == part
        assert described.fingerprint == FINGERPRINT
        assert (described.original, described.build) == ("original.safetensors", "model.bin")
        assert described.classes == ("class 0", "class 1")


def test_without_findings_the_folder_is_empty(some, tmp_path):
    none = replace(some, evasive=torch.zeros_like(some.evasive))
    assert findings(none, "main") == ()
    write(tmp_path, none, ())
    assert list(tmp_path.iterdir()) == []


def test_each_attacked_image_is_one_line(found):
    result = found.evasion
    text = sample_lines(result)
    assert text.endswith("}\n")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["index"] for line in lines] == result.index.tolist()
    for name in ("evasive", "void", "fooled", "first", "gradient_calls", "build_questions", "original_questions"):
        assert [line[name] for line in lines] == getattr(result, name).tolist(), name
    assert [line["linf"] for line in lines] == linf_distance(result.clean, result.images).tolist()
    assert [line["l2"] for line in lines] == l2_distance(result.clean, result.images).tolist()
    assert {line["label"] for line in lines} == {1}
    for name in ("clean_original", "clean_build", "original", "build"):
        probabilities = getattr(result, name).double().softmax(1)
        assert [line[f"{name}_label"] for line in lines] == probabilities.argmax(1).tolist()
        assert [line[f"{name}_probability"] for line in lines] == probabilities.amax(1).tolist()
        assert [line[f"{name}_label_probability"] for line in lines] == probabilities[:, 1].tolist()
    assert any(line["build_label"] == 0 for line in lines)
