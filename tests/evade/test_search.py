"""Searches whose result is known beforehand, and what must not change it."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_pair import StandInBuild, image_set, linear_model, margin_model, near_images, pair_of
from torch import Tensor, nn

from edgerift.deploy import twin_scores
from edgerift.errors import InputError, ModelError, RecipeError
from edgerift.evade import (
    Attack,
    CrossEntropy,
    Diva,
    Evasion,
    Fleet,
    Margin,
    Pair,
    PairMargin,
    Steering,
    TargetedDiva,
    is_evasive,
    presets,
    search,
    select,
)
from edgerift.images import ImageSet

#: All of them reach every corner of a box of 4 grey levels but `r-fgsm`, which may spend its start on going away, and
#: `square`, which moves by chance.
REACHING = sorted(set(presets()) - {"r-fgsm", "square"})
STEADY = margin_model(torch.zeros(12), 100_000.5)


def half_space(images: Tensor, seed: int, epsilon: int) -> tuple[nn.Module, Tensor]:
    """Make a build that is wrong beyond a plane among the images, and the least that each box brings its margin to."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randint(-3, 4, (12,), generator=generator)
    levels = images.flatten(1).long()
    reach = int(weight.abs().sum()) * epsilon
    bias = 0.5 - int((levels @ weight).float().median()) + reach // 2
    low, high = (levels - epsilon).clamp_min(0), (levels + epsilon).clamp_max(255)
    least = torch.minimum(weight * low, weight * high).sum(1) + bias
    return margin_model(weight, bias), least


@pytest.mark.parametrize("attack", REACHING)
def test_an_image_is_found_exactly_when_the_half_space_meets_its_box(attack: str) -> None:
    images = near_images(40, 2, seed=4)
    adapted, least = half_space(images, seed=4, epsilon=4)
    pair, steering = pair_of(STEADY, adapted)
    found = search(pair, image_set(images), attack, steering=steering, epsilon=4)
    expected = least[found.index] < 0
    assert 5 < int(expected.sum()) < len(found) - 5
    assert torch.equal(found.evasive, expected)
    assert not found.void.any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12), st.sampled_from(["default", "pgd", "diva-2022"]))
def test_every_half_space_is_found_by_enough_steps(seed: int, epsilon: int, attack: str) -> None:
    images = near_images(8, 2, seed)
    adapted, least = half_space(images, seed, epsilon)
    pair, steering = pair_of(STEADY, adapted)
    found = search(pair, image_set(images), attack, steering=steering, epsilon=epsilon, steps=30)
    assert torch.equal(found.evasive, least[found.index] < 0)


@pytest.mark.parametrize("agreement", [-1.0, -0.3, 0.0, 0.3, 1.0, 3.0])
def test_the_default_finds_the_rift_between_two_planes_that_a_linear_program_proves(agreement: float) -> None:
    """Images evade where one plane is passed and the other is not; nearer to the edge than 2 % may go either way."""
    outcomes = []
    for seed in range(12):
        draws = np.random.default_rng([seed, int(100 + 10 * agreement)])
        image = torch.from_numpy(draws.integers(0, 256, (1, 3, 4, 4)).astype(np.uint8))
        levels = image.flatten().numpy().astype(int)
        kept = draws.integers(-9, 10, 48)
        lost = np.rint(agreement * kept).astype(int) + draws.integers(-3, 4, 48)
        lead, room = (draws.integers(0, max(2, int(0.7 * 4 * abs(side).sum()))) + 0.5 for side in (kept, lost))
        original = margin_model(torch.from_numpy(kept), float(lead - kept @ levels))
        adapted = margin_model(torch.from_numpy(lost), float(room - lost @ levels))
        depth = rift_depth(levels, (kept, lead), (lost, room))
        pair, steering = pair_of(original, adapted)
        found = search(pair, image_set(image), steering=steering, epsilon=4)
        if depth <= 0 or depth > 0.02:
            assert bool(found.evasive[0]) == (depth > 0), (seed, depth)
            outcomes.append(depth > 0)
    assert len(outcomes) > 8


def rift_depth(levels: np.ndarray, kept: tuple[np.ndarray, float], lost: tuple[np.ndarray, float]) -> float:
    """Solve for the largest t with original margin >= t and build margin <= -t in the box, in shares of its reach."""
    from scipy.optimize import linprog

    limits = zip(np.maximum(levels - 4, 0) - levels, np.minimum(levels + 4, 255) - levels, strict=True)
    rows = np.stack([np.append(-kept[0], 1.0), np.append(lost[0], 1.0)])
    best = linprog(
        np.append(np.zeros(len(levels)), -1.0), A_ub=rows, b_ub=[kept[1], -lost[1]], bounds=[*limits, (None, None)]
    )
    assert best.status == 0
    return float(-best.fun / (4 * np.abs(lost[0]).sum()))


