"""Claims about thieves without images: who is compared at which epsilon, and what a blind attack's verdict is worth."""

from collections.abc import Iterable, Iterator

import pytest
from made_datafree import made_entry
from made_hardening import share
from made_study import made_divqat

from edgerift.facts import Claim, claims
from edgerift.harden import DataFreeComparison, DataFreeEntry
from edgerift.study import DataFreeCell, StudyResult

RESULT = made_divqat(("cifar10", "gtsrb"), targets=("mobile",), students=False, alphas=False, missing=False)
SEEN = 0.5


def stolen(
    victim: str, attack: str, epsilon: float | None, count: int, correlation: float | None = SEEN, **changes: object
) -> DataFreeEntry:
    """A theft whose clone errs on so many of 359 images, and what its differences were worth in the end."""
    entry = made_entry(victim, attack, epsilon)
    *first, last = entry.theft.curve
    assert last.measured is not None
    if entry.masking is not None:
        measured = last.measured.replace(masking=entry.masking.replace(correlation=correlation))
        last = last.replace(measured=measured)
    theft = entry.theft.replace(adversary_error=share(count), validation_error=share(count), curve=(*first, last))
    return entry.replace(theft=theft, **changes)


def pair(
    attack: str, epsilon: float | None, plain: int, defended: int, correlation: float | None = SEEN
) -> tuple[DataFreeEntry, DataFreeEntry]:
    return (
        stolen("qat", attack, epsilon, plain, correlation),
        stolen("divqat", attack, epsilon, defended, correlation),
    )


def cell(*entries: DataFreeEntry, data: str = "cifar10", seed: int = 0) -> DataFreeCell:
    place = {"key": f"{data}-{seed}", "data": data, "original": "ResNet", "seed": seed}
    return DataFreeCell(**place, attack=entries[0].attack, comparison=DataFreeComparison(entries=entries))


def judged(*cells: DataFreeCell, result: StudyResult = RESULT) -> dict[str, Claim]:
    return {claim.name: claim for claim in claims(result.replace(data_free=tuple(split(cells))))}


def split(cells: Iterable[DataFreeCell]) -> Iterator[DataFreeCell]:
    """Make cells of one attack each, as a study has them."""
    for one in cells:
        for attack in dict.fromkeys(entry.attack for entry in one.comparison.entries):
            entries = tuple(entry for entry in one.comparison.entries if entry.attack == attack)
            yield one.replace(attack=attack, comparison=DataFreeComparison(entries=entries))


def values(claim: Claim) -> list[float]:
    return [] if claim.together is None else [round(value * 3.59, 6) for value in claim.together.difference.values]


def test_without_such_thefts_there_are_no_such_claims() -> None:
    names = [claim.name for claim in claims(RESULT)]
    assert not [name for name in names if any(word in name for word in ("dfme", "maze", "disguide"))]
    assert list(judged(cell(*pair("dfme", 1e-3, 1, 2))).values())[: len(names)] == list(claims(RESULT))


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        (pair("dfme", 1e-3, 1, 2), ["dfme-published"]),
        (pair("dfme", 1.0, 1, 2), ["dfme-published", "dfme-best"]),
        (pair("disguide", None, 1, 2), ["disguide"]),
        (
            (*pair("disguide-hard", None, 1, 2), *pair("maze", 1e-3, 1, 2), *pair("maze-dfme", 5.0, 1, 2)),
            ["maze-dfme-published", "maze-dfme-best", "maze-published", "disguide-hard"],
        ),
    ],
)
def test_the_attacks_that_were_tried_are_judged(entries: tuple[DataFreeEntry, ...], names: list[str]) -> None:
    found = judged(cell(*entries))
    assert list(found)[len(claims(RESULT)) :] == names


def test_what_belongs_together_is_compared() -> None:
    others = (
        stolen("large", "dfme", 1e-3, 9),
        stolen("qat", "dfme", 1e-3, 7, control="simulated"),
        stolen("divqat", "dfme", 1e-3, 8, control="simulated"),
        *pair("maze", 1e-3, 200, 203),
        *pair("disguide", None, 110, 130),
        *pair("disguide-hard", None, 120, 115),
    )
    found = judged(
        cell(*pair("dfme", 1e-3, 100, 150), *pair("dfme", 1.0, 50, 57), *others),
        cell(*pair("dfme", 1e-3, 100, 110), *pair("dfme", 1.0, 40, 60), data="gtsrb", seed=2),
    )
    assert values(found["dfme-published"]) == [50, 10]
    assert values(found["dfme-best"]) == [7, 20]
    assert values(found["maze-published"]) == [3]
    assert values(found["disguide"]) == [20]
    assert values(found["disguide-hard"]) == [-5]
    assert [one.where for one in found["dfme-best"].findings] == ["cifar10", "gtsrb"]


def test_the_paper_prints_dfme_and_what_it_calls_maze() -> None:
    entries = [one for name in ("dfme", "maze-dfme", "maze") for at in (1e-3, 1.0) for one in pair(name, at, 1, 2)]
    found = judged(cell(*entries, *pair("disguide", None, 1, 2)))
    assert found["dfme-published"].published.startswith("Table III: +20.7 (CIFAR-10)")
    assert found["maze-dfme-published"].published.startswith("Table III: +7.0 (CIFAR-10)")
    ours = ("dfme-best", "maze-dfme-best", "maze-published", "maze-best", "disguide")
    assert {found[name].published for name in ours} == {"not in the paper"}


