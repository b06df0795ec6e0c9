"""What a program is quantized for."""

from __future__ import annotations

from typing import Literal, TypeAlias

Target: TypeAlias = Literal["mobile", "server"]
"""The int8 scheme: XNNPACK's for `mobile`, x86's for `server`."""
