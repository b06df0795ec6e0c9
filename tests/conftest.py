"""What every test gets: numbers, a store and a cache of its own, no offline image sets, one thread, and time."""

import functools
import gc
import os
import random
import shutil
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from small_pair import SmallPair, make_small_pair

#: Memory that looks like a folder, and the bytes that have to be free in it: a run leaves half a gigabyte.
MEMORY = Path("/dev/shm")
ENOUGH = 6 * 2**30


def pytest_configure() -> None:
    # A disk that confirms each write costs the tests of stores and kills more than what they compute.
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    # The tests' tensors are small, and threads that wait for each other slow a busy machine down.
    torch.set_num_threads(1)
    # So do those of the processes that tests start, which otherwise also compile all that they import, each again.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # How long an example takes is the machine's affair.
    settings.register_profile("edgerift", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("edgerift")
    # A shell that starts the tests in the background has them ignore Ctrl-C, and so all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    # What was imported stays; looking for garbage in it, again and again, is a tenth of all the time.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def draw_alike(name: str) -> None:
    """Have what draws without a generator draw the same in every run, whatever ran before on this worker."""
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


def pytest_collectstart(collector: pytest.Collector) -> None:
    draw_alike(collector.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    draw_alike(f"{fixturedef.baseid}/{fixturedef.argname}")


def pytest_runtest_call(item: pytest.Item) -> None:
    draw_alike(item.nodeid)


@pytest.fixture(scope="session", autouse=True)
def session_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep fixtures that outlive a test away from the user's own store and cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGERIFT_STORE", str(tmp_path_factory.mktemp("store")))
        patch.setenv("EDGERIFT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("EDGERIFT_DATA", raising=False)
        patch.delenv("EDGERIFT_TRACEBACK", raising=False)
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_registry_of_operators() -> Iterator[None]:
    """Have PyTorch's ONNX exporter parse the sources of its 500 operators once, not again for every file."""
    export = torch.onnx.export

    def prepared(*arguments: Any, **options: Any) -> Any:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        patch.setattr(torch.onnx, "export", export)
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(functools.cache(ONNXRegistry.from_torchlib)))
        return export(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", prepared)
        yield


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give the tests of a module a page in a real browser, see `chromium.Page`."""
    import chromium

    program = chromium.install()
    if program is None:
        pytest.skip("no Chromium here and none can be installed; as root on Debian: apt-get install -y chromium")
    with chromium.page(program, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a store and a cache that no other test has written to; they are made when they are used.

    The folder of image sets, which `--data-root` sets for the process, ends with the test.
    """
    monkeypatch.setenv("EDGERIFT_DATA", "")  # So that what a test sets is undone; there is none at its start.
    monkeypatch.delenv("EDGERIFT_DATA")
    monkeypatch.setenv("EDGERIFT_STORE", str(tmp_path / "own-store"))
    monkeypatch.setenv("EDGERIFT_CACHE", str(tmp_path / "own-cache"))


@pytest.fixture(scope="session")
def small_pair(session_folders: None, tmp_path_factory: pytest.TempPathFactory) -> SmallPair:
    """Make a pair on the disk, once for all tests."""
    return make_small_pair(tmp_path_factory.mktemp("pair"))