@pytest.mark.parametrize("attack", sorted(presets()))
def test_an_identical_pair_gives_nothing(attack: str) -> None:
    images = near_images(30, 2, seed=4)
    adapted, _ = half_space(images, seed=4, epsilon=4)
    pair, steering = pair_of(adapted, adapted)
    found = search(pair, image_set(images), attack, steering=steering)
    assert len(found) > 10
    assert found.rate.successes == found.void.sum() == 0
    if attack == "pgd":
        assert found.fooled_rate.value > 0.5


@pytest.mark.parametrize(
    "attack", ["default", "diva-2022", "apgd", Attack(start="random", restarts=2), Attack(steps=0)]
)
def test_without_a_budget_the_clean_disagreement_is_found(attack: Attack | str) -> None:
    images = near_images(40, 2, seed=4)
    original, adapted = (half_space(images, seed, epsilon=0)[0] for seed in (4, 5))
    pair, steering = pair_of(original, adapted)
    found = search(pair, image_set(images), attack, steering=steering, epsilon=0, eligible_only=False)
    right = [scores.argmax(1) == 1 for scores in (pair.original_scores(images), pair.build_scores(images))]
    assert torch.equal(found.evasive, right[0] & ~right[1])
    assert 3 < int(found.evasive.sum()) < 37
    assert torch.equal(found.images, images)
    assert torch.equal(found.last, images)
    assert not found.first[found.evasive].any()
    assert (found.first[~found.evasive] == -1).all()


@pytest.mark.parametrize("attack", ["default", "pgd"])
def test_a_judge_that_always_agrees_gives_no_findings(attack: str) -> None:
    images = near_images(20, 2, seed=4)
    adapted, _ = half_space(images, seed=4, epsilon=4)
    build = StandInBuild(lambda asked: torch.tensor([[0.0, 1.0]]).repeat(len(asked), 1))
    found = search(Pair(STEADY, None, build), image_set(images), attack, steering=Steering(STEADY, (adapted,)))
    assert len(found) == 20
    assert not (found.evasive | found.void | found.fooled).any()
    assert not found.original_questions.any()
    assert (found.build_questions == 20).all()
    assert (found.first == -1).all()


@pytest.mark.parametrize("stop", ["goal", "never"])
def test_diva_without_a_care_for_the_original_is_pgd(stop: str) -> None:
    images = near_images(40, 2, seed=1)
    generator = torch.Generator().manual_seed(0)
    # Gradients of the build that are nowhere zero, so that a millionth of the original's gradient decides no sign.
    weight = torch.stack([torch.zeros(12), torch.randint(1, 5, (12,), generator=generator), -torch.ones(12)])
    weight[:, ::2] *= -1
    levels = images.flatten(1).float()
    adapted = linear_model(weight, 0.5 - (levels @ weight.T).median(0).values + torch.tensor([0.0, 40.0, 20.0]))
    original = linear_model(torch.randint(-3, 4, (3, 12), generator=generator), torch.tensor([0.0, 900.0, 0.0]))
    pair, steering = pair_of(original, adapted)
    images = image_set(images, classes=3)
    diva, pgd = (
        search(pair, images, Attack(objective=objective, stop=stop), steering=steering)
        for objective in (Diva(c=1e6), CrossEntropy())
    )
    assert len(diva) > 10
    assert diva.rate.successes > 0
    for name in ("images", "last", "first", "evasive", "gradient_calls"):
        assert torch.equal(getattr(diva, name), getattr(pgd, name)), name
    careful = search(pair, images, Attack(objective=Diva(c=0.01), stop=stop), steering=steering)
    assert not torch.equal(careful.last, pgd.last)


ROWS = tuple(field.name for field in fields(Evasion) if field.type == "Tensor")


def require_same(found: Evasion, other: Evasion, names: tuple[str, ...] = ROWS) -> None:
    for name in names:
        torch.testing.assert_close(getattr(found, name), getattr(other, name), rtol=1e-5, atol=1e-6, msg=name)


