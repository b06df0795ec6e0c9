"""Each operator of `.tflite` files in each set of LiteRT's kernels, against the interpreter itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tflite_cases import CASES, images_for
from tflite_files import answered

from edgerift.deploy import tflite_module

KERNELS: tuple[Any, ...] = ("default", "builtin", "reference")
#: What the interpreter itself refuses, or what is not translated in this set of kernels.
LEFT_OUT: set[tuple[str, str]] = set()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", CASES)
def test_an_operator_answers_as_the_interpreter_does_to_the_bit(name: str, kernels: Any) -> None:
    for seed in range(2):
        content = CASES[name](np.random.default_rng(seed))
        images = images_for(content, 4, seed)
        expected = torch.from_numpy(answered(content, images, kernels)).float()
        given = torch.from_numpy(images).float().requires_grad_()
        found = tflite_module(content, kernels=kernels)(given)
        if "float" in name:
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(found, expected), float((found - expected).abs().max())
        found.sum().backward()
        assert given.grad is not None
        assert given.grad.isfinite().all()
