"""`edgerift serve`: a build behind an API."""

from __future__ import annotations

from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

import tyro
from pydantic import Field

import edgerift
from edgerift import deploy, images, serve
from edgerift.cli._build_options import BUILD_FILES, RUNTIME_NAMES, KernelsOption, runtime_of
from edgerift.cli._defences import read_defence, read_monitor
from edgerift.cli._fields import Command, Shown
from edgerift.cli._specification import BUILD_INPUT, chosen_specification
from edgerift.cli._terminal import progress_bars
from edgerift.defend import DEFENCES, MONITORS
from edgerift.deploy import RuntimeName
from edgerift.errors import InputError, MissingRuntimeError
from edgerift.settings import Count, is_file, is_folder

_PACKAGES: Final = ("fastapi", "prometheus_client", "uvicorn")
_DEFENCES: Final = f"Example: rounding:decimals=1. Names: {', '.join(DEFENCES.names())}"


class ServeCommand(Command):
    """Serve a build over HTTP, with a budget and a ledger for each client.

    Speaks the Open Inference Protocol (KServe v2) in JSON and with binary tensors, so that existing clients work. A
    client's token comes from FILE or from EDGERIFT_TOKEN; without tokens only this machine can connect. Each answer is
    charged on disk before it is sent. Stops on Ctrl-C after the requests that it has begun.
    """

    example: ClassVar[str] = "edgerift serve adapted --ledgers served --budget 10000"

    build: Annotated[
        Path,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="BUILD"),
        Shown(text=f"a {BUILD_FILES} file, or a folder of `edgerift adapt`"),
    ]
    ledgers: Annotated[Path, Shown(group="clients", metavar="DIR")]
    """folder that keeps what each client has paid for"""
    clients: Annotated[Path | None, Shown(group="clients", metavar="FILE", default="EDGERIFT_TOKEN, else none")] = None
    """YAML file with the token of each client, and its own budget and defences"""
    budget: Annotated[Count, Shown(group="clients")] = 50_000
    """different images that a client is answered"""
    defence: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="NAME:SETTING=VALUE,..."),
        Shown(
            group="clients",
            metavar="NAME:SETTING=VALUE,...",
            text="defence of the answers; repeatable, applied in order",
            details=_DEFENCES,
        ),
    ] = ()
    monitor: Annotated[
        str | None,
        Shown(
            group="clients",
            metavar="NAME:SETTING=VALUE,...",
            text="monitor of each client's queries",
            default="none",
            details=f"Example: prada:threshold=0.9. Names: {', '.join(MONITORS.names())}",
        ),
    ] = None
    reaction: Annotated[Literal["report", "refuse", "coarsen"], Shown(group="clients")] = "report"
    """what follows an alarm: a log line, also no more answers, or also labels alone"""
    host: Annotated[str, Shown(group="server")] = "127.0.0.1"
    """address to listen at; one that the network reaches needs tokens"""
    port: Annotated[int, Field(ge=0, le=65_535), Shown(group="server")] = 8000
    """port to listen at; 0 takes a free one"""
    name: Annotated[str, Shown(group="server")] = "model"
    """name of the model in addresses"""
    most_images: Annotated[Count, Shown(group="server", advanced=True)] = 1024
    """images per request"""
    largest_body: Annotated[Count, Shown(group="server", advanced=True, metavar="MIB")] = 16
    """size of a request, packed and unpacked, in MiB"""
    size: Annotated[str | None, Shown(group="model", metavar="S|HxW", default="as the build says")] = None
    """size of the images, where the build does not say it"""
    build_input: Annotated[str | None, BUILD_INPUT] = None
    """what the build takes and answers, where its file does not say"""
    runtime: Annotated[
        RuntimeName | None,
        Shown(group="model", metavar="NAME", default="by the suffix", text=f"runtime of the build: {RUNTIME_NAMES}"),
    ] = None
    kernels: KernelsOption = None
    trust: Annotated[bool, Shown(group="model", advanced=True)] = False
    """allow Inductor packages, which run code when they are opened"""

    def run(self) -> int:
        """Serve until the process is stopped."""
        missing = [package for package in _PACKAGES if find_spec(package) is None]
        if missing:
            told = f"a server needs {missing[0]}, which is not installed"
            raise MissingRuntimeError(f"{told}: pip install 'edgerift[serve]'")
        clients = serve.read_clients(self.clients)
        serve.require_tokens(clients, self.host)
        settings = serve.ServeSettings(
            name=self.name,
            budget=self.budget,
            defences=tuple(map(read_defence, self.defence)),
            monitor=None if self.monitor is None else read_monitor(self.monitor),
            reaction=self.reaction,
            most_images=self.most_images,
            largest_body=self.largest_body * 2**20,
        )
        log = serve.server_log()
        with progress_bars():
            found = self._opened()
            build = serve.ProcessBuild(found.build, found.shape, trust=self.trust)
        with closing(build):
            service = serve.Service(
                build,
                found.shape,
                classes=found.classes,
                clients=clients,
                settings=settings,
                folder=self.ledgers,
                log=log,
            )
            serve.serve(service, host=self.host, port=self.port, version=edgerift.__version__)
        return 0

    def _opened(self) -> _Opened:
        path, program = _files(self.build, self.runtime)
        runtime = runtime_of(self.runtime, self.kernels, path)
        told = chosen_specification(self.build_input, path)
        build = deploy.open_build(path, runtime, trust=self.trust, specification=told)
        classes = () if program is None else program.provenance.classes
        shape = _shape(build, self.size) if program is None else program.shape
        return _Opened(build, shape, classes)


class _Opened(NamedTuple):
    build: deploy.OpenedBuild
    shape: images.ImageShape
    classes: tuple[str, ...]


def _files(given: Path, runtime: str | None) -> tuple[Path, deploy.Program | None]:
    """Find the artefact, and the program that it was compiled from where that is beside it."""
    if not is_folder(given):
        return given, None
    known = deploy.suffixes()
    beside = {name: given / f"model{suffix}" for name, suffix in known.items() if is_file(given / f"model{suffix}")}
    chosen = [beside[runtime]] if runtime in beside else list(beside.values())
    if len(chosen) != 1:
        told = "several builds; give the file to serve" if chosen else "no build; `edgerift adapt --out DIR` writes one"
        raise InputError(f"{given} has {told}")
    program = given / "program.safetensors"
    return chosen[0], deploy.Program.load(program) if is_file(program) else None


def _shape(build: deploy.OpenedBuild, size: str | None) -> images.ImageShape:
    """Read the shape of its images off a build; raises :class:`~edgerift.errors.InputError` where it has none."""
    wanted, extents = build.specification.input, build.extents or (None, None, None)
    channels, height, width = extents if wanted.layout == "nchw" else (extents[2], *extents[:2])
    if height is None or width is None:
        if size is None:
            raise InputError(f"{build.path.name} does not say the size of its images; give --size")
        try:
            height, width = images.extent(images.read_size(size))
        except ValueError as error:
            raise InputError(f"--size is '{size}'; {error}") from None
    return images.ImageShape(1 if channels == 1 or wanted.channels == "grey" else 3, height, width)
