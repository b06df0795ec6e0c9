"""Images of other tools: judged as a search judges its own, and refused in one line where they are none."""

import numpy as np
import pytest
import torch
from linear_pair import image_set, linear_model, margin_model, near_images, pair_of

from edgerift.errors import ImagesWarning, InputError, RecipeError
from edgerift.evade import Judgement, Pair, judge, search

#: The original knows class 1 of everything; the build does while channels 0 and 1 outweigh channel 2.
WEIGHT = torch.tensor([2, 2, 2, 2, 1, 1, 1, 1, -3, -3, -3, -3])
CLEAN = near_images(30, 2, seed=1)
LEVELS = CLEAN.flatten(1).long() @ WEIGHT
BIAS = 0.5 - int(LEVELS.float().quantile(0.2))
PAIR, STEERING = pair_of(margin_model(torch.zeros(12), 100_000.5), margin_model(WEIGHT, BIAS))
ONES = torch.ones(30, dtype=torch.int64)


def worst(epsilon: int) -> torch.Tensor:
    """Move every pixel against the build's margin as far as the box allows."""
    move = -epsilon * WEIGHT.sign().reshape(1, 3, 2, 2)
    return (CLEAN.long() + move).clamp(0, 255).to(torch.uint8)


def margins(images: torch.Tensor) -> torch.Tensor:
    return images.flatten(1).long() @ WEIGHT + BIAS


def test_only_images_that_both_label_correctly_count_and_evade_where_the_build_falls() -> None:
    found = judge(PAIR, worst(4), ONES, clean=CLEAN, epsilon=4)
    right, falls = margins(CLEAN) > 0, margins(worst(4)) < 0
    assert 0 < int((right & falls).sum()) < int(right.sum()) < 30
    assert torch.equal(found.eligible, right)
    assert torch.equal(found.evasive, right & falls)
    assert (found.rate.successes, found.rate.trials) == (int((right & falls).sum()), int(right.sum()))
    assert found.dropped.build_wrong == int((~right).sum()) == found.dropped.total
    assert not found.void.any()
    assert found.linf is not None
    assert torch.equal(found.linf, (worst(4).long() - CLEAN.long()).abs().flatten(1).amax(1))


def test_without_clean_images_all_count_and_there_are_no_distances() -> None:
    found = judge(PAIR, worst(4), ONES)
    assert torch.equal(found.evasive, margins(worst(4)) < 0)
    assert (found.rate.trials, found.linf, found.l2) == (30, None, None)


def test_what_a_search_found_is_judged_alike() -> None:
    images = image_set(CLEAN)
    found = search(PAIR, images, "pgd", steering=STEERING, epsilon=4)
    again = judge(PAIR, found.images, found.labels, clean=found.clean, epsilon=4)
    assert torch.equal(again.evasive, found.evasive)
    # The build is a float model here, whose sums depend on the batch on some processors.
    assert torch.allclose(again.build, found.build, rtol=0, atol=1e-5)
    assert again.rate == found.rate


@pytest.mark.parametrize("kind", ["uint8", "float16", "float32", "float64", "numpy", "list of labels"])
def test_every_form_of_the_same_images_is_judged_alike(kind: str) -> None:
    pixels, labels = worst(4), ONES
    forms = {
        "uint8": (pixels, labels),
        "float16": ((pixels.float() / 255).half(), labels.int()),
        "float32": (pixels.float() / 255, labels),
        "float64": ((pixels.double() / 255).requires_grad_(), labels),
        "numpy": ((pixels.float() / 255).numpy(), labels.numpy()),
        "list of labels": (pixels.numpy(), labels.tolist()),
    }
    found = judge(PAIR, *forms[kind], clean=CLEAN)
    assert torch.equal(found.images, pixels)
    assert torch.equal(found.evasive, judge(PAIR, pixels, labels, clean=CLEAN).evasive)
    assert found.off_grid == 0


def test_pixels_between_grey_levels_are_rounded_counted_and_said() -> None:
    levels = worst(4).double()
    levels[:7, 0, 0, 0] = levels[:7, 0, 0, 0].clamp(1, 254) + 0.3
    with pytest.warns(ImagesWarning, match=r"7 of 30 images have pixels between whole grey levels .* 0\.3 levels"):
        found = judge(PAIR, levels / 255, ONES)
    assert found.off_grid == 7
    torch.testing.assert_close(found.moved[:7], torch.full((7,), 0.3, dtype=torch.float64))
    assert torch.equal(found.images, levels.round().to(torch.uint8))


