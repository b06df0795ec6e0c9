"""The short way of an inference request: past the routing of all other addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from edgerift.serve._protocol import VERSION

Infer = Callable[[str, Request, str], Awaitable[ASGIApp]]
"""Answers a request about a model and a version with a response."""

_WAYS: Final = ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer")


@final
class Direct:
    """Hands the inference requests for one model to their handler, and all else to an application.

    What a request is answered is the same both ways; middlewares, routing and the injection of parameters take longer
    than the rest of the server's work for a small request.
    """

    def __init__(self, app: ASGIApp, infer: Infer, name: str) -> None:
        """Stand before an application."""
        self._app, self._infer, self._name = app, infer, name
        self._places = {way.format(name=name, version=VERSION) for way in _WAYS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._places:
            await self._app(scope, receive, send)
            return
        response = await self._infer(self._name, Request(scope, receive), VERSION)
        await response(scope, receive, send)
