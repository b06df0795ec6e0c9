"""Who may query: clients with a token, a budget and defences of their own, from a file or the environment."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, final

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from edgerift.defend import AnyMonitor, Defence
from edgerift.errors import InputError
from edgerift.serve._watching import Reaction
from edgerift.settings import Count, Document, Settings, read_yaml, settings_of

#: The client of a token in the environment, and that of a server without tokens.
DEFAULT: Final = "default"
VARIABLE: Final = "EDGERIFT_TOKEN"
_OPERATOR: Final = "EDGERIFT_OPERATOR_TOKEN"
_SHORTEST: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_EXAMPLE: Final = "write for instance 'clients: {alice: {token: TOKEN}}'"
_ADVICE: Final = "give a YAML file with clients: {NAME: {token: TOKEN}}"


def _secret(given: Any) -> SecretStr:
    """Take a token without ever showing it: what is wrong with it is told without its text."""
    return given if isinstance(given, SecretStr) else SecretStr(given if isinstance(given, str) else str(given))


Token = Annotated[SecretStr, BeforeValidator(_secret)]


class Client(Settings):
    """One client: its token, the budget of different images, the defences of its answers in their order, its monitor.

    What is None is the server's own.
    """

    token: Token
    budget: Count | None = None
    defences: tuple[Defence, ...] | None = None
    monitor: AnyMonitor | None = None
    reaction: Reaction | None = None


class Clients(Settings):
    """All clients by name, and the token of the operator, who may read the metrics."""

    clients: dict[str, Client] = Field(default_factory=dict)
    operator: Token | None = None

    @model_validator(mode="before")
    @classmethod
    def _are_mappings(cls, given: Any) -> Any:
        """Refuse what is no client before its text, which may be a token, stands in an error."""
        clients = given.get("clients", {}) if isinstance(given, Mapping) else {}
        shown = clients.values() if isinstance(clients, Mapping) else [clients]
        if not all(isinstance(client, Mapping | Client) for client in shown):
            raise ValueError("clients must be a mapping of names, each with a mapping: {NAME: {token: TOKEN}}")
        return given

    @model_validator(mode="after")
    def _are_told_apart(self) -> Clients:
        for name in self.clients:
            if not _NAME.fullmatch(name):
                raise ValueError(f"a client's name has letters, digits, - and _, at most 64; got {name[:80]!r}")
        owners = {name: client.token for name, client in self.clients.items()}
        owners |= {"operator": self.operator} if self.operator is not None else {}
        for name, token in owners.items():
            text = token.get_secret_value()
            if len(text) < _SHORTEST or not text.isascii() or not text.isprintable() or " " in text:
                raise ValueError(f"the token of {name} must have at least {_SHORTEST} printable characters, no spaces")
        if len({token.get_secret_value() for token in owners.values()}) < len(owners):
            raise ValueError("two clients have the same token; give each one of its own")
        return self


def read_clients(path: Path | None, environment: Mapping[str, str] = os.environ) -> Clients:
    """Read the clients from a YAML file, or one client from `EDGERIFT_TOKEN`; none where neither is there.

    `EDGERIFT_OPERATOR_TOKEN` is the operator's. Raises :class:`~edgerift.errors.InputError`, which shows no token.
    """
    if path is not None:
        document = Document(path, "file of clients", _ADVICE)
        return settings_of(read_yaml(document, _EXAMPLE), Clients, document)
    operator = environment.get(_OPERATOR) or None
    if not environment.get(VARIABLE):
        return Clients(operator=operator)
    return Clients(clients={DEFAULT: {"token": environment[VARIABLE]}}, operator=operator)


@final
class Doorkeeper:
    """Finds out whose token a request has, in a time that depends on no token."""

    def __init__(self, clients: Clients) -> None:
        """Keep the tokens' hashes alone."""
        self._names = {_hash(client.token.get_secret_value()): name for name, client in clients.clients.items()}
        self._operator = None if clients.operator is None else _hash(clients.operator.get_secret_value())

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a token."""
        return not self._names

    def client(self, header: str | None) -> str | None:
        """Name the client whose token an `Authorization` header holds; None for no client's."""
        if self.is_open:
            return DEFAULT
        # How long a hash is looked for says nothing of the tokens: nobody can choose the hash of what is given.
        return self._names.get(_given(header))

    def is_operator(self, header: str | None) -> bool:
        """Tell whether a request may read the metrics: with the operator's token, or where nobody needs one."""
        if self._operator is None:
            return self.is_open
        return hmac.compare_digest(self._operator, _given(header))


def _given(header: str | None) -> bytes:
    scheme, _, token = (header or "").partition(" ")
    return _hash(token.strip() if scheme.lower() == "bearer" else "")


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def require_tokens(clients: Clients, host: str) -> None:
    """Raise :class:`~edgerift.errors.InputError` for a server without tokens that others than this machine reach."""
    if clients.clients or host in ("127.0.0.1", "::1", "localhost"):
        return
    raise InputError(f"--host {host} is open to the network, which needs tokens: --clients FILE, or {VARIABLE}")
