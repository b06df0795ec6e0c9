"""Descriptions of several kinds, distinguished by their field `type`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def typed(content: Any) -> Any:
    """Add the `type` to a description with its kind in the field `name`, as in documents of earlier versions.

    >>> typed({"name": "top-k", "k": 3})
    {'type': 'top-k', 'k': 3}
    """
    if isinstance(content, Mapping) and "name" in content and "type" not in content:
        return {"type": content["name"], **{field: value for field, value in content.items() if field != "name"}}
    return content
