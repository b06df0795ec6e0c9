"""The ASGI application of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from edgerift.serve._direct import Direct
from edgerift.serve._errors import RefusedError
from edgerift.serve._inference import Inference
from edgerift.serve._routes import Routes
from edgerift.serve._schema import InferenceRequest
from edgerift.serve._service import Service


def application(service: Service, version: str = "") -> FastAPI:
    """Make the application that serves a build; it closes the service when it ends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            service.close()

    app = FastAPI(
        title="edgerift serve",
        version=version or "0",
        description=f"The model '{service.signature.name}', by the Open Inference Protocol (KServe v2).",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.service, app.state.inference = service, Inference(service)
    routes = Routes(service, app.state.inference, version)
    routes.add_to(app)

    async def refuse(_: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return JSONResponse({"error": _worded(error)}, error.status_code, error.headers)
        return routes.refused(error)

    app.add_exception_handler(RefusedError, refuse)
    app.add_exception_handler(HTTPException, refuse)
    # The stack holds the handlers above; inference goes past it.
    app.middleware_stack = Direct(app.build_middleware_stack(), app.state.inference, service.signature.name)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def as_served(app: FastAPI) -> ASGIApp:
    """Put the inference requests before all of an application, as a server calls it."""
    return Direct(app, app.state.inference, app.state.service.signature.name)


def _worded(error: HTTPException) -> str:
    if error.status_code == 404:
        return "no such address; /openapi.json lists them"
    return "this address does not take that method; /openapi.json lists them" if error.status_code == 405 else "refused"


def _described(app: FastAPI) -> dict[str, Any]:
    """Describe the addresses, without the refusals that FastAPI would give and this application does not."""
    if app.openapi_schema is None:
        schema = FastAPI.openapi(app)
        for operations in schema["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        schemas = schema["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        request = InferenceRequest.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= request.pop("$defs", {})
        schemas["InferenceRequest"] = request
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}, {}]
        app.openapi_schema = schema
    return app.openapi_schema
