"""What the reports say of the control and of the thief."""

from pathlib import Path

import pytest
from made_audit import made_audit, made_theft, theft

from edgerift.audit import ControlPart
from edgerift.measure import Rate, interval
from edgerift.report._words import control_words, theft_outcome


@pytest.mark.parametrize(
    ("evasive", "p", "said"),
    [
        (10, 1e-9, "Quantization opens the rift wider"),
        (348, 0.01, "Further training alone opens a wider rift"),
        (300, 0.05, "Further training alone opens as wide a rift"),
    ],
)
def test_the_control_is_read_by_its_test(tmp_path: Path, evasive: int, p: float, said: str) -> None:
    rate = interval(Rate(evasive, 348))
    control = ControlPart(evasive=rate, attacked=348, clean_disagreement=interval(Rate(3, 397)), p=p)
    assert control_words(made_audit(tmp_path, findings=100).evasion, control).startswith(said)


@pytest.mark.parametrize(
    ("spent", "said"), [(1, "A thief who asks 1 question gets"), (50_000, "asks 50,000 questions gets")]
)
def test_the_thief_pays_by_the_question(spent: int, said: str) -> None:
    part = made_theft()
    part = part.replace(thieves={"soft": theft(7, 17, 3, spent=spent)})
    assert said in str(theft_outcome(part))
