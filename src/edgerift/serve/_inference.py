"""The inference requests: from the messages of a connection to a reply, without a web framework between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple, final

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from edgerift.errors import EdgeriftError, unknown_name
from edgerift.serve._account import Account, Answered
from edgerift.serve._body import read_body, unpacked
from edgerift.serve._errors import RefusedError, unauthorised
from edgerift.serve._protocol import JSON_LENGTH, VERSION, Query, as_json, read_query, reply
from edgerift.serve._service import Service, refusal
from edgerift.serve._workers import Deliveries

#: A body of more bytes is read by another thread, so that the others do not wait for it.
_LARGE: Final = 65_536
_JSON_LENGTH: Final = JSON_LENGTH.lower()


class Reply(NamedTuple):
    """What is sent back: the HTTP status, the body and its headers, whose names are in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]


@final
class Inference:
    """Answers the inference requests of one service."""

    def __init__(self, service: Service) -> None:
        """Answer for a service."""
        self._service = service
        self._deliveries: Deliveries[Answered] | None = None

    async def __call__(self, name: str, version: str, headers: Mapping[str, str], receive: Receive) -> Reply:
        """Answer a query about a model; the charge is on disk before the answer leaves."""
        started = time.perf_counter()
        told: dict[str, Any] = {"client": "", "images": 0}
        try:
            found = await self._inferred(name, version, headers, receive, told)
        except Exception as error:
            found = self.refused(error)
        seconds = time.perf_counter() - started
        self._service.metrics.requested(told["client"], found.status, told["images"], seconds)
        fields = {**told, "status": found.status, "ms": round(1000 * seconds, 2)}
        self._service.log.info("inference", extra={"fields": fields})
        return found

    def account(self, authorization: str | None) -> Account:
        """Return the account of the client whose token a header holds; raises :class:`RefusedError` for no client's."""
        name = self._service.doorkeeper.client(authorization)
        if name is None:
            raise unauthorised()
        return self._service.accounts[name]

    def require_model(self, name: str, version: str) -> None:
        """Raise :class:`RefusedError` for another model or version than is served."""
        if name != self._service.signature.name:
            raise RefusedError(404, unknown_name("model", name, [self._service.signature.name]))
        if version != VERSION:
            raise RefusedError(404, unknown_name("version", version, [VERSION]))

    def refused(self, error: Exception) -> Reply:
        """Say in one line why a request is not answered; what is the server's own fault is told in the log alone."""
        if isinstance(error, RefusedError):
            return _told(error.status, str(error), error.headers)
        if isinstance(error, ClientDisconnect):
            return _told(400, "the connection ended before the body")
        self._service.log.error("failure", extra={"fields": {"error": refusal(error)}})
        if isinstance(error, EdgeriftError):
            return _told(503, "the server cannot answer now; its log says why")
        return _told(500, "internal error; the server's log has it")

    async def _inferred(
        self, name: str, version: str, headers: Mapping[str, str], receive: Receive, told: dict[str, Any]
    ) -> Reply:
        account = self.account(headers.get("authorization"))
        told["client"] = account.name
        self.require_model(name, version)
        query = await self._query(headers, receive)
        told["images"] = len(query.images)
        deliveries = self._delivering()
        answered: asyncio.Future[Answered] = deliveries.loop.create_future()
        account.submit(query, partial(deliveries.send, answered))
        answers, remaining = await answered
        return Reply(200, *reply(query, answers, self._service.signature, remaining))

    def _delivering(self) -> Deliveries[Answered]:
        loop = asyncio.get_running_loop()
        if self._deliveries is None or self._deliveries.loop is not loop:
            self._deliveries = Deliveries(loop)
        return self._deliveries

    async def _query(self, headers: Mapping[str, str], receive: Receive) -> Query:
        most = self._service.settings.largest_body
        body = await read_body(receive, headers.get("content-length", ""), most)

        def understood() -> Query:
            content = unpacked(body, headers.get("content-encoding", ""), most)
            return read_query(content, headers.get(_JSON_LENGTH), self._service.signature)

        if len(body) <= _LARGE and "content-encoding" not in headers:
            return understood()
        return await asyncio.get_running_loop().run_in_executor(self._service.readers, understood)


def _told(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    given = {name.lower(): value for name, value in (headers or {}).items()}
    return Reply(status, as_json({"error": message}), {**given, "content-type": "application/json"})
