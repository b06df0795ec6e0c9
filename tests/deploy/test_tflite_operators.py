"""Each operator of `.tflite` files in each set of LiteRT's kernels, against the interpreter itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tflite_cases import CASES, images_for
from tflite_files import answered, delegates

from edgerift.deploy import tflite_module
from edgerift.deploy.twins.tflite._delegated import kernels_of
from edgerift.deploy.twins.tflite._reading import read_graph
from edgerift.errors import ModelError

KERNELS: tuple[Any, ...] = ("default", "builtin", "reference")
#: Refused, since these kernels compute them in float.
REFUSED = {(name, kernels) for name in CASES if "bilinear" in name and "uint8" in name for kernels in KERNELS[1:]}
#: What is computed alike whether the delegate takes it or not.
MOVES = ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "PAD", "SQUEEZE", "EXPAND_DIMS", "CONCATENATION")


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("name", CASES)
def test_an_operator_answers_as_the_interpreter_does_to_the_bit(name: str, kernels: Any) -> None:
    for seed in range(2):
        content = CASES[name](np.random.default_rng(seed))
        images = images_for(content, 4, seed)
        expected = torch.from_numpy(answered(content, images, kernels)).float()
        given = torch.from_numpy(images).float().requires_grad_()
        if (name, kernels) in REFUSED:
            with pytest.raises(ModelError, match="interpolates uint8 in kernels that compute it in float"):
                tflite_module(content, kernels=kernels)
            continue
        found = tflite_module(content, kernels=kernels)(given)
        if "float" in name:
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(found, expected), float((found - expected).abs().max())
        found.sum().backward()
        assert given.grad is not None
        assert given.grad.isfinite().all()


@pytest.mark.parametrize("name", [name for name in CASES if "float" not in name])
def test_the_delegate_takes_what_it_is_known_to_take(name: str) -> None:
    content = CASES[name](np.random.default_rng(0))
    graph = read_graph(content)
    if len(graph.operators) == 1 and graph.operators[0].name not in (*MOVES, "MAX_POOL_2D"):
        assert (kernels_of(graph, graph.operators[0]) == "default") == delegates(content)
