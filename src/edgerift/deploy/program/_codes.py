"""The integer weights of a program, and checksums by which a change of any bit of them shows."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from edgerift.deploy.program._program import Program

_DIGITS = 16


def weight_codes(program: Program) -> dict[str, Tensor]:
    """Find the int8 codes `[C,...]` of a program's layers, contiguous, by the layers' names."""
    return {
        name.removesuffix(".weight"): tensor.contiguous()
        for name, tensor in program.tensors.items()
        if name.endswith(".weight") and tensor.dtype == torch.int8
    }


def code_checksums(program: Program) -> dict[str, str]:
    """Sum each layer's codes up: the first 16 hex digits of the SHA-256 over their bytes in order, by layer.

    A loader that has the codes in memory can compute the same, and so detect flipped bits before it answers anything.
    """
    return {
        layer: hashlib.sha256(codes.numpy().tobytes()).hexdigest()[:_DIGITS]
        for layer, codes in weight_codes(program).items()
    }
