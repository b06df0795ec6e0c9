"""The targets: the two that edgerift ships for, and what PyTorch's own backends of those names quantize to."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from edgerift.deploy import Target

Kind: TypeAlias = Literal["mobile", "server"]

TARGETS: Final[tuple[Target, ...]] = get_args(Target)

#: Whose operators and spellings each target has.
_KINDS: Final[dict[Target, Kind]] = {"mobile": "mobile", "server": "server", "fbgemm": "server", "qnnpack": "mobile"}


def kind_of(target: Target) -> Kind:
    """Say whose operators run in integers on a target, and how they have to be written."""
    return _KINDS[target]
