"""The union of all registered monitors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias, Union

from pydantic import BeforeValidator, Field

from edgerift.defend._monitor import MONITORS, Monitor
from edgerift.settings import typed

if TYPE_CHECKING:
    AnyMonitor: TypeAlias = Monitor
else:
    AnyMonitor = Annotated[Union[(*MONITORS.parts(),)], Field(discriminator="type"), BeforeValidator(typed)]
"""Any monitor; in JSON it is identified by the field `type`."""
