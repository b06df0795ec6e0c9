"""The short way of an inference request: past the routing of all other addresses."""

from __future__ import annotations

from typing import Final, final

from starlette.types import ASGIApp, Receive, Scope, Send

from edgerift.serve._inference import Inference
from edgerift.serve._protocol import VERSION

_WAYS: Final = ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer")


@final
class Direct:
    """Answers the inference requests for one model, and hands all else to an application.

    What a request is answered is the same both ways; middlewares, routing and the injection of parameters take longer
    than the rest of the server's work for a small request.
    """

    def __init__(self, app: ASGIApp, inference: Inference, name: str) -> None:
        """Stand before an application."""
        self._app, self._inference, self._name = app, inference, name
        self._places = {way.format(name=name, version=VERSION) for way in _WAYS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in self._places:
            await self._app(scope, receive, send)
            return
        # Of a header that is given twice the first counts.
        given = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        found = await self._inference(self._name, VERSION, given, receive)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found.headers.items()]
        headers.append((b"content-length", b"%d" % len(found.body)))
        await send({"type": "http.response.start", "status": found.status, "headers": headers})
        await send({"type": "http.response.body", "body": found.body})
