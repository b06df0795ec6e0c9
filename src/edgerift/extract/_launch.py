"""An attack in several processes of this machine, one for each device."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch import multiprocessing

from edgerift.errors import EdgeriftError, MissingRuntimeError
from edgerift.steps import Progress
from edgerift.train import keep_freed_memory

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_TURN_SECONDS: Final = 0.2

#: The processes are on one machine, and nobody else is to reach them.
_LOOPBACK: Final = {"linux": "lo", "darwin": "lo0"}

#: One of them may work alone for as long as it likes; whether the others live is for this process to see.
_PATIENCE: Final = timedelta(days=30)


class _Failure(NamedTuple):
    """An error on its way to the process that started the others; pickling alone would lose its cause."""

    error: EdgeriftError
    cause: OSError | None


def launch(work: Callable[..., None], *arguments: Any, devices: int, device: torch.device, progress: Progress) -> None:
    """Run `work(fabric, progress, *arguments)` in one new process for each of `devices` devices of one kind.

    `work` is a function of a module. Only the first process tells its progress. They end with this process, and when
    one of them fails the others are stopped and its :class:`~edgerift.errors.EdgeriftError` is raised here. Raises
    :class:`~edgerift.errors.MissingRuntimeError` without Fabric, or for more devices than there are.
    """
    _require(devices, device)
    pipes = [multiprocessing.get_context("spawn").Pipe(duplex=False) for _ in range(devices)]
    readers, writers = [reader for reader, _ in pipes], [writer for _, writer in pipes]
    threads = max(1, torch.get_num_threads() // devices)
    errors: list[EdgeriftError] = []
    with tempfile.TemporaryDirectory() as folder:
        running = multiprocessing.start_processes(  # type: ignore[attr-defined, no-untyped-call]
            _run,
            (work, arguments, device.type, Path(folder) / "meeting", threads, writers),
            nprocs=devices,
            join=False,
            daemon=True,
            start_method="spawn",
        )
        try:
            for writer in writers:
                writer.close()
            while any(process.exitcode is None for process in running.processes):
                _hear(readers, errors, progress)
                if errors:
                    raise errors[0]
                if any(process.exitcode for process in running.processes):
                    break
            # What was told last is still in the pipes.
            _hear(readers, errors, progress)
            if errors:
                raise errors[0]
            # Raises, with the traceback, what else went wrong.
            running.join()
        finally:
            for process in running.processes:
                process.kill()
                process.join()


def _require(devices: int, device: torch.device) -> None:
    try:
        import lightning_fabric  # noqa: F401
    except ImportError:
        raise MissingRuntimeError(
            "Lightning Fabric, which runs an attack on several devices, is not installed; "
            "pip install 'edgerift[devices]'"
        ) from None
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise MissingRuntimeError(
            f"devices={devices}, and this machine has {torch.cuda.device_count()}; give at most that many"
        )


def _hear(readers: Sequence[Connection], errors: list[EdgeriftError], progress: Progress) -> None:
    """Pass on what the processes tell until they are silent for a moment, or one tells of an error."""
    while not errors and (ready := wait([reader for reader in readers if not reader.closed], timeout=_TURN_SECONDS)):
        for reader in [reader for reader in readers if reader in ready]:
            try:
                told = reader.recv()
            except EOFError:
                reader.close()
                continue
            if isinstance(told, _Failure):
                told.error.__cause__ = told.cause
                errors.append(told.error)
            else:
                progress(*told)


def _run(
    rank: int,
    work: Callable[..., None],
    arguments: tuple[Any, ...],
    accelerator: str,
    meeting: Path,
    threads: int,
    writers: Sequence[Connection],
) -> None:
    """Be one of the processes."""
    # Ctrl-C ends it at once, whatever it waits for, and so does the end of the process that started it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told = writers[rank]
    for writer in writers:
        if writer is not told:
            writer.close()

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        if rank == 0:
            told.send((task, done, total, note))

    keep_freed_memory()
    torch.set_num_threads(threads)
    try:
        work(_joined(rank, len(writers), accelerator, meeting), progress, *arguments)
    except EdgeriftError as error:
        with suppress(OSError):
            told.send(_Failure(error, error.__cause__ if isinstance(error.__cause__, OSError) else None))
        raise
    torch.distributed.destroy_process_group()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _joined(rank: int, count: int, accelerator: str, meeting: Path) -> Fabric:
    """Meet the other processes by way of a file, so that no port is open to the network."""
    os.environ.update({"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(count)})
    if sys.platform in _LOOPBACK:
        os.environ.update(dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), _LOOPBACK[sys.platform]))
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    is_cuda = accelerator == "cuda"
    if is_cuda:
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group(
        "nccl" if is_cuda else "gloo",
        store=torch.distributed.FileStore(str(meeting), count),  # type: ignore[attr-defined]
        rank=rank,
        world_size=count,
        timeout=_PATIENCE,
        device_id=torch.device("cuda", rank) if is_cuda else None,
    )
    fabric = Fabric(accelerator=accelerator, devices=count, strategy="ddp", plugins=[LightningEnvironment()])
    fabric.launch()
    return fabric
