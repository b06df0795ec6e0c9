"""Randomness that depends on the seed, the epoch and its purpose alone, so that a resumed run repeats it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derived_seed(seed: int, epoch: int, purpose: str) -> int:
    """Derive a seed below 2**63 for one purpose in one epoch; different arguments give unrelated seeds."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """Make a generator with a derived seed, on the CPU so that every device draws the same numbers."""
    return torch.Generator().manual_seed(derived_seed(seed, epoch, purpose))


@contextmanager
def seeded_layers(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed what the model's own layers draw (dropout), and give the global random state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        layers = derived_seed(seed, epoch, "layers")
        torch.default_generator.manual_seed(layers)
        if device.type == "cuda":
            torch.cuda.manual_seed(layers)
        yield