VARIED = [
    Attack(rule="balance", schedule="linear", restarts=2),
    Attack(objective=Diva(), start="random", restarts=3, steps=6),
    Attack(objective=CrossEntropy(), rule="apgd", step=8.0, stop="fooled"),
    Attack(objective=PairMargin(), rule="momentum", start="random-sign", stop="never", steps=8),
    Attack(objective=Margin(), ask="near"),
]


@pytest.mark.parametrize(("size", "given", "most"), [(8, None, 24), (128, None, 16), (128, 20, 20)])
def test_few_large_images_are_searched_at_once(size: int, given: int | None, most: int) -> None:
    weight, seen = torch.zeros(3 * size * size), list[int]()
    pair, steering = pair_of(margin_model(weight, 0.5), margin_model(weight, 0.5))

    def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled():  # Not as the build, which answers without.
            seen.append(len(given[0]))

    steering.adapted[0].register_forward_pre_hook(note)
    search(pair, image_set(near_images(24, size, seed=1)), "pgd", steering=steering, steps=1, batch_size=given)
    assert max(seen) == most


@pytest.mark.parametrize("attack", VARIED, ids=lambda attack: f"{attack.objective.type} {attack.rule}")
def test_neither_batch_size_nor_order_changes_what_is_found(attack: Attack) -> None:
    images = near_images(40, 2, seed=4)
    adapted, _ = half_space(images, seed=4, epsilon=4)
    original, _ = half_space(images, seed=9, epsilon=4)
    pair, steering = pair_of(original, adapted)
    everything = image_set(images)
    attack = attack.replace(epsilon=4)
    found = search(pair, everything, attack, steering=steering, batch_size=64)
    assert 0 < found.rate.successes < len(found)
    for batch_size in (1, 7):
        require_same(search(pair, everything, attack, steering=steering, batch_size=batch_size), found)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    shuffled = search(pair, everything.select(order), attack, steering=steering, batch_size=7)
    places = order[shuffled.index].argsort()
    assert torch.equal(order[shuffled.index][places], found.index)
    require_same(shuffled.select(places), found, tuple(name for name in ROWS if name != "index"))


@pytest.mark.parametrize(
    ("runtime", "attack"),
    [
        pytest.param("executorch", "default", marks=pytest.mark.slow),
        ("executorch", "diva-2022"),
        ("onnxruntime", "default"),
        pytest.param("onnxruntime", "diva-2022", marks=pytest.mark.slow),
    ],
)
def test_neither_batch_size_nor_order_changes_what_is_found_on_a_real_runtime(real_pair, runtime, attack) -> None:
    pytest.importorskip(runtime)
    pair, everything = real_pair(runtime)
    some = everything.select(torch.arange(24))
    found = search(pair, some, attack, steps=8, epsilon=4)
    assert 0 < found.rate.successes < len(found)
    assert not found.void.any()
    assert torch.equal(is_evasive(found.original, found.build, found.labels, found.attack), found.evasive)
    for batch_size in (1, 7):
        require_same(search(pair, some, attack, steps=8, epsilon=4, batch_size=batch_size), found)
    backwards = search(pair, some.select(torch.arange(23, -1, -1)), attack, steps=8, epsilon=4, batch_size=7)
    assert torch.equal(23 - backwards.index.flip(0), found.index)
    require_same(backwards.select(torch.arange(len(found) - 1, -1, -1)), found, ("images", "evasive", "first", "last"))


def test_a_find_lies_in_its_box_and_both_models_say_so() -> None:
    images = near_images(40, 2, seed=4)
    adapted, _ = half_space(images, seed=4, epsilon=4)
    pair, steering = pair_of(STEADY, adapted)
    found = search(pair, image_set(images), steering=steering, epsilon=3)
    assert found.images.dtype == torch.uint8
    assert (found.images.int() - found.clean.int()).abs().max() == 3
    assert torch.equal(found.clean, images[found.index])
    torch.testing.assert_close(found.original, pair.original_scores(found.images))
    torch.testing.assert_close(found.build, pair.build_scores(found.images))
    torch.testing.assert_close(found.clean_build, pair.build_scores(found.clean))
    torch.testing.assert_close(found.last_build, pair.build_scores(found.last))
    assert torch.equal(found.evasive, is_evasive(found.original, found.build, found.labels, found.attack))


