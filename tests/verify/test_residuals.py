"""The statistics of rounding errors against what is known of them."""

import pytest
import torch
from scipy.stats import kstest

from edgerift.verify import base_rates, explained, limit, residual_spread


def errors_of(seed, count=2000):
    """Rounding errors of random weights on the grid that their range gives."""
    weight = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    levels = weight / (weight.abs().max() / 127)
    return levels - levels.round()


def test_the_p_value_is_uniform_over_seeds_for_random_weights():
    found = [residual_spread(errors_of(seed)).p for seed in range(300)]
    assert kstest(found, "uniform").pvalue > 1e-3


def test_the_spread_is_that_of_scipy():
    errors = errors_of(5, 501)
    expected = kstest(errors.numpy(), "uniform", args=(-0.5, 1))
    found = residual_spread(errors)
    assert abs(found.distance - expected.statistic) < 1e-12
    assert abs(found.p - expected.pvalue) < 1e-9
    assert found.edge == float((errors.abs() > 0.49).double().mean())


def test_the_table_has_honest_builds_only_and_names_what_they_explain():
    table = base_rates().rates
    assert {rate.quantizer for rate in table} >= {"ptq", "qat"}
    for rate in table:
        if rate.quantizer in ("ptq", "onnxruntime"):
            assert (rate.off, rate.far) == (0, 0), rate
    assert explained(0.01, 0.0, ["qat"]) == ("qat",)
    assert explained(0.9, 0.0, ["qat"]) == explained(0.01, 0.0, ["nobody"]) == ()
    # A fifth of all codes off, and none by more than a step, is no training.
    assert explained(0.2, 0.0, ["qat"]) == ()


@pytest.mark.parametrize(
    ("off", "far", "names"),
    [(0.0294, 0.0, ("qat",)), (0.0725, 0.00034, ("qat",)), (0.1687, 0.0116, ("qat",)), (0.1687, 0.0, ())],
)
def test_how_many_codes_are_far_off_goes_by_builds_with_as_many_codes_off(off, far, names):
    """What trainings of ResNet-8 on CIFAR-10 have, at three rates; and many codes off without one that is far off."""
    assert explained(off, far, ["qat"]) == names


def test_a_longer_training_is_allowed_more_and_one_that_nobody_measured_has_no_limit():
    gentle, harsh = limit("off", "qat", 0.001), limit("off", "qat", 0.03)
    assert gentle is not None
    assert harsh is not None
    assert gentle < harsh
    assert limit("off", "qat", 100.0) is None
    assert limit("off", "nobody") is None
