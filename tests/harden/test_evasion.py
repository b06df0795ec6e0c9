"""The search for a build that is hard to evade: what passes, what is nearest, and the words for both."""

import pytest
from made_evasion_hardening import made_evasion_hardening, made_means, made_trial
from made_hardening import share

from edgerift import harden
from edgerift.adapt import AdversarialQat, Consistency, Divqat, EvasionTraining, GivenOriginal, HardenedRecipe
from edgerift.harden import MEANS, ChoicePart, EvasionHardenRecipe, MeansPart, TrialPart
from edgerift.harden._evasion_verdict import Budget, best, chosen_of, evasion_verdict, nearest_of
from edgerift.harden._means import reaching
from edgerift.images import ImagesSettings
from edgerift.train import TrainRecipe
from edgerift.zoo import Architecture

BUDGET = Budget(epsilon=8, evasive=0.10, coverage=0.98, accuracy_drop=0.01)
REFERENCE = 0.95
NONE = made_trial(None, (0, 1, 5, 60))
PASSES = made_trial(0.98, (0, 0, 0, 2))
LOWER = made_trial(0.95, (0, 0, 0, 0), answered=95)
OPEN = made_trial(0.98, (0, 1, 9, 40))


@pytest.mark.parametrize(
    ("trial", "passes"),
    [
        (PASSES, True),
        # 2 of 100 has the bound 7.0 %, 5 of 100 one of 11.3 %.
        (made_trial(0.98, (0, 0, 0, 5)), False),
        (NONE, False),
        (LOWER, False),
        # 92 of 98 is 93.9 %, more than a point below 95 %; 93 of 98 is 94.9 %.
        (made_trial(0.98, (0, 0, 0, 2)).replace(accuracy=share(92, 98)), False),
        (made_trial(0.98, (0, 0, 0, 2)).replace(accuracy=share(93, 98)), True),
        # A bound that is met exactly is met.
        (made_trial(0.98, (0, 0, 0, 2)).replace(accuracy=share(94, 100)), True),
        (made_trial(0.98, (0, 0, 0, 2)).replace(coverage=share(98, 100)), True),
        (made_trial(0.98, (0, 0, 0, 2)).replace(coverage=share(979, 1000)), False),
    ],
)
def test_a_trial_passes_within_the_whole_policy(trial: TrialPart, passes: bool) -> None:
    assert BUDGET.passes(trial, REFERENCE) is passes


def test_a_policys_coverage_is_a_lower_bound() -> None:
    surely = BUDGET._replace(surely=True)
    assert not surely.passes(PASSES, REFERENCE)
    assert surely._replace(coverage=0.92).passes(PASSES, REFERENCE)


def test_the_cheapest_means_with_the_lowest_bound_within_the_policy_is_chosen() -> None:
    fuller = made_trial(0.99, (0, 0, 0, 3), answered=99)
    as_low = made_trial(0.985, (0, 0, 0, 2), answered=99)
    cheap = made_means("ptq", "PTQ", NONE, OPEN)
    dear = made_means("consistency", "Consistency", NONE, fuller, PASSES)
    dearer = made_means("evasion", "Evasion training", made_trial(None, (0, 0, 0, 0)))
    assert best(dear, BUDGET, REFERENCE) == PASSES
    assert best(made_means("ptq", "PTQ", PASSES, as_low, LOWER), BUDGET, REFERENCE) == as_low
    assert best(cheap, BUDGET, REFERENCE) is None
    assert chosen_of([cheap, dear, dearer], BUDGET, REFERENCE) == ChoicePart(means="consistency", wanted=0.98)
    assert chosen_of([cheap], BUDGET, REFERENCE) is None


def test_the_nearest_answers_enough_before_it_holds() -> None:
    means = made_means("ptq", "PTQ", NONE, OPEN, LOWER)
    assert nearest_of([means], BUDGET, REFERENCE) == ChoicePart(means="ptq", wanted=0.98)
    assert nearest_of([made_means("ptq", "PTQ", LOWER)], BUDGET, REFERENCE).wanted == 0.95


QAT = made_means("qat", "QAT", NONE)
ENOUGH = ChoicePart(means="consistency", wanted=0.98)


