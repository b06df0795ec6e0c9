"""The range of a histogram observer is the one that torchao's own search finds, to the bit."""

import pytest
import torch
from torch import nn

from edgerift.adapt._histograms import search_in_numbers

DRAWS = {
    "normal": lambda draws: torch.randn(4096, generator=draws),
    "a long tail": lambda draws: torch.randn(4096, generator=draws).exp().pow(2),
    "few values": lambda draws: torch.randint(0, 3, (64,), generator=draws).float(),
    "zeros and one outlier": lambda draws: torch.cat([torch.zeros(4000), torch.tensor([7.0])]),
    "one value": lambda draws: torch.full((32,), 2.0),
    "after a relu": lambda draws: torch.randn(999, generator=draws).relu(),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("batches", [1, 3])
def test_the_range_is_that_of_torchao(draw, batches):
    from torchao.quantization.pt2e import HistogramObserver

    observer = HistogramObserver(dtype=torch.int8, qscheme=torch.per_tensor_affine, quant_min=-128, quant_max=127)
    draws = torch.Generator().manual_seed(0)
    for number in range(batches):
        observer(DRAWS[draw](draws) * (1 + number))
    expected = observer.calculate_qparams()
    search_in_numbers(nn.Sequential(observer))
    found = observer.calculate_qparams()
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