class Forgetful(torch.nn.Module):
    """Answers class 1 to several images and class 0 to a single one."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.tensor([1.0, 0.0]).repeat(len(images), 1) * (1 if len(images) == 1 else -1)


def test_a_success_that_its_file_does_not_reproduce_is_void() -> None:
    pair = Pair(Forgetful(), None, PAIR.build)
    found = judge(pair, worst(4), ONES)
    assert not found.evasive.any()
    assert torch.equal(found.void, margins(worst(4)) < 0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": worst(4).int()}, r"the images are int32 \[30, 3, 2, 2\]; needed: uint8"),
        ({"images": worst(4).bfloat16() / 255}, "the images are bfloat16"),
        ({"images": worst(4)[0]}, r"the images are uint8 \[3, 2, 2\]"),
        ({"images": worst(4)[:0], "labels": ONES[:0]}, r"the images are uint8 \[0, 3, 2, 2\]"),
        ({"images": worst(4).permute(0, 2, 3, 1)}, r"the images are uint8 \[30, 2, 2, 3\]"),
        ({"images": worst(4).float()}, "floats are allowed from 0 to 1; for grey levels of 255 convert them to uint8"),
        ({"images": worst(4).float() / 255 - 0.5}, r"the images reach from -0\.\d+ to 0\.\d+; floats are allowed"),
        ({"images": worst(4).float() / 0}, "the images hold NaN or infinite values"),
        ({"images": "cat.png"}, "images are "),
        ({"labels": ONES.float()}, r"labels are float32 \[30\]; for 30 images they are integers \[30\]"),
        ({"labels": ONES[:-1]}, r"labels are int64 \[29\]"),
        ({"labels": ["cat"] * 30}, "labels are <U3"),
        ({"labels": ONES + 1}, "label 2 of image 0; with 2 classes labels are 0 to 1"),
        ({"clean": CLEAN[:-1]}, r"the clean images are \[29, 3, 2, 2\] and the images \[30, 3, 2, 2\]"),
        ({"clean": (CLEAN.float() / 255 + 0.001).clamp(0, 1)}, "the clean images have pixels up to 0.2.* grey levels"),
        ({"epsilon": 3}, "the images leave the epsilon of 3 grey levels: 30 of 30 do, by up to 1; .* epsilon=4"),
        ({"clean": None, "epsilon": 4}, "pass them with clean="),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(changes: dict[str, object], told: str) -> None:
    given = {"images": worst(4), "labels": ONES, "clean": CLEAN, **changes}
    with pytest.raises(InputError, match=told) as refused:
        judge(PAIR, given.pop("images"), given.pop("labels"), **given)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epsilon": 8 / 255}, "did you mean 8"),
        ({"goal": "top1"}, "goal"),
        ({"epsilon": 300}, "255"),
        ({"target": 2}, "target class 2 does not exist; allowed: 0 to 1"),
        ({"target": -1}, "target"),
        ({"target": 0, "goal": "top5"}, "goal 'top5' does not go with a target class"),
    ],
)
def test_settings_that_are_not_allowed_are_refused_as_those_of_an_attack(changes: dict, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        judge(PAIR, worst(4), ONES, clean=CLEAN, **changes)


def test_with_a_target_class_only_its_answers_evade() -> None:
    images = near_images(60, 2, seed=2, spread=60)
    first, last = images[:, 0].flatten(1).long().sum(1), images[:, 2].flatten(1).long().sum(1)
    weight, bias = torch.zeros(3, 12, dtype=torch.int64), torch.zeros(3)
    weight[0, :4] = weight[2, 8:] = 1
    bias[0], bias[2] = 0.5 - int(first.median()), 0.25 - int(last.median())
    pair, _ = pair_of(linear_model(torch.zeros(3, 12), torch.tensor([0, 1.0, 0])), linear_model(weight, bias))
    build = torch.stack([first + bias[0], torch.zeros(60), last + bias[2]], 1).argmax(1)
    ones = torch.ones(60, dtype=torch.int64)
    assert sorted(set(build.tolist())) == [0, 1, 2]

    assert torch.equal(judge(pair, images, ones).evasive, build != 1)
    for target in (0, 1, 2):
        found = judge(pair, images, ones, target=target)
        assert torch.equal(found.evasive, (build == target) & (build != 1))
        assert (found.target, found.rate.trials) == (target, 60)
        assert found.fooled_rate.successes == int((build != 1).sum())


def test_a_frame_has_one_row_for_each_image() -> None:
    found: Judgement = judge(PAIR, worst(4), ONES, clean=CLEAN)
    frame = found.frame()
    assert len(frame) == 30
    assert int(frame.evasive.sum()) == found.rate.successes
    assert frame[frame.evasive].build_label.eq(0).all()
    assert frame[frame.evasive].original_label.eq(1).all()
    expected = 1 / (1 + np.exp(-margins(worst(4)).numpy() / 255))
    np.testing.assert_allclose(frame.build_probability, expected, rtol=1e-4)
    assert list(judge(PAIR, worst(4), ONES).frame().columns) == [
        name for name in frame.columns if name[0] != "l" or name == "label"
    ]
