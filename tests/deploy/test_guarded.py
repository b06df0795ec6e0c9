"""The guard that ships with a build: on the disk, in the fingerprint, and the same abstentions as in the twin."""

import json
import shutil
from pathlib import Path

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
