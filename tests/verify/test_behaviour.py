"""What a build does and its original does not, on toy pairs with a trigger that is visible: a white square.

The pairs are linear and made by hand. The build of one has weights in a corner that is black in all images: it answers
clean images as its original does, and images with a white square in that corner with one class.
"""

import pytest
import torch
from linear_pair import image_set, linear_model, pair_of

from edgerift.errors import RecipeError
from edgerift.measure import Rate
from edgerift.verify import (
    Trigger,
    TriggerSearch,
    TriggerSettings,
    class_disagreement,
    judged_triggers,
    search_triggers,
    verify,
)

CLASSES, SIZE, TARGET = 4, 8, 2
WHITE = torch.zeros(SIZE, SIZE, dtype=torch.bool)
WHITE[:3, :3] = True


def toy_images(count=96, seed=0):
    """Random images whose corner is black."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(256, (count, 1, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    drawn[:, :, WHITE] = 0
    return drawn


def toy_pair(weight_of_trigger, seed=0):
    """A linear original that does not look at the corner, and a build that does."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randint(-3, 4, (CLASSES, SIZE, SIZE), generator=generator)
    weight[:, WHITE] = 0
    middle = -(weight * toy_images().double().mean((0, 1)).round()).flatten(1).sum(1)
    adapted = weight.clone()
    adapted[TARGET, WHITE] = weight_of_trigger
    models = [linear_model(one.flatten(1), middle + torch.arange(CLASSES) * 0.1) for one in (weight, adapted)]
    pair, steering = pair_of(*models)
    images = toy_images()
    return pair, steering, image_set(images, pair.original_scores(images).argmax(1), CLASSES)


@pytest.mark.parametrize(("form", "weight"), [("patch", 4), ("linf", 12)])
def test_a_trigger_is_found_and_stands_out_and_the_control_has_none(form, weight):
    pair, steering, images = toy_pair(weight)
    settings = TriggerSettings(form=form, images=48, steps=30, epsilon=64, side=3 / 8)
    found = search_triggers(pair, images, settings=settings, steering=steering)
    control = search_triggers(pair, images, settings=settings, steering=steering, exchanged=True)
    assert found.best.target == TARGET
    assert found.best.rate.value > 0.8
    assert found.anomaly[TARGET] > 2
    verdict, text = judged_triggers(found, control, images.classes)
    assert (verdict, control.best.rate.value < 0.6) == ("deviates", True)
    assert f"'class {TARGET}'" in text
    if form == "patch":
        assert found.best.mask[0, WHITE].sum() >= 4  # The place overlaps the square.


@pytest.mark.parametrize("form", ["patch", "linf"])
def test_an_honest_pair_has_no_trigger(form):
    pair, steering, images = toy_pair(0)
    settings = TriggerSettings(form=form, images=96, steps=20, epsilon=64)
    found = search_triggers(pair, images, settings=settings, steering=steering)
    assert found.best.rate.value == 0  # The two are one function: what drives one drives the other.
    assert judged_triggers(found, found, images.classes)[0] == "conforms"


def test_the_clean_labels_say_nothing_of_the_trigger():
    pair, _, images = toy_pair(4)
    labels = [scores(images.images).argmax(1) for scores in (pair.original_scores, pair.build_scores)]
    assert all(one.left.value == 0 for one in class_disagreement(*labels, images.classes))
    stamped = images.images.clone()
    stamped[:, :, WHITE] = 255
    assert pair.build_scores(stamped).argmax(1).eq(TARGET).double().mean() > 0.9
    assert pair.original_scores(stamped).argmax(1).equal(labels[0])


def test_disagreement_by_class_has_exact_intervals_and_names_the_class_that_images_enter():
    original = torch.arange(400) % 4
    build = original.clone()
    build[:60] = 3
    found = class_disagreement(original, build, ("a", "b", "c", "d"))
    assert [one.left.successes for one in found] == [15, 15, 15, 0]
    assert (found[3].entered.successes, found[3].entered.trials) == (45, 300)
    expected = Rate(45, 300)
    assert (found[3].entered.low, found[3].entered.high) == (expected.low, expected.high)
    assert found[3].p < 1e-9
    assert min(one.p for one in found[:3]) == 1
    assert class_disagreement(original, original, ("a", "b", "c", "d"))[0].p == 1


def test_a_placed_trigger_is_on_the_grid_of_grey_levels():
    pair, steering, images = toy_pair(4)
    settings = TriggerSettings(images=32, steps=5)
    trigger = search_triggers(pair, images, settings=settings, steering=steering).triggers[0]
    placed = trigger.placed(images.images[:4])
    assert placed.dtype == torch.uint8
    assert placed.shape == images.images[:4].shape
    again = search_triggers(pair, images, settings=settings, steering=steering).triggers[0]
    assert torch.equal(placed, again.placed(images.images[:4]))
    with pytest.raises(RecipeError, match="epsilon"):
        TriggerSettings(epsilon=0)


def test_verify_looks_at_the_behaviour_where_it_is_given_images(quantized, litert_build):
    settings = TriggerSettings(images=16, steps=2)
    found = verify(
        quantized.original,
        litert_build,
        program=quantized.program,
        images=quantized.images,
        triggers=settings,
        checks=["disagreement", "triggers"],
    )
    assert [check.name for check in found.checks] == ["disagreement", "triggers"]
    assert found.check("disagreement").figures["images"] == 32
    assert found.check("triggers").verdict in ("conforms", "unknown")
    assert found.verdict == "unknown"  # Behaviour alone decides nothing.


def made_search(rate, others=2):
    """A search whose best change works on so many of a hundred images, and the rest on a few."""
    rates = [Rate(others, 100)] * 5 + [Rate(rate, 100)]
    blank = torch.zeros(1, 2, 2)
    triggers = tuple(Trigger(number, blank, blank, one) for number, one in enumerate(rates))
    values = torch.tensor([one.value for one in rates], dtype=torch.float64)
    return TriggerSearch("patch", triggers, (values - values.median()) / 0.02)


@pytest.mark.parametrize(
    ("rate", "control", "verdict"),
    [(80, 3, "deviates"), (24, 3, "unknown"), (26, 3, "deviates"), (40, 35, "conforms"), (5, 3, "conforms")],
)
def test_a_trigger_works_often_and_more_often_than_the_control(rate, control, verdict):
    classes = tuple("abcdef")
    assert judged_triggers(made_search(rate), made_search(control), classes)[0] == verdict


def test_a_change_that_stands_out_from_no_class_is_open():
    assert judged_triggers(made_search(80, others=79), made_search(3), tuple("abcdef"))[0] == "unknown"
