"""Defences at the same price: which strengths are tried, and what is written of them."""

import importlib
import sys
from pathlib import Path

import pytest

STUDIES = Path(__file__).resolve().parents[2] / "studies"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(STUDIES))
    try:
        yield importlib.import_module("price")
    finally:
        sys.path.remove(str(STUDIES))


@pytest.mark.parametrize(
    ("price", "tried"),
    [
        # In proportion to the strength: the middle has the price.
        (lambda strength: 0.04 * strength, [1.0, 0.5]),
        # The greatest strength is enough, or not even that.
        (lambda strength: 0.021 * strength, [1.0]),
        (lambda strength: 0.001 * strength, [1.0]),
        # A training that diverges is beyond every price.
        (lambda strength: None if strength > 0.3 else 0.02 if strength > 0.2 else 0.0, [1.0, 0.5, 0.25]),
        # A threshold between .3 and .4 that is met.
        (lambda strength: 0.0 if strength < 0.3 else 0.019 if strength < 0.4 else 0.9, [1.0, 0.5, 0.25, 0.375]),
    ],
)
def test_a_bisection_ends_at_the_price(script, price, tried):
    trials = script.search(price, 1.0)
    assert [trial.strength for trial in trials] == tried
    assert [trial.price for trial in trials] == [price(strength) for strength in tried]


def test_a_jump_is_told_with_both_sides_and_nothing_is_stolen(script):
    trials = script.search(lambda strength: 0.9 if strength > 0.6 else 0.001, 1.0)
    assert len(trials) == script.TRIALS
    whole = script.Robbed(owner=0.2, l1=0.0, soft=0.3, hard=0.35)
    robbed = script.Robbed(owner=0.22, l1=0.4, soft=0.36, hard=0.36)
    found = script.Prices(
        profile="small", data="digits", price=0.02, tolerance=0.003, budget=100, guessing=0.9,
        plain={0: whole, 1: whole},
        found={
            "divqat": {0: script.Outcome(trials=trials, robbed=None)},
            "held": {
                seed: script.Outcome(trials=(script.Trial(strength=0.3, price=0.02),), robbed=robbed) for seed in (0, 1)
            },
        },
    )  # fmt: skip
    found.found["smoothing"] = {
        seed: script.Outcome(
            trials=(script.Trial(strength=0.2, price=0.02),),
            robbed=script.Robbed(owner=0.22, l1=0.3, soft=0.33 + seed / 100, hard=0.36),
        )
        for seed in (0, 1)
    }
    told = script.page(found)
    assert (
        "| DivQAT held by a hinge | label smoothing | 2 | +0.0 [+0.0, +0.0] | +2.5 [-3.9, +8.9] | +0.0 [+0.0, +0.0] |"
    ) in told
    assert "| DivQAT | label smoothing" not in told
    assert "| none | - | 20.0 | 0 | 30.0 | 35.0 |" in told
    assert "| DivQAT | none | - | - | - | - |" in told
    assert (
        "| DivQAT held by a hinge | 0.3, 0.3 | +2.0 [+2.0, +2.0] | 0.400 | +6.0 [+6.0, +6.0] | +1.0 [+1.0, +1.0]"
        in told
    )
    assert (
        "- DivQAT, seed 0, has no strength of that price: 0.1 points at strength 0.597656 and 90.0 points at strength "
        "0.601562 (collapsed)." in told
    )
