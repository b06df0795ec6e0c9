"""What stands behind the addresses: a build, the clients' accounts, the metrics and the log."""

from __future__ import annotations

import logging
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, final

import torch

from edgerift.deploy import Build
from edgerift.errors import InputError, first_line
from edgerift.images import ImageShape
from edgerift.serve._account import Account
from edgerift.serve._batches import BatchedBuild
from edgerift.serve._clients import DEFAULT, Client, Clients, Doorkeeper
from edgerift.serve._metrics import Metrics
from edgerift.serve._protocol import Signature
from edgerift.serve._settings import ServeSettings
from edgerift.serve._watching import Watching

#: Large bodies that are read at the same time: what JSON becomes takes several times its size.
_READERS: Final = 2


@final
class Service:
    """A build that is served: opened with its accounts, closed with :meth:`close`."""

    def __init__(
        self,
        build: Build,
        shape: ImageShape,
        *,
        classes: tuple[str, ...] = (),
        clients: Clients | None = None,
        settings: ServeSettings | None = None,
        folder: Path | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        """Open the accounts, whose files are in `folder` (default: in memory), and start the runtime's thread."""
        self.settings, self.clients = settings or ServeSettings(), clients or Clients()
        self.doorkeeper, self.metrics = Doorkeeper(self.clients), Metrics()
        self.log = log or logging.Logger("edgerift.serve", logging.CRITICAL)
        self.signature = Signature(
            self.settings.name, build.runtime, shape, _classes(build, shape, classes), self.settings.most_images
        )
        self.accounts: dict[str, Account] = {}
        self._build = BatchedBuild(build, shape)
        self.readers: Executor = ThreadPoolExecutor(_READERS, "edgerift-reader")
        self.is_ready = True
        try:
            self._open_accounts(folder)
        except BaseException:
            self.close()
            raise

    @property
    def computes_alone(self) -> bool:
        """Whether images are computed one at a time, since an answer would depend on the others of its batch."""
        return self._build.alone

    @property
    def waiting(self) -> int:
        """How many requests wait, on the way to the runtime or behind another of their client."""
        return self._build.waiting + sum(account.waiting for account in self.accounts.values())

    def close(self) -> None:
        """Answer what waits, and close the accounts."""
        self.is_ready = False
        self.readers.shutdown(wait=True)
        self._build.close()
        for account in self.accounts.values():
            account.close()

    def _open_accounts(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        for name in self.clients.clients or (DEFAULT,):
            client = self.clients.clients.get(name)
            budget = self.settings.budget if client is None or client.budget is None else client.budget
            own = None if client is None else client.defences
            watching = self._watching(name, client, folder)
            self.accounts[name] = account = Account(
                name,
                self._build,
                budget=budget,
                defences=self.settings.defences if own is None else own,
                folder=folder,
                watching=watching,
                alarmed=partial(self._tell_alarm, name, watching),
                paid=self.metrics.charged(name),
            )
            if watching is not None:
                self.metrics.watch_alarm(name, lambda watching=watching: watching.verdict.alarm)  # type: ignore[misc]
            self.metrics.watch_budget(name, lambda account=account: account.remaining)  # type: ignore[misc]

    def _watching(self, name: str, client: Client | None, folder: Path | None) -> Watching | None:
        monitor = self.settings.monitor if client is None or client.monitor is None else client.monitor
        if monitor is None:
            return None
        reaction = self.settings.reaction if client is None or client.reaction is None else client.reaction
        return Watching(monitor, reaction, None if folder is None else folder / f"{name}.monitor")

    def _tell_alarm(self, name: str, watching: Watching | None) -> None:
        if watching is not None:
            found = watching.verdict
            fields = {"client": name, "images": found.alarm_at, "reaction": watching.reaction}
            self.log.warning("alarm", extra={"fields": fields})


def _classes(build: Build, shape: ImageShape, names: tuple[str, ...]) -> tuple[str, ...]:
    """Name the classes of a build's answers, and find out that it takes such images at all."""
    blank = torch.zeros(1, *shape, dtype=torch.uint8)
    found = build.predict(blank).shape[1]
    if names and len(names) != found:
        raise InputError(f"{len(names)} class names for a build that answers {found} classes; give its own")
    return names or tuple(str(number) for number in range(found))


def refusal(error: Exception) -> str:
    """Describe an error for the log alone."""
    return f"{type(error).__name__}: {first_line(error)}"