def test_a_find_that_does_not_evade_again_is_void() -> None:
    """The build gives way to images that it has not seen, and stands firm when one comes again, alone."""
    images = near_images(6, 2, seed=4)
    seen = {bytes(image.flatten().tolist()) for image in images}

    def answer(asked: Tensor) -> Tensor:
        contents = [bytes(image.flatten().tolist()) for image in asked]
        scores = torch.tensor([[0.0, 1.0] if content in seen else [1.0, 0.0] for content in contents])
        seen.update(contents)
        return scores

    adapted, _ = half_space(images, seed=4, epsilon=4)
    pair = Pair(STEADY, None, StandInBuild(answer))
    found = search(pair, image_set(images), "pgd", steering=Steering(STEADY, (adapted,)))
    assert len(found) == 6
    assert found.void.all()
    assert found.fooled.all()
    assert found.rate.successes == 0
    assert found.cumulative()[-1] == 0
    assert (found.first == -1).all()


def test_a_find_is_judged_from_its_file_alone() -> None:
    images = near_images(20, 2, seed=4)
    adapted, _ = half_space(images, seed=4, epsilon=4)
    build = StandInBuild(lambda asked: twin_scores(adapted, asked))
    found = search(Pair(STEADY, None, build), image_set(images), steering=Steering(STEADY, (adapted,)))
    hits = found.images[found.evasive]
    assert len(hits) > 3
    assert torch.equal(torch.cat(build.asked[-len(hits) :]), hits)
    assert all(len(asked) == 1 for asked in build.asked[-len(hits) :])


def test_a_fleet_is_evaded_where_every_build_is() -> None:
    images = near_images(60, 2, seed=4)
    (first, least_first), (second, least_second) = (half_space(images, seed, epsilon=4) for seed in (4, 12))
    members = [pair_of(STEADY, adapted)[0] for adapted in (first, second)]
    steering = Steering(STEADY, (first, second))
    found = search(Fleet(tuple(members)), image_set(images), steering=steering, epsilon=4)
    hits = found.images[found.evasive]
    assert 0 < len(hits) < len(found)
    for member in members:
        assert (member.build_scores(hits).argmax(1) == 0).all()
    assert not (found.evasive & ((least_first >= 0) | (least_second >= 0))[found.index]).any()


def test_dropped_images_are_counted_by_who_is_wrong() -> None:
    images = near_images(40, 2, seed=4)
    original, adapted = (half_space(images, seed, epsilon=0)[0] for seed in (4, 5))
    pair, steering = pair_of(original, adapted)
    first, second = (twin_scores(model, images).argmax(1) == 1 for model in (original, adapted))
    found = search(pair, image_set(images), steering=steering, steps=1)
    assert torch.equal(found.index, (first & second).nonzero()[:, 0])
    assert found.dropped.original_wrong == int((~first & second).sum()) > 0
    assert found.dropped.build_wrong == int((first & ~second).sum()) > 0
    assert found.dropped.both_wrong == int((~first & ~second).sum()) > 0
    assert found.dropped.total + len(found) == 40
    assert len(select(pair, image_set(images), eligible_only=False).index) == 40


@pytest.mark.parametrize(
    "attack", [*VARIED, Attack(steps=0)], ids=lambda attack: f"{attack.objective.type} {attack.rule}"
)
def test_without_an_image_to_attack_there_is_a_result_without_rates(attack: Attack) -> None:
    images = near_images(5, 2, seed=4)
    wrong = margin_model(torch.zeros(12), -1.0)
    pair, steering = pair_of(STEADY, wrong)
    told = []
    found = search(pair, image_set(images), attack, steering=steering, progress=lambda *values: told.append(values))
    assert len(found) == 0
    assert found.dropped.build_wrong == found.dropped.total == 5
    assert set(found.cumulative()) == {0}
    assert told == []
    for rate in (lambda: found.rate, lambda: found.fooled_rate, found.confidence_delta):
        with pytest.raises(InputError, match="at least 1"):
            rate()


def test_the_callers_models_and_the_global_generator_stay_untouched() -> None:
    images = near_images(12, 2, seed=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models = [
            nn.Sequential(
                nn.Conv2d(3, 8, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(8, 2)
            )
            for _ in range(2)
        ]
    for model in models:
        model(torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))).sum().backward()
    before = [{name: value.clone() for name, value in model.state_dict().items()} for model in models]
    gradients = [[parameter.grad.clone() for parameter in model.parameters()] for model in models]
    generator, original = torch.get_rng_state(), models[0]
    labels = twin_scores(Steering(original, (original,)).original, images).argmax(1)
    frozen = Steering(*models[:1], (models[1],))
    build = StandInBuild(lambda asked: twin_scores(frozen.adapted[0], asked))
    attack = Attack(start="random", restarts=2, steps=4)
    first, second = (
        search(Pair(original, None, build), image_set(images, labels), attack, steering=steering, eligible_only=False)
        for steering in (Steering(original, (models[1],)), frozen)
    )
    require_same(first, second)
    assert torch.equal(torch.get_rng_state(), generator)
    for model, state, slopes in zip(models, before, gradients, strict=True):
        assert model.training
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
        for parameter, slope in zip(model.parameters(), slopes, strict=True):
            assert parameter.requires_grad
            assert torch.equal(parameter.grad, slope)


