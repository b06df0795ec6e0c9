"""The registry of data-free attacks: each is registered by the module with its published settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from edgerift.settings import Registry


@dataclass(frozen=True)
class Published:
    """A data-free attack as published.

    `title` is its name in tables, `about` its description in one clause, and `settings` are the fields of
    :class:`DataFree` where they differ from the defaults.
    """

    title: str
    about: str
    settings: Mapping[str, Any]


DATA_FREE: Final[Registry[Published]] = Registry("data-free attack", "edgerift.extract.attacks")