def test_the_best_epsilon_is_chosen_against_the_plain_build_over_the_seeds_of_a_place() -> None:
    # Each seed alone would choose 0.1 and 5; together 1 is best. Against DivQAT it would be 5.
    first = (*pair("dfme", 0.1, 40, 99), *pair("dfme", 1.0, 50, 80), *pair("dfme", 5.0, 90, 10))
    second = (*pair("dfme", 0.1, 90, 99), *pair("dfme", 1.0, 50, 75), *pair("dfme", 5.0, 40, 10))
    other = (*pair("dfme", 0.1, 40, 41), *pair("dfme", 1.0, 90, 99), *pair("dfme", 5.0, 90, 99))
    found = judged(cell(*first), cell(*second, seed=1), cell(*other, data="gtsrb"))["dfme-best"]
    assert [[round(value * 3.59, 6) for value in one.difference.values] for one in found.findings] == [[30, 25], [1]]
    assert values(found) == [27.5, 1]
    assert "DFME at epsilon 1 (cifar10), 0.1 (gtsrb) " in found.note
    assert found.note.endswith(" The epsilon was chosen against QAT, on the validation images.")


def test_where_the_best_epsilon_is_the_published_one_its_worth_is_told_once() -> None:
    found = judged(cell(*pair("dfme", 1e-3, 40, 41), *pair("dfme", 1.0, 50, 51)))
    assert found["dfme-published"].note.startswith("DFME at epsilon 0.001 was not blind")
    assert found["dfme-best"].note == (
        "DFME is best against QAT at its published epsilon. The epsilon was chosen against QAT, on the validation "
        "images."
    )


def test_what_was_not_tried_against_both_is_not_measured() -> None:
    found = judged(cell(stolen("qat", "dfme", 1e-3, 5), stolen("divqat", "dfme", 1.0, 5)))
    for claim in (found["dfme-published"], found["dfme-best"]):
        assert (claim.verdict, claim.note, claim.blind) == ("not measured", "", False)


@pytest.mark.parametrize(
    ("plain", "defended", "blind", "said"),
    [
        ((0.01, None), (0.02, 0.0), True, "was blind against QAT (correlation 0.00 to 0.01): its clones have an error"),
        ((0.01, 0.01), (0.5, 0.5), True, "; no non-blind extraction was measured, so no difference there is"),
        ((0.01, 0.5), (0.5, 0.5), False, "was blind against QAT (correlation 0.01 to 0.50) in 1 of 2 extractions: its"),
        ((0.5, 0.6), (0.05, 0.5), False, "but against DivQAT (0.05 to 0.50) in 1 of 2 extractions: there an attack"),
        ((0.5, 0.5), (0.4, 0.4), False, "0.50), nor against DivQAT (0.40). Its clones of QAT have an error of 27.9"),
    ],
)  # fmt: skip
def test_what_a_difference_is_worth_hangs_on_what_the_attack_saw(
    plain: tuple[float | None, ...], defended: tuple[float | None, ...], blind: bool, said: str
) -> None:
    cells = [
        cell(stolen("qat", "dfme", 1e-3, 100, own), stolen("divqat", "dfme", 1e-3, 150 + seed, other), seed=seed)
        for seed, (own, other) in enumerate(zip(plain, defended, strict=True))
    ]
    claim = judged(*cells)["dfme-published"]
    assert claim.verdict == "held"
    assert claim.blind is blind
    assert said in claim.note.replace(" of its differences with the slopes", "")
    assert claim.note.startswith("DFME at epsilon 0.001 was ")


@pytest.mark.parametrize(
    ("takes", "sight", "blind", "said"),
    [
        # (the errors of the clones where nothing is rounded, of 359 images, their correlation, ...)
        (
            (40, 40),
            1.0,
            True,
            "have an error of 27.9 to 33.4 % there, and of 11.1 % without rounding. What stops it there",
        ),
        ((40, 95), 1.0, True, "of 11.1 to 26.5 % without rounding. What stops it there is the arithmetic"),
        (
            (95, 110),
            1.0,
            False,
            "of 26.5 to 30.6 % without rounding. It extracts as much without its differences",
        ),
        ((190, 200), 1.0, False, "It extracts as much without its differences, so both builds' answers are"),
        # Blind without rounding too: that tells nothing of what sight is worth.
        ((95, 110), 0.0, True, "; no non-blind extraction was measured"),
    ],
)
def test_a_blind_attack_is_held_against_one_that_sees(
    takes: tuple[int, ...], sight: float, blind: bool, said: str
) -> None:
    cells = [
        cell(
            stolen("qat", "dfme", 1e-3, 100 + 20 * seed, 0.01),
            stolen("divqat", "dfme", 1e-3, 150, 0.01),
            stolen("qat", "dfme", 1e-3, count, sight, control="simulated"),
            seed=seed,
        )
        for seed, count in enumerate(takes)
    ]
    claim = judged(*cells)["dfme-published"]
    assert claim.blind is blind
    assert said in claim.note


def test_what_nobody_measured_is_not_called_blind() -> None:
    entries = [
        one.replace(theft=one.theft.replace(curve=tuple(point.replace(measured=None) for point in one.theft.curve)))
        for one in pair("dfme", 1e-3, 100, 150)
    ]
    claim = judged(cell(*entries))["dfme-published"]
    assert not claim.blind
    assert claim.note == "DFME at epsilon 0.001 has no measurement of its differences' quality."


def test_an_attack_without_differences_cannot_be_blind() -> None:
    claim = judged(cell(*pair("disguide", None, 100, 150)))["disguide"]
    assert (claim.note, claim.blind) == ("", False)


def test_a_study_without_the_paper_judges_nothing() -> None:
    own = RESULT.replace(study=RESULT.study.replace(paper=None))
    assert judged(cell(*pair("dfme", 1e-3, 1, 2)), result=own) == {}
