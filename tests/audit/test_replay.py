"""One finding judged again: as it was, with other pixels, other models, and files that are none."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small_pair import make_other_build

from edgerift import zoo
from edgerift.audit import replay
from edgerift.errors import BuildError, DataError, InputError, ModelError
from edgerift.evade import png_bytes, read_png


@pytest.fixture
def folder(audited, tmp_path):
    """A copy of the audit, which no longer has anything to do with the store."""
    shutil.copytree(audited.folder, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def part(audited):
    return audited.audit.evasion.findings[0]


@pytest.mark.parametrize("kind", ["json", "attacked.png", "clean.png"])
def test_every_finding_evades_again(audited, folder, kind):
    for part in audited.audit.evasion.findings:
        result = replay(folder / "findings" / f"{part.id}.{kind}")
        assert (result.evasive, result.same_pixels, result.same_build, result.same_original) == (True,) * 4
        assert result.finding == part.id
        assert result.label == result.original_answer == str(part.label)
        assert result.build_answer == str(part.build_label) != result.label
        assert result.original_probability == pytest.approx(part.original_probability, abs=1e-6)
        assert result.build_probability == pytest.approx(part.build_probability, abs=1e-6)
        assert result.runtime == "onnxruntime"


def test_the_files_are_found_from_anywhere(folder, part, monkeypatch):
    monkeypatch.chdir(folder / "findings")
    assert replay(Path(f"{part.id}.json")).evasive


def test_the_image_before_the_attack_does_not_evade(folder, part):
    shutil.copy(folder / part.clean_png, folder / part.attacked_png)
    result = replay(folder / "findings" / f"{part.id}.json")
    assert (result.evasive, result.same_pixels, result.same_build) == (False, False, True)
    assert result.build_answer == result.original_answer == result.label


def test_one_grey_level_is_seen(folder, part):
    image = read_png(folder / part.attacked_png)
    image[0, 0, 0] ^= 1
    (folder / part.attacked_png).write_bytes(png_bytes(image))
    assert not replay(folder / part.attacked_png).same_pixels


def test_a_build_that_answers_the_label_does_not_evade(folder, part, small_pair, tmp_path):
    """A build is exchanged, by name and in the audit's folder; the finding says that it is another one."""
    other = make_other_build(small_pair, tmp_path / "other.onnx", label=part.label)
    path = folder / "findings" / f"{part.id}.json"
    named = replay(path, build=other)
    shutil.copy(other, folder / "model.onnx")
    with pytest.raises(InputError, match=r"model\.onnx is not the build that the finding was judged on"):
        replay(path)
    for result in (named, replay(path, allow_mismatch=True)):
        assert (result.evasive, result.same_pixels, result.same_build) == (False, True, False)
        assert (result.same_original, result.build_answer) == (True, result.label)


def test_a_third_class_evades_as_well(folder, part, small_pair, tmp_path):
    """What the build said in the audit does not count; that it is wrong now does."""
    third = next(label for label in range(10) if label not in (part.label, part.build_label))
    other = make_other_build(small_pair, tmp_path / "other.onnx", label=third)
    result = replay(folder / "findings" / f"{part.id}.json", build=other)
    assert (result.evasive, result.build_answer, result.same_build) == (True, str(third), False)


def test_an_original_that_is_wrong_does_not_make_a_finding(folder, part, tmp_path):
    original = zoo.load(folder / "original.safetensors")
    original.body[-1].bias.data[part.label] -= 50.0
    zoo.save(original, tmp_path / "other.safetensors")
    path = folder / "findings" / f"{part.id}.json"
    named = replay(path, original=tmp_path / "other.safetensors")
    shutil.copy(tmp_path / "other.safetensors", folder / "original.safetensors")
    with pytest.raises(InputError, match=r"original\.safetensors is not the original that the finding was judged on"):
        replay(path)
    for result in (named, replay(path, allow_mismatch=True)):
        assert not result.evasive
        assert result.original_answer != result.label
        assert result.build_answer != result.label
        assert (result.same_pixels, result.same_build, result.same_original) == (True, True, False)


