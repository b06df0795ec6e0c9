"""What a comparison concludes: the words must follow from the figures."""

import pytest
from made_hardening import made_hardening, made_search, share

from edgerift.harden import Thieves, VariantPart
from edgerift.harden._verdict import overall_verdict, variant_verdict

PLAIN = (
    made_hardening(("qat",))
    .victim["qat"]
    .replace(defender_error=share(10, 1000), adversary_error=Thieves(soft=share(100, 1000), hard=share(150, 1000)))
)
GUESSING = 0.9
NOTHING = "It hinders neither attacker significantly."
HARD = "The attacker with hard labels is not significantly hindered."
SOFT = "The attacker with soft labels is not significantly hindered."
DEAR = "It costs the defender at least as much as the attacker with hard labels."
WORTH = "It costs both attackers more than the defender."


def victim(owner: int, soft: int, hard: int) -> VariantPart:
    return PLAIN.replace(
        defender_error=share(owner, 1000), adversary_error=Thieves(soft=share(soft, 1000), hard=share(hard, 1000))
    )


@pytest.mark.parametrize(
    ("figures", "conclusion"),
    [
        ((10, 100, 150), NOTHING),
        ((10, 105, 155), NOTHING),
        ((10, 40, 90), NOTHING),
        ((10, 400, 150), HARD),
        ((10, 400, 160), HARD),
        ((10, 400, 60), HARD),
        ((10, 100, 450), SOFT),
        ((210, 400, 250), DEAR),
        ((10, 400, 250), WORTH),
    ],
)
def test_conclusion_follows_from_the_figures(figures: tuple[int, int, int], conclusion: str) -> None:
    assert variant_verdict(victim(*figures), PLAIN, GUESSING).endswith(conclusion)


def test_differences_are_in_points_with_their_direction() -> None:
    said = variant_verdict(victim(35, 400, 145), PLAIN, GUESSING)
    assert "The defender's error is 2.5 points higher at l1 0.000;" in said
    assert "30.0 points higher with soft labels (p < 0.001)" in said
    assert "0.5 points lower with hard labels (not significant, p = 0.8" in said
    same = variant_verdict(victim(10, 100, 150), PLAIN, GUESSING)
    assert "The defender's error is the same" in same
    assert "the clone's error is the same with soft labels (not significant, p = 1)" in same


@pytest.mark.parametrize(
    ("owner", "guessing", "collapsed"),
    [
        # Of 1,000 images, 881 wrong have an upper bound of 90.04 %, and 880 of 89.94 %.
        (880, 0.9, False),
        (881, 0.9, True),
        (979, 0.9, True),
        (881, 0.99, False),
        (480, 0.5, True),
        # A fifth of the images are of one class.
        (796, 0.8, True),
        (700, 0.8, False),
    ],
)
def test_a_model_that_guesses_has_no_verdict(owner: int, guessing: float, collapsed: bool) -> None:
    said = variant_verdict(victim(owner, 950, 950), PLAIN, guessing)
    words = f"No verdict: the victim has collapsed; its error of {owner / 10:.1f} % is not below that of guessing, "
    assert said.startswith(words) == collapsed, said
    by_it = variant_verdict(PLAIN, victim(owner, 950, 950), guessing)
    assert by_it.startswith("No verdict: the plain quantization-aware model has collapsed") == collapsed


def test_lines_of_the_whole() -> None:
    parts = {"ptq": PLAIN, "qat": PLAIN, "rs": PLAIN.replace(title="RS", verdict="It does not help.")}
    lines = overall_verdict(parts, made_search()).splitlines()
    assert lines[0] == (
        "Undefended, the QAT build has a test error of 1.0 % and its clones 10.0 % (soft labels) and "
        "15.0 % (hard labels)."
    )
    assert lines[1:] == [f"The search for DivQAT's alpha: {made_search().verdict}.", "RS: It does not help."]
    assert len(overall_verdict(parts, None).splitlines()) == 2