@pytest.mark.parametrize(
    ("trials", "chosen", "said"),
    [
        ((NONE, PASSES), ENOUGH, "Consistency behind a guard of coverage 98 % is the cheapest that passes"),
        ((NONE, OPEN, LOWER), None, "Consistency would pass at a coverage of 95 %."),
        (
            (OPEN, PASSES.replace(accuracy=share(80, 98))),
            None,
            "What passes loses more accuracy than the 1 % that is allowed.",
        ),
        ((OPEN,), None, "It passes up to epsilon 2."),
        ((made_trial(0.98, (20, 30, 40, 50)),), None, "It does not pass at any smaller epsilon either."),
        (
            (PASSES.replace(reach=(PASSES.reach[-1].replace(evasive=share(0, 20)),)),),
            None,
            "No image evaded; 20 images are too few for a bound of 10 %.",
        ),
    ],
)
def test_the_verdict_says_what_stands_in_the_way(
    trials: tuple[TrialPart, ...], chosen: ChoicePart | None, said: str
) -> None:
    means = made_means("consistency", "Consistency", *trials)
    nearest = nearest_of([means], BUDGET, REFERENCE)
    first, worth = evasion_verdict(made_evasion_hardening(QAT, means, chosen=chosen, nearest=nearest)).splitlines()
    assert said in first
    assert first.startswith("Nothing passes") is (chosen is None)
    assert worth == (
        "On the test images 1.0 % [0.0, 5.4] are evasive at epsilon 8, undefended 45.0 % [35.0, 55.3]; it answers "
        "98 % of them and gets 94.9 % of these right, the undefended build 95 %."
    )


def recipe(**fields: object) -> EvasionHardenRecipe:
    images = ImagesSettings(size=16)
    original = TrainRecipe(images=images, architecture=Architecture(name="lenet", classes=10, size=16))
    return EvasionHardenRecipe.model_validate({"original": original, "images": images, **fields})


def test_means_go_from_cheap_to_dear_and_know_the_attackers_epsilon() -> None:
    assert MEANS.names()[:4] == ("ptq", "ptq-float", "qat", "consistency")
    found = recipe(means=("evasion", "ptq", "robust"), epsilon=2)
    assert [one.name for one in found.ranked] == ["ptq", "evasion", "robust"]
    made = {one.name: found.made(one) for one in found.ranked}
    assert made["evasion"] is not None
    program = made["evasion"].program
    assert isinstance(program, HardenedRecipe)
    assert program.defence == EvasionTraining(epsilon=2)
    assert made["ptq"] is not None
    assert made["ptq"].original == found.original
    assert made["robust"] is not None
    assert isinstance(made["robust"].original, TrainRecipe)
    assert made["robust"].original.settings.adversary is not None
    assert made["robust"].original.settings.adversary.epsilon == 2
    given = GivenOriginal(sha256="0" * 64)
    assert found.replace(original=given).made(MEANS["robust"]) is None
    assert reaching(Consistency(), 8) == Consistency()
    assert program.settings == found.settings
    assert reaching(AdversarialQat(), 4) == AdversarialQat(epsilon=4)
    assert reaching(Divqat(), 4) == Divqat()


def test_the_policys_epsilon_is_among_those_that_are_tried() -> None:
    assert recipe(epsilon=3).epsilons == (1, 2, 3, 4, 8)
    means = MEANS["ptq"]
    made = recipe(epsilon=3).made(means)
    assert made is not None
    judged = recipe(epsilon=3, judging="pair-attack-1").trial(means, made, 0.98, test=True)
    assert (judged.epsilons, judged.attack, judged.split) == ((3,), "pair-attack-1", "test")


def test_until_the_first_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only trials decide how far the search goes: here they are given."""
    asked: list[tuple[str, float | None, str]] = []

    def opened(self: harden.TrialRecipe, store: object, progress: object) -> TrialPart:
        title = self.name.split()[1].rstrip(",")
        asked.append((title, self.coverage, self.split))
        if title == "consistency" and self.coverage == 0.98:
            return PASSES
        return NONE.replace(wanted=self.coverage, coverage=share(100, 100))

    monkeypatch.setattr(harden.TrialRecipe, "open", opened)
    for until, last in (("first", "consistency"), ("last", "evasion-float")):
        asked.clear()
        tried: list[MeansPart] = list(recipe(until=until)._each_tried(None, None, REFERENCE))
        assert [part.name for part in tried][-1] == last
        assert ("ptq", None, "validation") in asked
