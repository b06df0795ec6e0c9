"""What an attacker queries by default, knowing only the victim's task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Images near the victim's, or far from them, by the name of the victim's set; collages for any other.
QUERY_SETS: Final[Mapping[str, str]] = {
    "cifar10": "cifar100",
    "cifar100": "cifar10",
    "svhn": "cifar10",
    "gtsrb": "cifar10",
}
COLLAGES: Final = "collages"

#: No more than this share of a named set is held out: no model is selected by validation.
HELD_BACK: Final = 0.01
