"""The runtime's own process: the same answers, errors in one line, and another process after a crash."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_pair import SmallPair
from torch import Tensor

from edgerift.deploy import RUNTIMES, OpenedBuild, open_build
from edgerift.errors import BuildError
from edgerift.images import ImageShape
from edgerift.serve import ProcessBuild
from edgerift.serve import _runtime_process as process
from edgerift.specification import Specification

SHAPE = ImageShape(3, 12, 12)


@pytest.fixture(scope="module")
def opened(small_pair: SmallPair) -> OpenedBuild:
    return open_build(small_pair.folder / "model.onnx")


@pytest.fixture(scope="module")
def served(opened: OpenedBuild) -> Iterator[ProcessBuild]:
    build = ProcessBuild(opened, SHAPE)
    yield build
    build.close()


def images(count: int) -> Tensor:
    return torch.randint(256, (count, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("count", [1, 64, 65, 200])
def test_answers_are_the_builds_own(opened: OpenedBuild, served: ProcessBuild, count: int) -> None:
    asked = images(count)
    assert torch.equal(served.predict(asked), opened.predict(asked))
    reversed_rows = asked.permute(0, 2, 3, 1).flip(1).permute(0, 3, 1, 2)
    assert torch.equal(served.predict(reversed_rows), opened.predict(reversed_rows))


def test_it_is_the_same_build_to_a_ledger(opened: OpenedBuild, served: ProcessBuild) -> None:
    assert served.fingerprint() == opened.fingerprint()
    assert (served.runtime, served.path) == (opened.runtime, opened.path)
    assert served.process_id not in (None, os.getpid())


def test_what_the_build_refuses_is_told_and_the_process_goes_on(opened: OpenedBuild) -> None:
    wrong = ProcessBuild(opened, ImageShape(3, 12, 13))
    try:
        before = wrong.process_id
        with pytest.raises(BuildError, match=r"model\.onnx takes images"):
            wrong.predict(torch.zeros(2, 3, 12, 13, dtype=torch.uint8))
        assert wrong.process_id == before
    finally:
        wrong.close()


def test_a_crash_is_told_and_the_next_query_starts_another_process(opened: OpenedBuild, served: ProcessBuild) -> None:
    before = served.process_id
    assert before is not None
    os.kill(before, signal.SIGKILL)
    with pytest.raises(BuildError, match=r"model\.onnx ended \(SIGKILL\); the next query starts another"):
        served.predict(images(3))
    assert torch.equal(served.predict(images(3)), opened.predict(images(3)))
    assert served.process_id != before


def test_a_file_that_cannot_be_opened_again_is_told(small_pair: SmallPair, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes((small_pair.folder / "model.onnx").read_bytes())
    build = open_build(path)
    path.unlink()
    with pytest.raises(BuildError, match="no build at"):
        ProcessBuild(build, SHAPE)


def test_closing_ends_the_process(opened: OpenedBuild) -> None:
    build = ProcessBuild(opened, SHAPE)
    number = build.process_id
    build.close()
    assert build.process_id is None
    with pytest.raises(ProcessLookupError):
        os.kill(number or 0, 0)
    build.close()


def test_a_runtime_is_told_its_threads_before_it_opens_anything(
    monkeypatch: pytest.MonkeyPatch, small_pair: SmallPair
) -> None:
    told: list[object] = []

    class Wire:
        def send_bytes(self, content: bytes) -> None:
            told.append(content)

    monkeypatch.setattr(process.signal, "signal", lambda *_: None)
    monkeypatch.setattr(process.torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(process, "wait", lambda _: ended())
    monkeypatch.setattr(process, "open_build", lambda path, runtime, **_: told.append(runtime))
    runtimes = {"onnxruntime": RUNTIMES["onnxruntime"], "executorch": RUNTIMES["executorch"]}
    runtimes["executorch"] = replace(runtimes["executorch"], use_threads=lambda threads: told.append(threads))
    monkeypatch.setattr(process, "RUNTIMES", runtimes)
    for runtime in runtimes:
        path = small_pair.folder / "model.onnx"
        process._serve_build((Wire(),), path, runtime, False, Specification(), tuple(SHAPE), 3)
    assert told == ["onnxruntime", b"\0", 3, "executorch", b"\0"]


def ended() -> list[Any]:
    raise EOFError


def from_each(build: ProcessBuild) -> list[Tensor]:
    return [build.predict(images(3)) for _ in range(build.lanes)]


def test_a_runtime_of_several_processes_answers_the_same_from_each_and_starts_all_again(
    opened: OpenedBuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = replace(RUNTIMES["onnxruntime"], use_threads=lambda _: None)
    monkeypatch.setattr(process, "RUNTIMES", {"onnxruntime": told})
    monkeypatch.setattr(process, "cores", lambda: 2)
    build = ProcessBuild(opened, SHAPE)
    try:
        assert build.lanes == 4
        for count in (1, 2, 3, 70, 5):
            assert torch.equal(build.predict(images(count)), opened.predict(images(count)))
        before = build.process_id
        assert before is not None
        os.kill(before, signal.SIGKILL)
        with pytest.raises(BuildError, match=r"model\.onnx ended \(SIGKILL\); the next query starts another"):
            from_each(build)
        assert all(torch.equal(answers, opened.predict(images(3))) for answers in from_each(build))
        assert build.process_id not in (None, before)
    finally:
        build.close()
