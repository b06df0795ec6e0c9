"""HTTP to an endpoint of the Open Inference Protocol: one connection, retries with back-off, replies up to a size."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, final

from edgerift.errors import BudgetError, InputError, ModelError, first_line, one_line
from edgerift.settings import parse_json

#: Statuses of a server that may answer later.
_LATER: Final = (429, 502, 503, 504)
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
#: A 429 without a time to wait is rather the end of a budget than a moment of many requests.
_TRIES_WITHOUT_TIME: Final = 3
_LARGEST_REPLY: Final = 2**28
_SHOWN: Final = 300


class Address(NamedTuple):
    """Where an endpoint is: scheme, host, port, the path before `/v2`, the model and its version ("" for any)."""

    scheme: str
    host: str
    port: int | None
    prefix: str
    model: str
    version: str

    @property
    def shown(self) -> str:
        """The address of the model."""
        port = "" if self.port is None else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{port}{self.place}"

    @property
    def place(self) -> str:
        """The path of the model."""
        version = f"/versions/{urllib.parse.quote(self.version, '')}" if self.version else ""
        return f"{self.prefix}/v2/models/{urllib.parse.quote(self.model, '')}{version}"


def read_address(url: str, model: str | None = None) -> Address:
    """Read `http://HOST:PORT`, also with `/v2/models/NAME` behind it; raises :class:`~edgerift.errors.InputError`.

    >>> read_address("http://localhost:8000/v2/models/cats/infer").shown
    'http://localhost:8000/v2/models/cats'
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urllib.parse.urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise InputError(f"'{one_line(url)}' is no endpoint; give http://HOST:PORT, or with /v2/models/NAME behind it")
    prefix, _, rest = parts.path.partition("/v2/models/")
    names = [urllib.parse.unquote(name) for name in rest.removesuffix("/infer").split("/") if name]
    version = names[2] if len(names) == 3 and names[1] == "versions" else ""
    named = model or (names[0] if names else "model")
    return Address(parts.scheme, host, port, prefix.removesuffix("/v2").rstrip("/"), named, version)


class Reply(NamedTuple):
    """A reply: its JSON, and the bytes behind it."""

    content: Mapping[str, Any]
    tensors: bytes


@final
class Endpoint:
    """A connection to an endpoint, which waits and tries again where the endpoint asks for it or cannot be reached."""

    def __init__(
        self,
        address: Address,
        token: str | None = None,
        *,
        timeout: float = 60.0,
        tries: int = 8,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Talk to an address with a bearer token; `sleep` waits for seconds."""
        self.address = address
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._timeout, self._tries, self._sleep = timeout, tries, sleep
        self._connection: http.client.HTTPConnection | None = None

    def get(self, place: str) -> Reply:
        """Read an address; raises as :meth:`post` does."""
        return self._asked("GET", place, None, {})

    def post(self, place: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a request until it is answered.

        Raises :class:`~edgerift.errors.InputError` where the endpoint cannot be reached or refuses the request,
        :class:`~edgerift.errors.BudgetError` where it answers no more, and :class:`~edgerift.errors.ModelError` for a
        reply that is none.
        """
        return self._asked("POST", place, body, headers)

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(self, method: str, place: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        problem: InputError | BudgetError | None = None
        for number in range(self._tries):
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**number)
            try:
                response, content = self._sent(method, place, body, {**self._headers, **headers})
            except (OSError, http.client.HTTPException) as error:
                self.close()
                told = first_line(error)
                problem = InputError(f"cannot reach {self.address.shown} ({told}); check the address, or start it")
            else:
                if response.status == 200:
                    return _read(response, content, self.address.shown)
                if response.status not in _LATER:
                    raise InputError(f"{self.address.shown} refused ({response.status}): {_told(content)}")
                told = f"{self.address.shown} answers no more ({response.status}): {_told(content)}"
                problem = BudgetError(told) if response.status == 429 else InputError(told)
                wait = response.headers.get("Retry-After", "")
                if wait.isdecimal():
                    pause = min(_LONGEST_PAUSE, float(wait[:6]))
                elif response.status == 429 and number + 1 >= _TRIES_WITHOUT_TIME:
                    break
            if number + 1 < self._tries:
                self._sleep(pause)
        assert problem is not None
        raise problem

    def _sent(
        self, method: str, place: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is None:
            kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
            self._connection = kinds[self.address.scheme](self.address.host, self.address.port, timeout=self._timeout)
        self._connection.request(method, place, body, dict(headers))
        response = self._connection.getresponse()
        content = response.read(_LARGEST_REPLY + 1)
        if len(content) > _LARGEST_REPLY:
            raise http.client.HTTPException(f"a reply of more than {_LARGEST_REPLY} bytes")
        return response, content


def _read(response: http.client.HTTPResponse, content: bytes, whose: str) -> Reply:
    told = response.headers.get("Inference-Header-Content-Length", "")
    length = int(told) if told.isdecimal() and len(told) < 12 else len(content)
    try:
        found = parse_json(content[:length])
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ModelError(f"{whose} did not answer by the Open Inference Protocol (KServe v2); check the address")
    return Reply(found, content[length:])


def _told(content: bytes) -> str:
    """Take the message of a refusal, which may be anything."""
    try:
        found = json.loads(content[:65_536])
        text = str(found.get("error") or found.get("detail") or "no reason") if isinstance(found, dict) else "no reason"
    except (ValueError, RecursionError):
        text = "no reason"
    return one_line(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
