"""The one place that decides in which precision a network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from edgerift._lazy import later

if TYPE_CHECKING:
    import torch
else:
    torch = later("torch")

Precision: TypeAlias = Literal["float32", "bfloat16"]


def bfloat16_is_fast() -> bool:
    """Tell whether this processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX), and so faster than float32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)


def fastest_precision(device: str = "auto") -> Precision:
    """Choose the precision of training on a device: bfloat16 on a CPU that multiplies it in hardware, else float32.

    The choice depends on the machine alone, never on a measured time, so that it is the same each time.
    """
    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return "bfloat16" if not on_gpu and bfloat16_is_fast() else "float32"


def with_precision(fields: Any) -> Any:
    """Replace the precision `auto` among the fields of settings by what this machine trains fastest in.

    Settings thus hold, and recipes name, the precision that is computed in: what a file or a store describes does not
    depend on the machine that reads it.
    """
    if not isinstance(fields, dict) or fields.get("precision") != "auto":
        return fields
    return {**fields, "precision": fastest_precision(fields.get("device", "auto"))}