def small_case(classes: int = 2) -> tuple[Pair, Steering, ImageSet]:
    images = near_images(10, 2, seed=4)
    adapted, _ = half_space(images, seed=4, epsilon=4)
    pair, steering = pair_of(STEADY, adapted)
    return pair, steering, image_set(images, classes=classes)


def test_a_callable_of_the_users_own_steers_as_a_named_objective_does() -> None:
    pair, steering, images = small_case()

    def mine(original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        return Diva(c=2.0)(original, adapted, labels)

    found = search(pair, images, objective=mine, steering=steering)
    assert found.attack.objective.name.endswith("mine")
    assert found.attack == Attack(objective=found.attack.objective)
    require_same(found, search(pair, images, objective=Diva(c=2.0), steering=steering))
    with pytest.raises(RecipeError, match="pass it as objective="):
        search(pair, images, found.attack, steering=steering)


def test_fields_given_by_name_change_the_attack() -> None:
    pair, steering, images = small_case()
    assert search(pair, images, "pgd", steering=steering, steps=3).attack == presets()["pgd"].replace(steps=3)
    assert search(pair, images, "fgsm", steering=steering, epsilon=5).attack == presets(5)["fgsm"]
    assert search(pair, images, steering=steering).attack == presets()["default"]
    assert search(pair, images, steering=steering, epsilon=9, steps=4).attack == presets(9, 4)["default"]
    chosen = Attack(steps=2)
    assert search(pair, images, chosen, objective=Margin(), steering=steering).attack == chosen.replace(
        objective=Margin()
    )


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda original, adapted, labels: original, r"shape \[9, 2\].*\[N\]"),
        (lambda original, adapted, labels: original.sum(), r"shape \[\].*\[N\]"),
        (lambda original, adapted, labels: 1.0, r"float.*\[N\]"),
        (lambda original, adapted, labels: original.sum(1) * torch.nan, "NaN"),
        (lambda original, adapted, labels: original.sum(1) + torch.inf, "infinite"),
        (lambda original, adapted, labels: (original.sum(1) * 0).sqrt(), "gradient is NaN"),
        (lambda original, adapted, labels: adapted[0].detach().sum(1), "no gradient"),
    ],
)
def test_an_objective_that_cannot_steer_is_refused(objective, message: str) -> None:
    pair, steering, images = small_case()
    with pytest.raises(ModelError, match=message):
        search(pair, images, objective=objective, steering=steering)


@pytest.mark.parametrize("attack", ["default", "pgd"])
@pytest.mark.parametrize(("bias", "message"), [(torch.nan, "NaN"), (torch.inf, "infinite")])
def test_steering_that_answers_nan_is_refused(attack: str, bias: float, message: str) -> None:
    pair, _, images = small_case()
    broken = margin_model(torch.ones(12), bias)
    with pytest.raises(ModelError, match=message):
        search(pair, images, attack, steering=Steering(broken, (broken,)))


