"""Steps as tasks of Ray: on the cores of this machine, or on a cluster."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import signal
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final, TextIO, final

from edgerift.errors import InputError, MissingRuntimeError, StoreError, first_line
from edgerift.run._graph import Key
from edgerift.run._step import Outcome, Place, packed, run_packed
from edgerift.steps import Recipe
from edgerift.train import keep_freed_memory

#: How often Ray retries a step whose worker or node died.
_RETRIES: Final = 2

#: By default Ray retries without limit what its memory monitor killed; this has to be set before the import.
_SETTINGS: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_task_oom_retries": str(_RETRIES)}

#: How long a cluster may have no node large enough for a step: an autoscaling one has added one by then.
_PATIENCE_SECONDS: Final = 900.0
_LOOK_SECONDS: Final = 10.0

_CLIENT: Final = "ray://"
_KNOCK_SECONDS: Final = 10.0
_LONGEST_REASON: Final = 300

#: The prefix of the environment variables that Ray sets.
_CHANGED: Final = ("RAY_", "PYTHONBREAKPOINT")

#: Steps transfer a few thousand bytes; results go through the store.
_OBJECT_BYTES: Final = 128 * 2**20


@final
class OnRay:
    """A Ray cluster: each step is a task with its share of a node's CPUs and GPUs.

    When a worker or a whole node dies, Ray restarts the steps that ran there, up to three times. Without a mirror the
    store must be a folder that all nodes share.
    """

    def __init__(self, place: Place, address: str | None = None, cpus: float = 1, gpus: float = 0) -> None:
        """Connect to the cluster at `address`, or start Ray on this machine alone, for the duration of the run.

        `address` is "auto" on a node of the cluster, "HOST:PORT", or "ray://HOST:PORT" for its client server; an
        existing connection of this process is used and kept. `cpus` and `gpus` are what each step takes; a share of a
        GPU is allowed. Raises `InputError` for needs that cannot be met and a cluster that cannot be reached, and
        `MissingRuntimeError` when Ray is not installed.
        """
        if cpus <= 0 or gpus < 0:
            raise InputError(f"a step cannot take {cpus:g} CPUs and {gpus:g} GPUs; give cpus above 0 and gpus from 0")
        self._needs = {"CPU": cpus, "GPU": gpus}
        self._place = place.replace(threads=place.threads or max(1, int(cpus)))
        self._left = contextlib.ExitStack()
        self._running: dict[Any, Key] = {}
        self._fitted = time.monotonic()
        with contextlib.ExitStack() as opened:
            self._ray = opened.enter_context(_connected(address))
            self._spare = 0 if address is None else 1
            if address is None and self._fitting() == 0:
                raise InputError(
                    f"this machine has no {cpus:g} CPUs and {gpus:g} GPUs for a step; "
                    "give less, or the address of a cluster that has"
                )
            self._left = opened.pop_all()
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": _RETRIES}
        self._task = self._ray.remote(**options)(_run_task)

    @property
    def capacity(self) -> int:
        """How many steps fit on the present nodes; on a cluster one more waits, so that it can scale up."""
        return max(1, self._fitting() + self._spare)

    def start(self, key: Key, recipe: Recipe) -> None:
        """Submit a step to Ray."""
        self._running[self._task.options(name=key).remote(packed(recipe, self._place), sys.path)] = key

    def collect(self) -> Mapping[Key, Outcome]:
        """Wait until a step ends, or until the cluster has had no suitable node for fifteen minutes: then all fail."""
        while True:
            ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK_SECONDS)
            if ended:
                self._fitted = time.monotonic()
                return {self._running.pop(task): self._outcome(task) for task in ended}
            if self._fitting():
                self._fitted = time.monotonic()
            elif time.monotonic() - self._fitted > _PATIENCE_SECONDS:
                return self._given_up()

    def close(self) -> None:
        """Stop the running steps and disconnect; a cluster that this run started ends."""
        try:
            for task in self._running:
                with contextlib.suppress(self._ray.exceptions.RayError):
                    self._ray.cancel(task, force=True)
        finally:
            self._running = {}
            self._left.close()

    def _given_up(self) -> Mapping[Key, Outcome]:
        told = (
            f"no node of the Ray cluster has had {self._needs['CPU']:g} CPUs and {self._needs['GPU']:g} GPUs for a "
            f"step for {_PATIENCE_SECONDS / 60:g} minutes; give less with --cpus and --gpus, or add such a node"
        )
        given_up, self._running = self._running, {}
        for task in given_up:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(task, force=True)
        return {key: Outcome(seconds=0.0, error=told) for key in given_up.values()}

    def _fitting(self) -> int:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        wanted = {name: amount for name, amount in self._needs.items() if amount}
        return sum(min(int(node.get(name, 0.0) / amount) for name, amount in wanted.items()) for node in nodes)

    def _outcome(self, task: Any) -> Outcome:
        try:
            found = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            # The step's own errors are outcomes; this is a node without edgerift, or with another version.
            reason = str(error).strip().rpartition("\n")[2]
            told = f"a worker on Ray cannot run the step: {reason}; is the same edgerift installed on all nodes?"
            return Outcome(seconds=0.0, error=told, log=str(error))
        except self._ray.exceptions.RayError as error:
            return Outcome(seconds=0.0, error=self._told(error), log=str(error))
        if isinstance(found, StoreError):
            raise found
        assert isinstance(found, Outcome)
        return found

    def _told(self, error: Exception) -> str:
        errors = self._ray.exceptions
        name = type(error).__name__
        if isinstance(error, errors.WorkerCrashedError | errors.NodeDiedError | errors.OutOfMemoryError):
            return f"its worker on Ray died {_RETRIES + 1} times ({name}); does it have enough memory?"
        return f"Ray cannot run the step: {name}: {first_line(error)}"


def _run_task(step: bytes, places: list[str]) -> Outcome | StoreError:
    # User modules are found on the path of the process that reads the study.
    sys.path += [place for place in places if place not in ("", *sys.path)]
    keep_freed_memory()
    return run_packed(step)


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[ModuleType]:
    """Import Ray and connect, unless already connected; the previous state is restored at the end."""
    with _restored():
        ray = _imported(address)
        if ray.is_initialized():
            yield ray
            return
        try:
            _connect(ray, address)
            yield ray
        finally:
            # Messages that Ray deduplicates are printed by the thread that shuts it down.
            with contextlib.redirect_stdout(io.StringIO()):
                ray.shutdown()


def _imported(address: str | None) -> ModuleType:
    # Without gRPC Ray's client fails with an unhelpful error.
    lacks_client = address is not None and address.startswith(_CLIENT) and importlib.util.find_spec("grpc") is None
    try:
        if not lacks_client:
            return importlib.import_module("ray")
    except ImportError:
        pass
    missing = "gRPC, which Ray's client needs," if lacks_client else "Ray"
    raise MissingRuntimeError(f"{missing} is not installed; run `pip install edgerift[ray]`")


def _connect(ray: ModuleType, address: str | None) -> None:
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {"address": "local", "include_dashboard": False, "object_store_memory": _OBJECT_BYTES}
    try:
        if address is not None:
            _knock(address)
        ray.init(**options, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray raises errors of a dozen kinds here, its own, Python's and gRPC's.
        told = (error.strerror if isinstance(error, OSError) else None) or str(error).strip() or type(error).__name__
        reason = textwrap.shorten(told, _LONGEST_REASON, placeholder=" ...").rstrip(".")
        if address is None:
            raise InputError(f"Ray cannot be started on this machine: {reason}") from error
        raise InputError(
            f"the Ray cluster at {address} cannot be reached: {reason}; "
            "give the address of a running one, or none to start Ray on this machine"
        ) from error


def _knock(address: str) -> None:
    """Raise `OSError` when nothing listens at an address with a port: Ray itself retries for minutes."""
    host, mark, port = address.removeprefix(_CLIENT).rpartition(":")
    if mark and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Restore what Ray changes for the whole process: variables, the SIGTERM handler, and terminal output."""
    before = {name: value for name, value in os.environ.items() if name.startswith(_CHANGED)}
    handler = signal.getsignal(signal.SIGTERM)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        with contextlib.redirect_stdout(_WithoutRay(sys.stdout)):
            yield
    finally:
        for name in [name for name in os.environ if name.startswith(_CHANGED) and name not in before]:
            del os.environ[name]
        os.environ.update(before)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


@final
class _WithoutRay:
    """Standard output without the messages of Ray's threads when a worker dies; no setting silences them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("ray_"):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
