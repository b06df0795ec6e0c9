"""Certificates: images for which it is proved that no evasive image exists in their box."""

from edgerift.certify._certificate import Certificate as Certificate
from edgerift.certify._certify import certify as certify
