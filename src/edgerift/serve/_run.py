"""Serving until the process is told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from edgerift.errors import InputError
from edgerift.serve._application import application, as_served
from edgerift.serve._service import Service

#: Seconds that requests under way may take when the server stops.
_PATIENCE = 30


def serve(service: Service, *, host: str = "127.0.0.1", port: int = 8000, version: str = "") -> None:
    """Serve until SIGINT or SIGTERM: then no request is taken any more, and those under way are answered.

    Port 0 is any that is free; the log names it. Raises :class:`~edgerift.errors.InputError` for an address that cannot
    be used.
    """
    try:
        bound = _bound(host, port)
    except BaseException:
        service.close()
        raise
    config = uvicorn.Config(
        as_served(application(service, version)),
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=_PATIENCE,
    )
    for handler in service.log.handlers:
        logging.getLogger("uvicorn.error").addHandler(handler)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").propagate = False
    shown = f"[{host}]" if ":" in host else host
    signature = service.signature
    fields = {
        "url": f"http://{shown}:{bound.getsockname()[1]}/",
        "model": signature.name,
        "runtime": signature.runtime,
        "shape": str(signature.shape),
        "clients": sorted(service.accounts),
        "tokens": not service.doorkeeper.is_open,
        "one_image_at_a_time": service.computes_alone,
    }
    service.log.info("serving", extra={"fields": fields})
    with bound, _outliving_signals(), _frozen_garbage():
        uvicorn.Server(config).run(sockets=[bound])
    service.log.info("stopped")


@contextmanager
def _frozen_garbage() -> Iterator[None]:
    """Keep what is there already, which is large and stays, out of the searches for garbage."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        raise InputError(f"cannot serve at {host}:{port} ({error.strerror}); choose another --host or --port") from None
    return bound


@contextmanager
def _outliving_signals() -> Iterator[None]:
    """Keep the signal that stopped the server from ending the process, to which the server gives it again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in stops}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
