"""Rounding with a gradient, against NumPy and against the quantized operators that converted graphs hold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgerift.deploy import quiet
from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._straight_through import FakeQuantize, QuantizeLevels, add_fixed_point, requantize
from edgerift.deploy.twins._twin_xnnpack import add_multipliers

GRIDS = [
    pytest.param(Grid(1 / 127.5, 0, -128, 127), id="int8 centred"),
    pytest.param(Grid(0.037, -128, -128, 127), id="int8 positive"),
    pytest.param(Grid(0.02, 13, -128, 127), id="int8 off centre"),
    pytest.param(Grid(0.5, 3, 0, 255), id="uint8"),
]


def spread(grid, count=4001):
    """Values over the grid's range and well beyond, the levels and the ties between them included."""
    low, high = grid.scale * (grid.low - 3), grid.scale * (grid.high + 3)
    levels = torch.arange(grid.low - 2, grid.high + 3) * torch.tensor(grid.scale)
    ties = (torch.arange(grid.low - 2, grid.high + 2) + 0.5) * grid.scale
    return torch.cat([torch.linspace(low, high, count), levels, ties])


@pytest.mark.parametrize("grid", GRIDS)
def test_fake_quantization_equals_quantize_then_dequantize(grid):
    with quiet():
        import torchao.quantization.pt2e  # noqa: F401
    operators = torch.ops.quantized_decomposed
    kind = torch.int8 if grid.minimum < 0 else torch.uint8
    arguments = (float(np.float32(grid.scale)), grid.zero_point, grid.minimum, grid.maximum, kind)
    exact = Grid(*arguments[:4])
    values = spread(exact)
    expected = operators.dequantize_per_tensor(operators.quantize_per_tensor(values, *arguments), *arguments)
    assert torch.equal(FakeQuantize(exact)(values), expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_levels_are_what_numpy_counts(grid):
    values = spread(grid)
    scaled = values.numpy() * np.float32(1 / grid.scale)
    expected = np.clip(np.rint(scaled), grid.low, grid.high)
    assert np.array_equal(QuantizeLevels(grid)(values).numpy(), expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_gradient_passes_inside_the_range_and_only_there(grid):
    values = spread(grid).requires_grad_()
    scaled = values.detach() / grid.scale
    inside = (scaled > grid.low - 0.5) & (scaled < grid.high + 0.5)
    clear = (scaled - (grid.low - 0.5)).abs().minimum((scaled - (grid.high + 0.5)).abs()) > 1e-3
    (slope,) = torch.autograd.grad(FakeQuantize(grid)(values).sum(), values)
    assert torch.equal(slope[clear], inside[clear].float())
    (slope,) = torch.autograd.grad(QuantizeLevels(grid)(values).sum(), values)
    assert torch.allclose(slope[clear], inside[clear] / grid.scale)


def test_a_pixel_at_the_end_of_the_range_keeps_its_gradient():
    grid = Grid(1 / 127.5, 0, -128, 127)
    ends = torch.tensor([-128 / 127.5, 127 / 127.5], requires_grad=True)
    (slope,) = torch.autograd.grad(FakeQuantize(grid)(ends).sum(), ends)
    assert slope.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("low", "high"), [(0, None), (0, 60), (-20, 30)])
def test_a_fused_activation_equals_the_activation_before_the_rounding(low, high):
    grid = Grid(0.25, -28, -128, 127)
    bounds = low * grid.scale, float("inf") if high is None else high * grid.scale
    values = spread(grid).requires_grad_()
    separate = FakeQuantize(grid)(values.clamp(*bounds))
    fused = FakeQuantize(grid, low, high)(values)
    assert torch.equal(separate, fused)
    slopes = [torch.autograd.grad(result.sum(), values)[0] for result in (separate, fused)]
    at_a_bound = (values == bounds[0]) | (values == bounds[1])
    assert torch.equal(slopes[0][~at_a_bound], slopes[1][~at_a_bound])
    assert not slopes[1][values < bounds[0]].any()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-3_000_000, 3_000_000),
    st.floats(1e-6, 0.1),
    st.integers(-128, 0),
    st.integers(1, 127),
    st.integers(-9, 9),
)
def test_requantization_rounds_half_to_even_in_float32(total, factor, low, high, zero):
    scaled = np.float32(total) * np.float32(factor)
    expected = np.clip(np.rint(np.float32(np.clip(scaled, low, high) + np.float32(zero))) - zero, low, high)
    found = requantize(
        torch.tensor([float(total)]),
        torch.tensor(factor, dtype=torch.float32),
        (low, high),
        (low - 0.5, high + 0.5),
        zero,
    )
    assert found.item() == expected


def test_an_odd_zero_point_turns_ties_around():
    sums, factor = torch.tensor([1.0, 3.0, 5.0]), torch.tensor(0.5)
    assert requantize(sums, factor, (-9, 9), (-9, 9)).tolist() == [0.0, 2.0, 2.0]
    assert requantize(sums, factor, (-9, 9), (-9, 9), 1).tolist() == [1.0, 1.0, 3.0]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.001, 0.2), st.floats(0.001, 0.2), st.floats(0.001, 0.2))
def test_addition_follows_the_fixed_point_arithmetic_of_integers(first, second, result):
    grids = [Grid(float(np.float32(scale)), 0, -128, 127) for scale in (first, second, result)]
    (one, two), shift = add_multipliers(*grids)
    assert 2**20 <= max(one, two) <= 2**21
    left, right = np.meshgrid(np.arange(-255, 256, 17), np.arange(-255, 256, 13))
    expected = np.clip((left * one + right * two + (1 << (shift - 1))) >> shift, -128, 127)
    levels = [torch.from_numpy(side.astype(np.float32)) for side in (left, right)]
    found = add_fixed_point(*levels, (one, two), shift, (-128, 127), (-128.5, 127.5))
    assert np.array_equal(found.numpy(), expected)
    exact = (left * grids[0].scale + right * grids[1].scale) / grids[2].scale
    assert np.abs(np.clip(exact, -128, 127) - expected).max() <= 0.51


def test_the_gradient_of_an_addition_is_the_ratio_of_the_scales():
    grids = [Grid(scale, 0, -128, 127) for scale in (0.02, 0.05, 0.1)]
    multipliers, shift = add_multipliers(*grids)
    sides = [torch.tensor([10.0, 127.0], requires_grad=True) for _ in range(2)]
    total = add_fixed_point(*sides, multipliers, shift, (-60, 60), (-60.5, 60.5))
    slopes = torch.autograd.grad(total.sum(), sides)
    assert torch.allclose(slopes[0], torch.tensor([0.2, 0.0]), atol=1e-5)
    assert torch.allclose(slopes[1], torch.tensor([0.5, 0.0]), atol=1e-5)
