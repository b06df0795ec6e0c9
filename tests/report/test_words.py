"""What the reports say of the control and of the attacker."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from made_audit import made_audit, made_theft, theft

from edgerift.audit import ControlPart
from edgerift.measure import Rate, interval
from edgerift.report.shared._words import bounds, control_words, fixed, gate_numbers, percent, points, theft_outcome

SHARES = st.floats(-1, 1)


@pytest.mark.parametrize(
    ("evasive", "p", "said"),
    [
        (10, 1e-9, "Quantization opens a larger gap"),
        (348, 0.01, "Fine-tuning alone opens a larger gap"),
        (300, 0.05, "Not significant: fine-tuning alone can explain"),
    ],
)
def test_the_control_is_read_by_its_test(tmp_path: Path, evasive: int, p: float, said: str) -> None:
    rate = interval(Rate(evasive, 348))
    control = ControlPart(evasive=rate, attacked=348, clean_disagreement=interval(Rate(3, 397)), p=p)
    assert control_words(made_audit(tmp_path, findings=100).evasion, control).startswith(said)


@pytest.mark.parametrize(
    ("spent", "said"), [(1, "An attacker with 1 query gets"), (50_000, "with 50,000 queries gets")]
)
def test_the_attacker_pays_per_query(spent: int, said: str) -> None:
    part = made_theft()
    part = part.replace(thieves={"soft": theft(7, 17, 3, spent=spent)})
    assert said in str(theft_outcome(part))


def test_a_build_that_guesses_has_no_verdict_on_theft(tmp_path: Path) -> None:
    part = made_audit(tmp_path).theft
    assert part is not None
    (name,) = [*part.thieves][:1]
    dead = part.best.replace(defender_error=interval(Rate(355, 400)))
    said = str(theft_outcome(part.replace(thieves={name: dead}, strongest=name)))
    assert said.startswith("No verdict on theft: the build is not clearly better than always predicting one class")


@given(SHARES, st.sampled_from([1, 2]))
@example(-0.0, 1)
@example(-0.0004, 1)
@example(-0.00001, 2)
def test_a_share_never_reads_as_a_negative_zero_and_is_rounded_right(share: float, decimals: int) -> None:
    text = percent(share, decimals).replace("\xa0", "").removesuffix("%")
    assert "-" not in text
    number = float(text.lstrip("<>").replace("−", "-"))
    assert not (text.startswith("−") and number == 0)
    if text[0] == "<":
        assert 100 * share < number
    elif text[0] == ">":
        assert 100 * share > number
    else:
        assert abs(100 * share - number) <= 0.5000001 * 10**-decimals
        # What is neither nothing nor all never reads as such.
        assert (number == 0) == (share == 0)
        assert (abs(number) == 100) == (abs(share) == 1)


@given(SHARES)
@example(-0.0001)
@example(-0.0)
def test_differences_and_figures_have_no_negative_zero(value: float) -> None:
    for text in (points(value), fixed(100 * value, 1)):
        assert "-" not in text
        number = float(text.replace("−", "-"))
        assert abs(100 * value - number) <= 0.0500001
        assert number or text == "0.0"
    assert points(value).startswith("+") == (float(fixed(100 * value, 1).replace("−", "-")) > 0)


def test_an_interval_that_begins_at_nothing_has_no_sign() -> None:
    assert bounds(interval(Rate(0, 9)).replace(low=-0.0)) == "[0.0,\xa033.6]"


@pytest.mark.parametrize(
    ("measured", "said"), [(-0.0, "0.0 %"), (-0.0003, "> −0.1 %"), (-0.0125, "−1.2 %"), (0.0003, "< 0.1 %")]
)
def test_an_accuracy_that_rose_is_no_negative_zero(tmp_path: Path, measured: float, said: str) -> None:
    rule = made_audit(tmp_path).gate[0].replace(rule="accuracy_drop", measured=measured)
    assert gate_numbers(rule)[0].replace("\xa0", " ") == said
