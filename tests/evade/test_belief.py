"""An attacker who stops on belief: each judge is asked once, and the verdict may differ from the belief."""

import pytest
import torch
from linear_pair import StandInBuild, image_set, margin_model, pair_of

from edgerift.deploy import twin_scores
from edgerift.errors import RecipeError
from edgerift.evade import Attack, CrossEntropy, Diva, Pair, PairMargin, Steering, search
from edgerift.evade._belief import believes

SIZE, PIXELS = 3, 27
COUNT = 60


def weights(seed):
    return torch.randint(-6, 7, (PIXELS,), generator=torch.Generator().manual_seed(seed)).float()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(90, 160, (COUNT, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)


def leading(weight, images, lead):
    """A model whose margin on the most hesitant image is `lead` in grey levels: class 1 for all of them."""
    return margin_model(weight, float(-(images.float().flatten(1) @ weight).min()) + lead)


def counted(adapted):
    return StandInBuild(lambda images: twin_scores(adapted, images))


@pytest.fixture(scope="module")
def models(images):
    """The original, the build, and surrogates that resemble them."""
    original, build = weights(1), weights(1) + weights(2).sign()
    return (
        leading(original, images, 30.5),
        leading(build, images, 20.5),
        leading(original + weights(3).sign(), images, 25.5),
        leading(build + weights(4).sign(), images, 25.5),
    )


ATTACK = Attack(objective=Diva(), epsilon=8, steps=15, stop="believed", confidence=0.5, precision="float32")


def test_with_the_true_models_belief_is_truth(images, models):
    original, build, *_ = models
    pair, steering = pair_of(original, build)
    believed = search(pair, image_set(images), ATTACK.replace(confidence=0.0), steering=steering)
    goal = search(pair, image_set(images), ATTACK.replace(stop="goal"), steering=steering)
    assert torch.equal(believed.evasive, goal.evasive)
    assert believed.evasive.any()
    assert torch.equal(believed.images[goal.evasive], goal.images[goal.evasive])
    assert torch.equal(believed.first, goal.first)
    assert (believed.build_questions == 1).all()
    assert (believed.original_questions <= 1).all()


def test_with_surrogates_the_verdict_is_that_of_the_first_believed_image(images, models):
    """Against a search written out image by image."""
    original, build, first, second = models
    pair, _ = pair_of(original, build)
    found = search(pair, image_set(images), ATTACK, steering=Steering(first, (second,)))
    objective, verdicts, submitted = Diva(), [], []
    for image in images.float():
        place, low, high = image.clone(), (image - 8).clamp_min(0), (image + 8).clamp_max(255)
        for taken in range(16):
            scores, other = (model((place / 255)[None]) for model in (first, second))
            if taken > 0 and scores.argmax() == 1 and scores.softmax(1).max() >= 0.5 and other.argmax() == 0:
                break
            if taken == 15:
                break
            shown = (place / 255)[None].requires_grad_(True)
            value = objective(first(shown), (second(shown),), torch.tensor([1])).sum()
            (gradient,) = torch.autograd.grad(value, shown)
            place = (place + gradient[0].sign()).clamp(low, high)
        asked = place.round().to(torch.uint8)[None]
        verdicts.append(bool(twin_scores(original, asked).argmax(1) == 1 and twin_scores(build, asked).argmax(1) == 0))
        submitted.append(asked)
    assert torch.equal(found.images, torch.cat(submitted))
    assert found.evasive.tolist() == verdicts
    assert 0 < sum(verdicts) < COUNT


def test_every_judge_is_asked_once_and_any_iterate_succeeds_at_least_as_often(images, models):
    original, build, first, second = models
    asked = counted(build)
    pair, steering = Pair(original, None, asked), Steering(first, (second,))
    once = search(pair, image_set(images), ATTACK, steering=steering)
    assert (once.build_questions == 1).all()
    ever = search(pair, image_set(images), ATTACK.replace(stop="never"), steering=steering)
    assert (ever.evasive | ~once.evasive).all()
    assert ever.evasive.sum() > once.evasive.sum()
    sure = search(pair, image_set(images), ATTACK.replace(confidence=0.99), steering=steering)
    assert sure.gradient_calls.sum() > once.gradient_calls.sum()


def test_a_random_surrogate_is_no_better_than_the_build_alone(images):
    """PGD on the build that stops where the build is wrong, without a look at the original."""
    original, build = weights(1), weights(1) + weights(2)
    pair, known = pair_of(leading(original, images, 200.5), leading(build, images, 200.5))
    margin = ATTACK.replace(objective=PairMargin())
    white = search(pair, image_set(images), margin.replace(confidence=0.0), steering=known)
    alone = search(pair, image_set(images), ATTACK.replace(objective=CrossEntropy(), stop="fooled"), steering=known)
    assert alone.evasive.sum() < white.evasive.sum()
    for seed in range(70, 75):
        random = Steering(leading(weights(seed), images, 200.5), known.adapted)
        found = search(pair, image_set(images), margin, steering=random)
        assert found.evasive.sum() <= alone.evasive.sum()


@pytest.mark.parametrize("change", [{"ask": "near"}, {"runner_up": 1}, {"rule": "apgd"}, {"start": "random"}])
def test_no_search_asks_a_judge_more_than_once(images, models, change):
    original, build, first, second = models
    asked = []

    def answer(shown):
        asked.append(len(shown))
        return twin_scores(build, shown)

    pair = Pair(original, None, StandInBuild(answer))
    found = search(pair, image_set(images), ATTACK.replace(**change), steering=Steering(first, (second,)))
    assert (found.build_questions == 1).all()
    # Clean images are told apart by both models, and evasive ones replayed one by one from their files.
    replayed = int(found.evasive.sum() + found.void.sum())
    assert sum(asked) <= 3 * COUNT + replayed


def test_a_random_start_may_be_believed_as_it_is(images, models):
    original, build, *_ = models
    first, wrong = leading(weights(3), images, 2000.5), leading(-weights(1), images, -20000.5)
    pair, _ = pair_of(original, build)
    found = search(pair, image_set(images), ATTACK.replace(start="random"), steering=Steering(first, (wrong,)))
    clean = search(pair, image_set(images), ATTACK, steering=Steering(first, (wrong,)))
    assert (found.gradient_calls == 0).all()
    assert (clean.gradient_calls == 1).all()


def test_the_belief_of_top5_is_about_the_originals_five_best():
    scores = torch.arange(8.0)[None]
    labels = torch.tensor([7])
    fourth, sixth = torch.zeros(1, 8), torch.zeros(1, 8)
    fourth[0, 4], sixth[0, 1] = 1, 1
    wrong, beyond = (Attack(stop="believed", goal=goal, confidence=0.0) for goal in ("wrong", "top5"))
    assert believes(wrong, scores, (fourth,), labels) & believes(wrong, scores, (sixth,), labels)
    assert not believes(beyond, scores, (fourth,), labels)
    assert believes(beyond, scores, (sixth,), labels)


def test_restarts_submit_one_image(images, models):
    original, build, first, second = models
    pair, _ = pair_of(original, build)
    attack = ATTACK.replace(restarts=3, steps=3, epsilon=3)
    found = search(pair, image_set(images), attack, steering=Steering(first, (second,)))
    assert (found.build_questions == 1).all()
    assert int(found.gradient_calls.max()) == 9


def test_an_objective_of_the_build_alone_believes_too(images, models):
    original, build, first, second = models
    pair, _ = pair_of(original, build)
    attack = ATTACK.replace(objective=CrossEntropy())
    found = search(pair, image_set(images), attack, steering=Steering(first, (second,)))
    assert (found.build_questions == 1).all()
    assert (found.gradient_calls < 15).any()


def test_the_confidence_is_part_of_a_description_only_where_it_differs():
    assert "confidence" not in Attack().model_dump()
    assert ATTACK.replace(confidence=0.9).model_dump()["confidence"] == 0.9


@pytest.mark.parametrize("fields", [{"rule": "square"}, {"goal": "abstain"}])
def test_not_every_attack_can_believe(fields):
    with pytest.raises(RecipeError, match="stop 'believed' is for searches by gradients"):
        Attack(stop="believed", **fields)
