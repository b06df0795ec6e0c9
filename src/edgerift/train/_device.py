"""Where a model is trained, and in which memory layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn

from edgerift.errors import MissingRuntimeError


def choose_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Choose the device of a run; raises `MissingRuntimeError` for CUDA where there is none."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise MissingRuntimeError("device='cuda' is not available; use device='cpu', or install a CUDA build of torch")
    return torch.device("cuda", torch.cuda.current_device())


@contextmanager
def placed(model: nn.Module, device: torch.device, memory_format: torch.memory_format) -> Iterator[None]:
    """Keep a model on `device` in a memory layout; then move it back, contiguous and without gradients."""
    home = next(model.parameters()).device
    model.to(device).to(memory_format=memory_format)  # type: ignore[call-overload]
    try:
        yield
    finally:
        model.zero_grad(set_to_none=True)
        model.to(home).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


@contextmanager
def exact_float32() -> Iterator[None]:
    """Let cuDNN convolve float32 in float32, and not in TF32's ten bits, which round small differences away."""
    cudnn = torch.backends.cudnn
    switch: tuple[Any, str, object]
    try:
        before, switch = cudnn.allow_tf32, (cudnn, "allow_tf32", False)
    except RuntimeError:
        # A process that has set the newer switch may no longer read the older one.
        before, switch = cudnn.conv.fp32_precision, (cudnn.conv, "fp32_precision", "ieee")  # type: ignore[attr-defined]
    owner, name, exact = switch
    setattr(owner, name, exact)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Let cuDNN choose only algorithms that give the same result each time."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
