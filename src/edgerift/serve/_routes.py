"""The addresses of the protocol and of the page."""

from __future__ import annotations

from typing import Any, final

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from edgerift.serve._errors import RefusedError
from edgerift.serve._inference import Inference, Reply
from edgerift.serve._page import page
from edgerift.serve._protocol import VERSION
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
from edgerift.serve._service import Service


@final
class Routes:
    """The handlers of one service."""

    def __init__(self, service: Service, inference: Inference, version: str) -> None:
        """Answer for a service of an edgerift version."""
        self._service, self._inference, self._version = service, inference, version

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
        account = self._inference.account(request.headers.get("authorization"))
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
        self._inference.account(request.headers.get("authorization"))
        self._inference.require_model(name, version)
        return self._service.signature.metadata()

    async def model_ready(self, name: str, version: str = VERSION) -> dict[str, Any]:
        """Say whether the model answers."""
        self._inference.require_model(name, version)
        return {"name": name, "ready": self._service.is_ready}

    async def infer(self, name: str, request: Request, version: str = VERSION) -> Response:
        """Answer a query; the charge is on disk before the answer leaves."""
        return _response(await self._inference(name, version, request.headers, request.receive))

    def refused(self, error: Exception) -> Response:
        """Say in one line why a request is not answered; what is the server's own fault is told in the log alone."""
        return _response(self._inference.refused(error))


def _response(found: Reply) -> Response:
    return Response(found.body, found.status, found.headers)