@pytest.mark.parametrize("attack", ["default", "pgd"])
def test_steering_without_a_gradient_is_refused(attack: str) -> None:
    class Blind(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.detach().flatten(1)[:, :2]

    pair, _, images = small_case()
    with pytest.raises(ModelError, match="no gradient"):
        search(pair, images, attack, steering=Steering(Blind().eval(), (Blind().eval(),)))


@pytest.mark.parametrize("when", ["clean", "attacked"])
def test_a_build_that_answers_nan_is_refused(when: str) -> None:
    _, steering, images = small_case()

    def answer(asked: Tensor) -> Tensor:
        scores = twin_scores(steering.adapted[0], asked)
        broken = when == "clean" or not torch.equal(asked, images.images)
        return scores * torch.nan if broken else scores

    with pytest.raises(ModelError, match="the build answered NaN"):
        search(Pair(STEADY, None, StandInBuild(answer)), images, steering=steering, eligible_only=False)


def test_models_of_different_classes_are_no_pair() -> None:
    _, steering, images = small_case()
    build = StandInBuild(lambda asked: torch.zeros(len(asked), 3))
    with pytest.raises(ModelError, match="2 classes and the build 3"):
        search(Pair(STEADY, None, build), images, steering=steering)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"attack": "diva-2023"}, RecipeError, "diva-2022"),
        ({"stepz": 3}, RecipeError, "did you mean 'step'"),
        ({"epsilon": 256}, RecipeError, "256"),
        ({"epsilon": -1}, RecipeError, "-1"),
        ({"epsilon": "much"}, RecipeError, "epsilon"),
        ({"steps": -1}, RecipeError, "steps"),
        ({"batch_size": 0}, InputError, "batch size of 0"),
        ({"objective": TargetedDiva(target=2)}, RecipeError, "target class 2.*0 to 1"),
        ({"attack": "default", "objective": Diva()}, RecipeError, "balance"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_named(arguments, error, message: str) -> None:
    pair, steering, images = small_case()
    with pytest.raises(error, match=message):
        search(pair, images, steering=steering, **arguments)


def test_an_empty_image_set_is_refused() -> None:
    pair, steering, images = small_case()
    with pytest.raises(InputError, match="empty"):
        search(pair, images.select(torch.tensor([], dtype=torch.int64)), steering=steering)


def test_progress_counts_the_images_that_are_done() -> None:
    pair, steering, images = small_case()
    told: list[tuple[str, int, int]] = []
    search(pair, images, "pgd", steering=steering, batch_size=3, progress=lambda *values: told.append(values))
    counts = [done for _, done, _ in told]
    assert counts == sorted(counts)
    assert counts[-1] == told[-1][2] == 9
    assert {task for task, _, _ in told} == {"search"}


def class_scripts(build_answers: dict[int, int], classes: int) -> StandInBuild:
    """Answer by how bright the first pixel is; class 1 unless said otherwise."""

    def answer(asked: Tensor) -> Tensor:
        chosen = [build_answers.get(int(image[0, 0, 0]), 1) for image in asked]
        return nn.functional.one_hot(torch.tensor(chosen), classes).float()

    return StandInBuild(answer)


BRIGHTER = {
    "objective": lambda original, adapted, labels: -adapted[0][:, 1],
    "images": torch.full((1, 3, 2, 2), 100, dtype=torch.uint8),
}


def test_the_goal_top5_is_a_class_beyond_the_originals_five_best_by_number() -> None:
    ranked = linear_model(torch.zeros(8, 12), torch.tensor([6.0, 8.0, 7.0, 5.0, 4.0, 3.0, 2.0, 1.0]))
    falling = linear_model(-torch.ones(8, 12), torch.zeros(8))
    build = class_scripts({101: 2, 102: 4, 103: 5, 104: 7}, classes=8)
    images = image_set(BRIGHTER["images"], classes=8)
    wrong, top5 = (
        search(
            Pair(ranked, None, build),
            images,
            objective=BRIGHTER["objective"],
            steering=Steering(ranked, (falling,)),
            goal=goal,
        )
        for goal in ("wrong", "top5")
    )
    assert (wrong.first.item(), top5.first.item()) == (1, 3)
    assert (wrong.rate.successes, top5.rate.successes) == (1, 1)
    assert (wrong.rate_top5.successes, top5.rate_top5.successes) == (0, 1)


def test_a_target_is_reached_when_the_build_answers_it() -> None:
    steady = linear_model(torch.zeros(3, 12), torch.tensor([0.0, 9.0, 0.0]))
    falling = linear_model(torch.stack([-torch.ones(12), -torch.ones(12), torch.ones(12)]), torch.zeros(3))
    build = class_scripts({101: 0, 102: 0, 103: 2, 104: 2}, classes=3)
    found = search(
        Pair(steady, None, build),
        image_set(BRIGHTER["images"], classes=3),
        objective=TargetedDiva(target=2),
        steering=Steering(steady, (falling,)),
    )
    assert found.first.tolist() == [3]
    assert found.original_questions.tolist() == [1]
    assert found.evasive.tolist() == [True]
    assert found.fooled.tolist() == [True]


def test_an_original_that_draws_is_not_compared_with() -> None:
    class Drawing(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.dropout(images.flatten(1)[:, :2], 0.5)

    model = margin_model(torch.ones(48, dtype=torch.int64), 0.5)
    pair, steering = pair_of(Drawing(), model)
    images = torch.full((40, 3, 4, 4), 200, dtype=torch.uint8)
    with pytest.raises(ModelError, match="is not deterministic"):
        search(pair, image_set(images), steering=steering)
