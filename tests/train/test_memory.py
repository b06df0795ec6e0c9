"""Freed memory stays with the process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from edgerift.train import keep_freed_memory

_CHILD = """
import resource, sys
import torch
from edgerift.train import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def use():
    torch.empty(2**24).fill_(1.0)
for _ in range(10):  # Until what is small and came to lie between two blocks leaves a gap that is large enough.
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides for itself")


def faults(mode: str) -> int:
    """Count the pages that a child process fetches while it makes and frees 64 MiB twenty times."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, mode], env=environment, capture_output=True, text=True, check=True
    )
    return int(child.stdout)


@glibc
def test_a_large_tensor_is_fetched_once() -> None:
    assert 10 * faults("keep") < faults("leave")


@pytest.mark.parametrize("choice", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_a_choice_in_the_environment_stands(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice, "glibc.malloc.trim_threshold=1000000")
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
