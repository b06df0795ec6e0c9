"""What a program is quantized for."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Target: TypeAlias = Literal["mobile", "server", "fbgemm", "qnnpack"]
"""The int8 scheme: XNNPACK's for `mobile`, x86's for `server`, and those of PyTorch's own two backends.

`fbgemm` is `server` with activations of 7 bits, `qnnpack` is `mobile` with one scale for each weight.
"""

WHOLE_WEIGHTS: Final[frozenset[Target]] = frozenset({"qnnpack"})
"""The targets whose weights have one scale each, which their programs write for every channel."""
