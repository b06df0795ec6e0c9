"""The figures of an audit, recomputed here from a small result that was counted by hand."""

import math
from dataclasses import replace

import pytest
import torch
from linear_pair import image_set

from edgerift.audit import attack_part, comparison
from edgerift.audit._measures import data_part
from edgerift.evade import Attack, Dropped, Evasion
from edgerift.images import ImagesSettings

NEVER = Attack(steps=4, stop="never")


def logits(answers, classes, height=2.0):
    scores = torch.zeros(len(answers), classes)
    scores[torch.arange(len(answers)), torch.tensor(answers)] = height
    return scores


def result(attack=NEVER, classes=6):
    """Six images: the first three evade, the fourth is void, the fifth fools the build and the original, the last none.

    The build's answer to the second is among the original's five best of six classes, that to the others is not.
    """
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    clean = torch.full((6, 3, 16, 16), 100, dtype=torch.uint8)
    images = clean.clone()
    images[0] += 2
    images[1, 0, 0, 0] += 8
    original = logits([0, 1, 2, 0, 5, 2], classes)
    build = logits([5, 3, 5, 0, 3, 2], classes)
    if classes > 5:
        original[[0, 2], 5] = -1.0
    last_build = logits([5, 1, 5, 0, 3, 2], classes)
    return Evasion(
        attack=attack,
        data="made",
        classes=tuple("abcdef"[:classes]),
        dropped=Dropped(3, 2, 1),
        index=torch.tensor([4, 7, 8, 10, 11, 12]),
        labels=labels,
        clean=clean,
        images=images,
        last=images,
        clean_original=logits(labels.tolist(), classes),
        clean_build=logits(labels.tolist(), classes, 1.0),
        original=original,
        build=build,
        last_original=original,
        last_build=last_build,
        evasive=torch.tensor([1, 1, 1, 0, 0, 0]).bool(),
        void=torch.tensor([0, 0, 0, 1, 0, 0]).bool(),
        fooled=torch.tensor([1, 1, 1, 1, 1, 0]).bool(),
        first=torch.tensor([1, 2, 4, -1, -1, -1]),
        gradient_calls=torch.full((6,), 4),
        build_questions=torch.tensor([1, 2, 4, 5, 5, 5]),
        original_questions=torch.tensor([1, 1, 2, 1, 1, 0]),
        zero_gradients=torch.zeros(6, dtype=torch.int64),
    )


def counts(interval):
    return interval.successes, interval.trials


def test_rates_count_over_all_attacked_images():
    part = attack_part(result())
    assert counts(part.evasive) == (3, 6)
    assert counts(part.evasive_last) == (2, 6)
    assert counts(part.evasive_top5) == (2, 6)
    assert counts(part.fooled) == (5, 6)
    assert counts(part.original_fooled) == (1, 6)
    assert part.void == 1
    assert part.evasive.value == 0.5
    # scipy.stats.beta.ppf(0.025, 3, 4) and its mirror image.
    assert part.evasive.low == pytest.approx(0.118117, abs=1e-6)
    assert part.evasive.high == pytest.approx(1 - 0.118117, abs=1e-6)
    assert part.cumulative == (0, 1, 2, 2, 3)


def test_a_search_that_stops_at_success_has_no_last_iterate():
    assert attack_part(result(NEVER.replace(stop="goal"))).evasive_last is None


def test_five_classes_have_no_sixth_best():
    few = result()
    five = {name: getattr(few, name)[:4, :5].clone() for name in ("original", "last_original", "clean_original")}
    five |= {name: getattr(few, name)[:4, :5].clone() for name in ("build", "last_build", "clean_build")}
    part = attack_part(replace(few.select(torch.arange(4)), classes=tuple("abcde"), **five))
    assert part.evasive_top5 is None
    assert counts(part.evasive) == (3, 4)


def test_costs_are_those_of_all_images_for_each_success():
    part = attack_part(result())
    assert part.steps == pytest.approx(7 / 3)
    assert part.gradient_calls == pytest.approx(24 / 3)
    assert part.build_questions == pytest.approx(22 / 3)
    assert part.original_questions == pytest.approx(6 / 3)


def test_distances_are_means_over_the_evasive_images():
    part = attack_part(result())
    assert part.linf == pytest.approx((2 + 8 + 0) / 3)
    assert part.l2 == pytest.approx((2 * math.sqrt(3 * 16 * 16) + 8 + 0) / 3)
    constant = (0.01 * 255) ** 2
    moved = (2 * 100 * 102 + constant) / (100**2 + 102**2 + constant)
    assert moved < part.ssim < 1


def test_the_confidence_delta_is_that_of_the_label():
    part = attack_part(result())
    high, low = math.e**2, 1.0
    sure = high / (high + 5 * low)
    calm = math.e / (math.e + 5)
    assert part.clean_confidence_delta == pytest.approx(sure - calm, abs=1e-6)
    kept = high / (high + 4 + math.exp(-1))
    other, fifth = low / (high + 5), low / (high + 5)
    deltas = [kept - other, sure - other, kept - other, 0.0, abs(fifth - other), 0.0]
    assert part.confidence_delta == pytest.approx(sum(deltas) / 6, abs=1e-6)


def test_classes_are_counted_by_label():
    part = attack_part(result())
    assert [(one.name, one.attacked, one.evasive) for one in part.by_class] == [
        ("a", 2, 1),
        ("b", 2, 1),
        ("c", 2, 1),
        ("d", 0, 0),
        ("e", 0, 0),
        ("f", 0, 0),
    ]


def test_without_successes_there_is_nothing_to_divide_by():
    part = attack_part(result().select(torch.tensor([3, 4, 5])))
    assert counts(part.evasive) == (0, 3)
    per_success = (part.steps, part.gradient_calls, part.build_questions, part.original_questions)
    assert per_success == (None,) * 4
    assert (part.linf, part.l2, part.ssim) == (None,) * 3
    assert part.cumulative == (0, 0, 0, 0, 0)


def test_attacks_are_compared_on_each_image():
    second = replace(result(), evasive=torch.tensor([0, 0, 1, 1, 0, 0]).bool())
    part = comparison("one", result(), "two", second)
    assert (part.first, part.second, part.only_first, part.only_second) == ("one", "two", 2, 1)
    assert part.p == 1.0
    many = torch.arange(6)
    none = replace(result(), evasive=torch.zeros(6).bool())
    every = replace(result(), evasive=torch.ones(6).bool())
    assert comparison("none", none.select(many), "every", every).p == pytest.approx(2 / 2**6)


def test_the_data_are_named_by_what_was_looked_at():
    """The fingerprint is that of the test images, size and split included, not that of their source."""
    test = image_set(torch.zeros(12, 3, 16, 16, dtype=torch.uint8), classes=6)
    part = data_part(ImagesSettings(source="digits", size=16, seed=3, fingerprint="the source's"), test)
    assert (part.name, part.source, part.size, part.seed) == ("made", "digits", 16, 3)
    assert part.fingerprint == test.fingerprint == "made"
    assert part.images == 12
    assert part.classes == test.classes
