"""In which arithmetic cuDNN computes."""

import subprocess
import sys

import pytest
import torch
from tiny_steps import surroundings

from edgerift.train import exact_float32


def precision() -> str:
    found: str = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    return found


def test_float32_is_exact_inside_and_as_it_was_behind() -> None:
    before = precision()
    assert before == "tf32"
    with exact_float32():
        assert not torch.backends.cudnn.allow_tf32
        assert precision() != "tf32"
        with exact_float32():
            assert precision() != "tf32"
        assert precision() != "tf32"
    assert precision() == before
    with pytest.raises(ZeroDivisionError), exact_float32():
        raise ZeroDivisionError
    assert precision() == before
    assert torch.backends.cudnn.allow_tf32


NEWER = """
import torch
from edgerift.train import exact_float32
torch.backends.cudnn.conv.fp32_precision = "tf32"
torch.backends.cudnn.rnn.fp32_precision = "ieee"
with exact_float32():
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
assert torch.backends.cudnn.conv.fp32_precision == "tf32"
assert torch.backends.cudnn.rnn.fp32_precision == "ieee"
"""


def test_a_process_with_the_newer_switches_keeps_them() -> None:
    subprocess.run([sys.executable, "-c", NEWER], check=True, timeout=300, env=surroundings())
