"""An attacker who stops on belief: each judge is asked once, and the verdict may differ from the belief."""

import math

import pytest
import torch
from linear_pair import StandInBuild, image_set, margin_model, pair_of
from torch import nn

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


class OwnWeights(nn.Module):
    """Two classes, with a linear model of its own for each image: its number is in pixels without a gradient."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, images):
        levels = images.flatten(1) * 255
        row = (levels[:, 0] * 256 + levels[:, 1]).round().long()
        margin = ((levels * self.weight[row]).sum(1) + self.bias[row]) / 255
        return torch.stack([torch.zeros_like(margin), margin], 1)


def test_three_half_planes_decide_about_1000_triples_of_linear_models():
    """Along the sign of the build's weights each margin is a line: where belief begins, and who is right there."""
    generator, steps, confidence = torch.Generator().manual_seed(7), 12, 0.7
    shown = torch.randint(60, 190, (1000, 3, 2, 2), generator=generator, dtype=torch.uint8)
    levels = shown.flatten(1)
    levels[:, 0], levels[:, 1] = torch.arange(1000) // 256, torch.arange(1000) % 256
    build = (
        torch.randint(1, 5, (1000, 12), generator=generator) * (torch.rand(1000, 12, generator=generator) - 0.5).sign()
    )
    weights, margins = [build], [torch.randint(0, 300, (1000,), generator=generator) + 0.5]
    for lead in (250, 400):
        weights.append(build + torch.randint(-5, 6, (1000, 12), generator=generator))
        margins.append(torch.randint(0, lead, (1000,), generator=generator) + 0.5)
    for weight in weights:
        weight[:, :2] = 0
    quantized, original, surrogate = (
        OwnWeights(weight, lead - (weight * levels).sum(1)) for weight, lead in zip(weights, margins, strict=True)
    )
    pair, _ = pair_of(original, quantized)
    attack = ATTACK.replace(objective=CrossEntropy(), epsilon=steps, steps=steps, confidence=confidence)
    found = search(pair, image_set(shown), attack, steering=Steering(surrogate, (quantized,)))

    taken = torch.arange(1, steps + 1)
    lines = [
        lead[:, None] - taken * (weight * build.sign())[:, 2:].sum(1, keepdim=True)
        for weight, lead in zip(weights, margins, strict=True)
    ]
    sure = 255 * math.log(confidence / (1 - confidence))
    believed = (lines[0] < 0) & (lines[2] >= sure)
    assert ((lines[2] - sure).abs() > 1e-3).all()
    first = torch.where(believed.any(1), believed.int().argmax(1), steps - 1)
    evasive = ((lines[0] < 0) & (lines[1] > 0)).gather(1, first[:, None])[:, 0]
    expected = levels.float()
    expected[:, 2:] -= (first + 1)[:, None] * build[:, 2:].sign()
    assert torch.equal(found.images.flatten(1).float(), expected)
    assert torch.equal(found.evasive, evasive)
    assert 100 < int(believed.any(1).sum()) < 900
    assert int((believed.any(1) & ~evasive).sum()) > 20
    assert int((evasive & ~believed.any(1)).sum()) > 0


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
