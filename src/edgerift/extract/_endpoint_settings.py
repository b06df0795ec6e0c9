"""An endpoint as the victim of a recipe."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from edgerift.extract._remote import RemoteVictim
from edgerift.settings import Settings
from edgerift.specification import Specification


def _is_default(specification: Specification) -> bool:
    return specification.is_default


class GivenEndpoint(Settings):
    """A victim behind an API, identified by its address and the SHA-256 of what it says of its model.

    What it answers may change without that: a result that the store has is not asked for again. `token`, `rate` (images
    per second) and `authorised` belong to the one who queries and are not part of the description.
    """

    type: Literal["endpoint"] = "endpoint"
    url: str
    model: str
    specification: Specification = Field(default=Specification(), exclude_if=_is_default)
    token: SecretStr | None = Field(default=None, exclude=True, repr=False)
    rate: Annotated[float, Field(gt=0)] | None = Field(default=None, exclude=True)
    authorised: bool = Field(default=False, exclude=True)

    def open(self) -> RemoteVictim:
        """Connect; raises what :class:`RemoteVictim` does."""
        return RemoteVictim(
            self.url,
            authorised=self.authorised,
            token=None if self.token is None else self.token.get_secret_value(),
            rate=self.rate,
            specification=self.specification,
        )


def given_endpoint(
    url: str,
    *,
    authorised: bool,
    token: str | None = None,
    rate: float | None = None,
    specification: Specification | None = None,
) -> GivenEndpoint:
    """Describe an endpoint by what it says of its model; raises what :class:`RemoteVictim` does."""
    victim = RemoteVictim(url, authorised=authorised, token=token, rate=rate, specification=specification)
    try:
        model = hashlib.sha256(victim.fingerprint().model.encode()).hexdigest()
    finally:
        victim.close()
    return GivenEndpoint(
        url=victim.shown,
        model=model,
        specification=specification or Specification(),
        token=None if token is None else SecretStr(token),
        rate=rate,
        authorised=authorised,
    )
