"""The guard that ships with a build: on the disk, in the fingerprint, and the same abstentions as in the twin."""

import json
import shutil
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from made_networks import layers, random_images

from edgerift.deploy import (
    RUNTIMES,
    GivenBuild,
    given_build,
    guard_path,
    open_build,
    opened_build,
    ship_guard,
    twin,
    twin_scores,
    write_guard,
)
from edgerift.errors import BuildError
from edgerift.specification import Guard
from edgerift.steps import Store, silent


@pytest.fixture
def shipped(build_once, tmp_path):
    """Copy a build, with a guard that abstains from some of the images."""

    def copy(runtime, target="mobile"):
        program, made = build_once(runtime, layers, target)
        path = tmp_path / made.path.name
        shutil.copy(made.path, path)
        images = random_images(64)
        guard = Guard.calibrate(made.predict(images), 0.7)
        write_guard(guard, runtime, path)
        return program, path, guard, images

    return copy


@pytest.mark.parametrize(("runtime", "target"), [("executorch", "mobile"), ("onnxruntime", "server")])
def test_the_device_abstains_from_the_same_images_as_the_twin(shipped, runtime, target):
    program, path, _, images = shipped(runtime, target)
    content = json.loads(guard_path(path).read_text())
    # As a device does it: the artefact's answers, and the two numbers of the file.
    best = open_build(path).predict(images).topk(2, 1).values
    answered = best[:, 0] - best[:, 1] >= content["threshold"]
    scores = twin_scores(twin(program, RUNTIMES[runtime].arithmetic), images)
    assert torch.equal(open_build(path).guard.answers(scores), answered)
    assert 0 < int(answered.sum()) < len(images)


def test_the_threshold_in_an_onnx_model_makes_every_runtime_abstain_from_the_same_images(build_once, tmp_path):
    program, first = build_once("executorch", layers, "mobile")
    _, second = build_once("onnxruntime", layers, "mobile")
    images = random_images(64)
    for made in (first, second):
        path = tmp_path / made.path.name
        shutil.copy(made.path, path)
        ship_guard(Guard.calibrate(made.predict(images), 0.7), made.runtime, path)
    guard_path(tmp_path / "model.onnx").unlink()
    # As a device does it, with ONNX Runtime alone.
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    logits, gap, answered = session.run(None, {"images": (images.float() / 255).numpy()})
    threshold = float(session.get_modelmeta().custom_metadata_map["edgerift.guard.threshold"])
    best = torch.from_numpy(logits).topk(2, 1).values
    assert torch.equal(torch.from_numpy(gap), best[:, 0] - best[:, 1])
    assert torch.equal(torch.from_numpy(answered), torch.from_numpy(gap) >= threshold)
    for name in ("model.pte", "model.onnx"):
        build = open_build(tmp_path / name)
        twins = twin_scores(twin(program, RUNTIMES[build.runtime].arithmetic), images)
        assert torch.equal(build.guard.answers(build.predict(images)), build.guard.answers(twins))
        assert torch.equal(build.guard.answers(twins), torch.from_numpy(answered))
    assert 0 < int(answered.sum()) < len(images)


def test_a_guard_inside_an_artefact_changes_none_of_its_scores_and_can_be_taken_out(build_once, tmp_path):
    _, made = build_once("onnxruntime", layers, "server")
    path, images = tmp_path / "model.onnx", random_images(8)
    shutil.copy(made.path, path)
    ship_guard(Guard(threshold=0.25), "onnxruntime", path)
    guarded = path.read_bytes()
    opened = open_build(path)
    assert torch.equal(opened.predict(images), made.predict(images))
    assert torch.equal(opened.translated(images.float() / 255), made.translated(images.float() / 255))
    assert (opened.operators(), opened.integer_macs()) == (made.operators(), made.integer_macs())
    ship_guard(Guard(threshold=0.25), "onnxruntime", path)
    assert path.read_bytes() == guarded
    ship_guard(Guard(threshold=0.5), "onnxruntime", path)
    guard_path(path).unlink()
    assert open_build(path).guard == Guard(threshold=0.5)
    ship_guard(None, "onnxruntime", path)
    assert open_build(path).guard is None
    assert path.read_bytes() == made.path.read_bytes()


@pytest.mark.parametrize(("key", "value"), [("threshold", "-1"), ("threshold", "nan"), ("space", "luck")])
def test_metadata_that_are_no_guard_are_refused(build_once, tmp_path, key, value):
    _, made = build_once("onnxruntime", layers, "server")
    path = tmp_path / "model.onnx"
    shutil.copy(made.path, path)
    ship_guard(Guard(threshold=0.25), "onnxruntime", path)
    guard_path(path).unlink()
    model = onnx.load(path)
    next(one for one in model.metadata_props if one.key.endswith(key)).value = value
    onnx.save(model, path)
    with pytest.raises(BuildError, match="hold no guard"):
        open_build(path)


def test_a_guard_is_read_back_and_part_of_the_fingerprint(shipped):
    _, path, guard, _ = shipped("onnxruntime", "server")
    opened = open_build(path)
    assert opened.guard == opened.read_as(opened.specification).guard == opened.fingerprint().guard == guard
    write_guard(None, "onnxruntime", path)
    bare = open_build(path)
    assert bare.guard is None
    assert bare.fingerprint() == opened.fingerprint().replace(guard=None)
    assert "guard" not in bare.fingerprint().model_dump()


def test_the_guard_of_another_build_is_refused(shipped):
    _, path, _, _ = shipped("onnxruntime", "server")
    content = json.loads(guard_path(path).read_text())
    guard_path(path).write_text(json.dumps({**content, "build": "0" * 64}))
    with pytest.raises(BuildError, match="guard of another build"):
        open_build(path)
    guard_path(path).write_text(json.dumps({**content, "threshold": -1}))
    with pytest.raises(BuildError, match="is no guard"):
        open_build(path)


def test_a_given_build_carries_its_guard_into_the_store(shipped, tmp_path):
    _, path, guard, _ = shipped("onnxruntime", "server")
    given, store = given_build(path), Store(tmp_path / "store")
    assert given.guard == guard
    assert opened_build(given, store, silent).guard == guard
    write_guard(None, "onnxruntime", path)
    bare = given_build(path)
    assert bare.digest() != given.digest()
    assert opened_build(bare, store, silent).guard is None
    assert GivenBuild.model_validate(json.loads(given.canonical_json())) == given.replace(path=Path())
