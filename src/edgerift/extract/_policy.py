"""The union of all registered query policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias, Union

from pydantic import Field

from edgerift.extract._query_policy import QUERY_POLICIES, QueryPolicy

if TYPE_CHECKING:
    Policy: TypeAlias = QueryPolicy
else:
    Policy = Annotated[Union[(*QUERY_POLICIES.parts(),)], Field(discriminator="type")]
"""Any query policy; in JSON it is identified by the field `type`."""