def test_a_finding_of_before_tells_nothing_about_its_original(folder, part):
    path = folder / "findings" / f"{part.id}.json"
    content = json.loads(path.read_text())
    del content["original_sha256"]
    path.write_text(json.dumps(content))
    result = replay(path)
    assert (result.evasive, result.same_original) == (True, None)


def changed(folder, part, **fields):
    path = folder / "findings" / f"{part.id}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return path


@pytest.mark.parametrize(
    ("damage", "error", "text"),
    [
        (lambda folder, name: (folder / f"{name}.json").unlink(), InputError, "cannot read the finding"),
        (lambda folder, name: (folder / f"{name}.json").write_text("{}"), InputError, "is no finding of this version"),
        (lambda folder, name: (folder / f"{name}.json").write_bytes(b"\xff"), InputError, "is no finding of this ver"),
        (lambda folder, name: (folder / f"{name}.attacked.png").unlink(), DataError, "cannot read the image"),
        (
            lambda folder, name: (folder / f"{name}.attacked.png").write_bytes(b"\x89PNG\r\n\x1a\n"),
            DataError,
            "is no readable PNG file",
        ),
        (
            lambda folder, name: (folder / f"{name}.attacked.png").write_bytes(
                png_bytes(torch.zeros(3, 16, 16, dtype=torch.uint8))
            ),
            DataError,
            "holds an image of 1x16x16, the original takes 3x12x12",
        ),
        (lambda folder, name: (folder.parent / "model.onnx").unlink(), BuildError, "no build at"),
        (lambda folder, name: (folder.parent / "original.safetensors").unlink(), ModelError, "original.safetensors"),
    ],
)
def test_damage_is_told_in_one_line(folder, part, damage, error, text):
    damage(folder / "findings", part.id)
    with pytest.raises(error) as caught:
        replay(folder / "findings" / f"{part.id}.json")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_finding_of_other_classes_is_refused(folder, part, tmp_path):
    path = changed(folder, part, classes=["a"] * 11)
    with pytest.raises(ModelError, match="the finding has 11 classes, the original answers 10"):
        replay(path)
    path = changed(folder, part, finding=json.loads(path.read_text())["finding"] | {"label": 11})
    with pytest.raises(InputError, match="is damaged: label 11, the classes are 0 to 10"):
        replay(path)
    path = changed(folder, part, finding=part.model_dump())
    zoo.save(zoo.create("lenet", 7, size=12), tmp_path / "seven.safetensors")
    path = changed(folder, part, classes=list("0123456789"))
    with pytest.raises(ModelError, match="the finding has 10 classes, the original answers 7"):
        replay(path, original=tmp_path / "seven.safetensors")


@pytest.mark.parametrize("name", ["../original.safetensors", "/etc/hostname", "a/../../b", "", ".", "a\n", "..\\\\a"])
@pytest.mark.parametrize("field", ["original", "build", "attacked_png"])
def test_a_finding_names_files_of_its_own_folder_alone(folder, part, field, name):
    named = {"finding": part.model_dump() | {field: name}} if field == "attacked_png" else {field: name}
    with pytest.raises(InputError, match="must be the name of a file in the audit's folder"):
        replay(changed(folder, part, **named))


def test_a_folder_is_no_finding(folder, part):
    example = f"such as {folder / 'findings' / part.id}.json"
    for path in (folder, folder / "findings"):
        with pytest.raises(InputError) as caught:
            replay(path)
        assert str(caught.value) == f"{path} is a folder; give one finding, {example}"
    with pytest.raises(InputError, match="is a folder; give one finding of an audit's folder"):
        replay(folder.parent)
    with pytest.raises(
        InputError, match=r"is no finding of this version \(FindingFile.type is 'audit'; it must be 'finding';"
    ):
        replay(folder / "audit.json")


def test_code_of_the_users_own_asks_for_trust(folder, part):
    path = folder / "original.safetensors"
    with safe_open(path, "pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    metadata = {key: value.replace('"lenet"', '"nowhere:factory"') for key, value in metadata.items()}
    save_file(tensors, path, metadata)
    with pytest.raises(ModelError, match="--trust"):
        replay(folder / "findings" / f"{part.id}.json", allow_mismatch=True)
