"""What a request can be refused with: a status and one line, which names nothing of the machine."""

from __future__ import annotations

from typing import final

from edgerift.errors import EdgeriftError, one_line

#: The longest message that is sent.
_LONGEST = 500


@final
class RefusedError(EdgeriftError):
    """A request that is not answered: the HTTP status, one line, and what the reply's header has to say of it."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        """Refuse with a status; the message is cut where it is too long."""
        text = one_line(message)
        super().__init__(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
        self.status = status
        self.headers = headers or {}


def unauthorised() -> RefusedError:
    """Refuse a request without a token that is known."""
    told = "give a token of this server: the header 'Authorization: Bearer TOKEN'"
    return RefusedError(401, told, {"WWW-Authenticate": "Bearer"})
