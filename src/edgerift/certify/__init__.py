"""Certificates: images for which it is proved that no evasive image exists in their box."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.certify._certificate import Certificate as Certificate
    from edgerift.certify._certify import certify as certify
else:
    __getattr__, __dir__, __all__ = exported(__name__)
