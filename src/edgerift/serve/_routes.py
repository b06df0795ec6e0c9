"""The addresses of the protocol and of the page."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, final

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import ClientDisconnect

from edgerift.errors import EdgeriftError, unknown_name
from edgerift.serve._account import Account
from edgerift.serve._body import read_body, unpacked
from edgerift.serve._errors import RefusedError, unauthorised
from edgerift.serve._page import page
from edgerift.serve._protocol import JSON_LENGTH, VERSION, Query, read_query, reply
from edgerift.serve._schema import (
    INFERENCE,
    ClientState,
    InferenceReply,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
    refusals,
)
from edgerift.serve._service import Service, refusal

#: A body of more bytes is read by another thread, so that the others do not wait for it.
_LARGE: Final = 65_536


@final
class Routes:
    """The handlers of one service."""

    def __init__(self, service: Service, version: str) -> None:
        """Answer for a service of an edgerift version."""
        self._service, self._version = service, version

    def add_to(self, app: FastAPI) -> None:
        """Register the addresses."""
        get, post, model = app.get, app.post, "/v2/models/{name}"
        known = refusals(401, 404)
        get("/", response_class=HTMLResponse, summary="A page to try the model")(self.page)
        get("/client", response_model=ClientState, responses=refusals(401), summary="What is left of a budget")(
            self.client
        )
        get("/metrics", response_class=Response, responses=refusals(401), summary="Metrics for Prometheus")(
            self.metrics
        )
        get("/v2", response_model=ServerMetadata)(self.server)
        get("/v2/health/live", response_model=Live)(self.live)
        get("/v2/health/ready", response_model=Ready)(self.ready)
        for place in (model, f"{model}/versions/{{version}}"):
            get(place, response_model=ModelMetadata, responses=known)(self.model)
            get(f"{place}/ready", response_model=ModelReady, responses=known)(self.model_ready)
            post(
                f"{place}/infer",
                response_model=InferenceReply,
                responses=refusals(400, 401, 403, 404, 409, 413, 429),
                openapi_extra=INFERENCE,
            )(self.infer)

    async def page(self) -> HTMLResponse:
        """Show what is served, and a form to try an image."""
        content, policy = page(self._service.signature)
        headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(content, headers=headers)

    async def client(self, request: Request) -> dict[str, Any]:
        """Tell a client what is left of its budget."""
        account = self._account(request)
        return {
            "name": account.name,
            "budget": account.budget,
            "spent": account.spent,
            "remaining": account.remaining,
            "classes": list(self._service.signature.classes),
        }

    async def metrics(self, request: Request) -> Response:
        """Write the metrics, for the operator alone."""
        if not self._service.doorkeeper.is_operator(request.headers.get("authorization")):
            raise RefusedError(401, "the metrics need the operator's token", {"WWW-Authenticate": "Bearer"})
        metrics = self._service.metrics
        return Response(metrics.text(), media_type=metrics.content_type)

    async def server(self) -> dict[str, Any]:
        """Describe the server."""
        return {"name": "edgerift", "version": self._version, "extensions": ["binary_tensor_data"]}

    async def live(self) -> dict[str, bool]:
        """Say that the server runs."""
        return {"live": True}

    async def ready(self) -> dict[str, bool]:
        """Say whether the server answers."""
        return {"ready": self._service.is_ready}

    async def model(self, name: str, request: Request, version: str = VERSION) -> dict[str, Any]:
        """Describe the model."""
        self._account(request)
        self._require_model(name, version)
        return self._service.signature.metadata()

    async def model_ready(self, name: str, version: str = VERSION) -> dict[str, Any]:
        """Say whether the model answers."""
        self._require_model(name, version)
        return {"name": name, "ready": self._service.is_ready}

    async def infer(self, name: str, request: Request, version: str = VERSION) -> Response:
        """Answer a query; the charge is on disk before the answer leaves."""
        started = time.perf_counter()
        told: dict[str, Any] = {"client": "", "images": 0}
        try:
            response = await self._inferred(name, version, request, told)
        except Exception as error:
            response = self.refused(error)
        seconds = time.perf_counter() - started
        self._service.metrics.requested(told["client"], response.status_code, told["images"], seconds)
        self._service.log.info(
            "inference", extra={"fields": {**told, "status": response.status_code, "ms": round(1000 * seconds, 2)}}
        )
        return response

    async def _inferred(self, name: str, version: str, request: Request, told: dict[str, Any]) -> Response:
        account = self._account(request)
        told["client"] = account.name
        self._require_model(name, version)
        query = await self._query(request)
        told["images"] = len(query.images)
        waiting = account.submit(query)
        answered = waiting.result() if waiting.done() else await asyncio.wrap_future(waiting)
        body, headers = reply(query, answered.answers, self._service.signature, answered.remaining)
        return Response(body, headers=headers)

    async def _query(self, request: Request) -> Query:
        most = self._service.settings.largest_body
        body, headers = await read_body(request, most), request.headers

        def understood() -> Query:
            content = unpacked(body, headers.get("content-encoding", ""), most)
            return read_query(content, headers.get(JSON_LENGTH), self._service.signature)

        if len(body) <= _LARGE and "content-encoding" not in headers:
            return understood()
        return await asyncio.get_running_loop().run_in_executor(self._service.readers, understood)

    def refused(self, error: Exception) -> JSONResponse:
        """Say in one line why a request is not answered; what is the server's own fault is told in the log alone."""
        if isinstance(error, RefusedError):
            return JSONResponse({"error": str(error)}, error.status, error.headers)
        if isinstance(error, ClientDisconnect):
            return JSONResponse({"error": "the connection ended before the body"}, 400)
        self._service.log.error("failure", extra={"fields": {"error": refusal(error)}})
        known = isinstance(error, EdgeriftError)
        told = "the server cannot answer now; its log says why" if known else "internal error; the server's log has it"
        return JSONResponse({"error": told}, 503 if known else 500)

    def _account(self, request: Request) -> Account:
        name = self._service.doorkeeper.client(request.headers.get("authorization"))
        if name is None:
            raise unauthorised()
        return self._service.accounts[name]

    def _require_model(self, name: str, version: str) -> None:
        if name != self._service.signature.name:
            raise RefusedError(404, unknown_name("model", name, [self._service.signature.name]))
        if version != VERSION:
            raise RefusedError(404, unknown_name("version", version, [VERSION]))
