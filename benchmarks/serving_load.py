"""Clients that cost little: their requests are prepared bytes, of which a few are changed, over plain sockets."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xxhash


class Received:
    """What one client has: the answer to each image, by its hash, and the seconds of each request."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.answers: dict[bytes, bytes] = {}
        self.seconds: list[float] = []
        self.repeated = 0


class Template:
    """A request in binary, as tritonclient writes it; each use has an id and images of its own."""

    def __init__(self, place: str, token: str, shape: tuple[int, ...], seed: int) -> None:
        """Draw the images of one client."""
        images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        content, self._identity = images.tobytes(), b"r00000000"
        tensor = {"name": "image", "datatype": "UINT8", "shape": list(shape)}
        told = {
            "id": self._identity.decode(),
            "inputs": [{**tensor, "parameters": {"binary_data_size": len(content)}}],
            "parameters": {"binary_data_output": True},
        }
        head = json.dumps(told).encode()
        lines = [
            f"POST {place} HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {token}",
            f"Inference-Header-Content-Length: {len(head)}",
            f"Content-Length: {len(head) + len(content)}",
        ]
        start = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.data = bytearray(start + head + content)
        self._id_place = len(start) + head.index(self._identity)
        self._first, self.count, self._size = len(start) + len(head), shape[0], len(content) // shape[0]
        self._extent = shape[2] << 16 | shape[3]
        self._number = self._last = 0

    def restart(self) -> None:
        """Begin again with the images and the ids of the first use, and again behind those of the last."""
        self._last, self._number = self._number, 0

    def next(self) -> None:
        """Change the id and every image."""
        self._number = self._number % self._last + 1 if self._last else self._number + 1
        identity = b"r%08d" % self._number
        self.data[self._id_place : self._id_place + len(identity)] = identity
        for row in range(self.count):
            place = self._first + row * self._size
            self.data[place : place + 8] = self._number.to_bytes(8, "little")

    def keys(self) -> list[bytes]:
        """Name the images as ledgers do."""
        view = memoryview(self.data)
        rows = (
            view[self._first + row * self._size : self._first + (row + 1) * self._size] for row in range(self.count)
        )
        return [xxhash.xxh3_128_digest(row, self._extent) for row in rows]


class Connection:
    """One client's connection, with one request under way."""

    def __init__(self, port: int, template: Template, received: Received) -> None:
        """Begin without a connection."""
        self._port, self.template, self.received = port, template, received
        self._socket: socket.socket | None = None
        self._reply = bytearray()
        self._sent, self._needed, self._started = 0, 0, 0.0

    def begin(self, chosen: selectors.BaseSelector) -> None:
        """Send a new request."""
        self.template.next()
        self._started = time.perf_counter()
        self.send(chosen)

    def send(self, chosen: selectors.BaseSelector) -> None:
        """Send the request that is under way from its start, over a new connection if there is none."""
        self._reply.clear()
        self._sent = self._needed = 0
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setblocking(False)
            chosen.register(self._socket, selectors.EVENT_READ, self)
        self._push(chosen)

    def close(self, chosen: selectors.BaseSelector) -> None:
        """End the connection."""
        if self._socket is not None:
            chosen.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def ready(self, chosen: selectors.BaseSelector, events: int) -> bool:
        """Go on writing or reading; true when the reply is whole. Raises `OSError` for a connection that ends."""
        assert self._socket is not None
        if events & selectors.EVENT_WRITE:
            self._push(chosen)
        if not events & selectors.EVENT_READ:
            return False
        content = self._socket.recv(65_536)
        if not content:
            raise ConnectionResetError
        self._reply += content
        return self._is_whole()

    def finish(self) -> None:
        """Note the answers."""
        self.received.seconds.append(time.perf_counter() - self._started)
        head, _, body = bytes(self._reply).partition(b"\r\n\r\n")
        fields = head.lower().split(b"\r\n")
        if not fields[0].startswith(b"http/1.1 200"):
            raise SystemExit(f"a client was refused: {bytes(self._reply[:300])!r}")
        start = next(int(field.partition(b":")[2]) for field in fields if field.startswith(b"inference-header"))
        rows = body[start:]
        size = len(rows) // self.template.count
        for place, key in enumerate(self.template.keys()):
            self.received.answers[key] = rows[place * size : (place + 1) * size]

    def _push(self, chosen: selectors.BaseSelector) -> None:
        assert self._socket is not None
        with contextlib.suppress(BlockingIOError):
            self._sent += self._socket.send(memoryview(self.template.data)[self._sent :])
        waits = self._sent < len(self.template.data)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0)
        chosen.modify(self._socket, events, self)

    def _is_whole(self) -> bool:
        if not self._needed:
            end = self._reply.find(b"\r\n\r\n")
            if end < 0:
                return False
            fields = bytes(self._reply[:end]).lower().split(b"\r\n")
            length = next(int(field.partition(b":")[2]) for field in fields if field.startswith(b"content-length"))
            self._needed = end + 4 + length
        return len(self._reply) >= self._needed


def loaded(
    port: int,
    templates: list[Template],
    received: list[Received],
    seconds: float,
    every: float,
    look: Callable[[], Any],
) -> list[Any]:
    """Let all clients work for some seconds, each with one request under way, and look at something now and then.

    A request whose connection ends is sent again, with the same id, until it is answered.
    """
    until, looked, found = time.perf_counter() + seconds, time.perf_counter() + every, []
    clients = [Connection(port, template, one) for template, one in zip(templates, received, strict=True)]
    with selectors.DefaultSelector() as chosen:
        lost = list[Connection]()
        for client in clients:
            client.begin(chosen)
        working = len(clients)
        while working:
            for key, events in chosen.select(0.2):
                client = key.data
                try:
                    if not client.ready(chosen, events):
                        continue
                except OSError:
                    client.close(chosen)
                    lost.append(client)
                    continue
                client.finish()
                if time.perf_counter() < until:
                    client.begin(chosen)
                else:
                    client.close(chosen)
                    working -= 1
            lost = _sent_again(lost, chosen)
            if time.perf_counter() >= looked:
                looked += every
                found.append(look())
    return found


def _sent_again(lost: list[Connection], chosen: selectors.BaseSelector) -> list[Connection]:
    """Send the requests of lost connections again; those are returned that find no server yet."""
    if lost:
        time.sleep(0.1)
    left = []
    for client in lost:
        try:
            client.send(chosen)
            client.received.repeated += 1
        except OSError:
            client.close(chosen)
            left.append(client)
    return left
