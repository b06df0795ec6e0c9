import pytest

from edgerift.errors import RecipeError
from edgerift.evade import Attack, CrossEntropy, Custom, Diva, Margin, PairMargin, TargetedDiva, preset, presets


def test_diva_2022_is_the_papers_setting() -> None:
    """Epsilon 8, steps of 1, 20 of them, c = 1, a clean start, and a stop at the joint success."""
    attack = preset("diva-2022")
    assert attack.objective == Diva(c=1.0)
    assert (attack.epsilon, attack.step, attack.steps) == (8, 1.0, 20)
    assert (attack.rule, attack.schedule, attack.start, attack.restarts) == ("sign", "constant", "clean", 1)
    assert (attack.goal, attack.stop, attack.ask) == ("wrong", "goal", "always")


@pytest.mark.parametrize("epsilon", [0, 1, 8, 255])
def test_presets_are_for_their_epsilon_and_make_the_calls_they_say(epsilon: int) -> None:
    known = presets(epsilon)
    assert {attack.epsilon for attack in known.values()} == {epsilon}
    one_step, others = {"fgsm", "r-fgsm"}, {"square": 200, "pair-attack-1": 380}
    assert {name for name, attack in known.items() if attack.steps == 1} == one_step
    assert {name: known[name].steps for name in others} == others
    assert {attack.steps for name, attack in known.items() if name not in one_step | others.keys()} == {20}
    assert {attack.restarts for attack in known.values()} == {1}
    assert preset("default", epsilon) == known["default"]


@pytest.mark.parametrize(("epsilon", "steps"), [(2, 20), (8, 20), (16, 20), (8, 5), (32, 7)])
def test_the_default_can_cross_its_box_and_come_back_to_the_middle(epsilon: int, steps: int) -> None:
    attack = preset("default", epsilon, steps)
    assert attack.steps == steps
    travelled = sum(attack.step * (1 - taken / steps) for taken in range(steps))
    assert travelled == pytest.approx(max(2.5 * epsilon, (steps + 1) / 2))


@pytest.mark.parametrize(("name", "step", "start"), [("fgsm", 8.0, "clean"), ("r-fgsm", 4.0, "random-sign")])
def test_one_step_attacks_take_the_whole_epsilon(name: str, step: float, start: str) -> None:
    assert (preset(name).step, preset(name).start) == (step, start)


@pytest.mark.parametrize("name", ["pgd", "mi-fgsm", "cw", "apgd", "fgsm", "r-fgsm"])
def test_baselines_look_at_the_build_alone(name: str) -> None:
    assert not preset(name).reads_original


def test_an_unknown_name_meets_its_neighbour() -> None:
    with pytest.raises(RecipeError, match=r"unknown attack 'difa-2022'; did you mean 'diva-2022'"):
        preset("difa-2022")


OBJECTIVES = [Diva(c=2.0), TargetedDiva(target=3), CrossEntropy(), Margin(), PairMargin(keep=0.5), Custom(name="mine")]


@pytest.mark.parametrize(
    "attack",
    [*presets().values(), *(Attack(objective=objective) for objective in OBJECTIVES)],
    ids=lambda attack: attack.ensemble or f"{attack.objective.type} {attack.rule}",
)
def test_a_description_survives_json(attack: Attack) -> None:
    assert Attack.model_validate_json(attack.model_dump_json()) == attack


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epsilon": 256}, "epsilon"),
        ({"epsilon": 1.5}, "epsilon"),
        ({"step": 0.0}, "step"),
        ({"steps": -1}, "steps"),
        ({"restarts": 0}, "restarts"),
        ({"decay": -0.1}, "decay"),
        ({"rule": "adam"}, "rule"),
        ({"objective": Diva(), "rule": "balance"}, "balance"),
        ({"rule": "apgd", "schedule": "linear"}, "own schedule"),
        ({"objective": TargetedDiva(target=1), "goal": "top5"}, "top5"),
    ],
    ids=str,
)
def test_a_value_that_is_not_allowed_is_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Attack(**fields)


def test_only_a_named_class_is_a_target() -> None:
    assert Attack(objective=TargetedDiva(target=3)).target == 3
    assert Attack().target is None
