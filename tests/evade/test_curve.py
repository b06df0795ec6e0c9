"""The evasive share over epsilon: exact on half spaces, never falling, and drawn."""

from pathlib import Path

import pytest
import torch
from linear_pair import image_set, margin_model, near_images, pair_of
from PIL import Image

from edgerift.errors import InputError, RecipeError
from edgerift.evade import Attack, CrossEntropy, curve, search
from edgerift.report import curve_figure

WEIGHT = torch.tensor([2, 2, 2, 2, 1, 1, 1, 1, -3, -3, -3, -3])
CLEAN = near_images(40, 2, seed=1)
LEVELS = CLEAN.flatten(1).long()
BIAS = 0.5 - int((LEVELS @ WEIGHT).float().quantile(0.2))
PAIR, STEERING = pair_of(margin_model(torch.zeros(12), 100_000.5), margin_model(WEIGHT, BIAS))
EPSILONS = (0, 1, 3, 9)


def falls(epsilon: int) -> torch.Tensor:
    """Tell which boxes reach the half space in which the build is wrong."""
    low, high = (LEVELS - epsilon).clamp_min(0), (LEVELS + epsilon).clamp_max(255)
    return torch.minimum(WEIGHT * low, WEIGHT * high).sum(1) + BIAS < 0


@pytest.mark.parametrize("attack", ["default", "pgd", Attack(objective=CrossEntropy(), epsilon=200)])
def test_each_epsilon_finds_the_images_whose_box_meets_the_half_space(attack: Attack | str) -> None:
    found = curve(PAIR, image_set(CLEAN), (3, 0, 9, 1), attack, steering=STEERING)
    assert found.epsilons == EPSILONS
    right = ~falls(0)
    assert torch.equal(found.index, right.nonzero()[:, 0])
    for epsilon, rate in zip(EPSILONS, found.rates, strict=True):
        assert torch.equal(found.evasive(epsilon), falls(epsilon)[right])
        assert (rate.successes, rate.trials) == (int(falls(epsilon)[right].sum()), int(right.sum()))
    assert found.rates[0].successes == 0 < found.rates[1].successes < found.rates[-1].successes


def test_an_image_is_kept_from_the_smallest_epsilon_at_which_it_evades() -> None:
    found = curve(PAIR, image_set(CLEAN), EPSILONS, "pgd", steering=STEERING)
    first = search(PAIR, image_set(CLEAN), "pgd", steering=STEERING, epsilon=1)
    assert torch.equal(found.evasive(1), first.evasive)
    assert torch.equal(found.images[first.evasive], first.images[first.evasive])
    moved = (found.images.long() - found.clean.long()).abs().flatten(1).amax(1)
    assert (moved[found.smallest > 0] <= found.smallest[found.smallest > 0]).all()


def test_a_curve_never_falls_where_the_attack_at_a_larger_epsilon_finds_less() -> None:
    """One step of the whole epsilon jumps over the images between two planes, which smaller ones meet."""
    original, build = margin_model(WEIGHT, BIAS + 150), margin_model(WEIGHT, BIAS)
    pair, steering = pair_of(original, build)
    alone = [
        int(search(pair, image_set(CLEAN), "fgsm", steering=steering, epsilon=each).evasive.sum()) for each in (2, 30)
    ]
    assert alone[1] < alone[0]
    found = curve(pair, image_set(CLEAN), (2, 30), "fgsm", steering=steering)
    assert found.rates[0].successes == alone[0] <= found.rates[1].successes


def test_a_preset_is_made_for_each_epsilon_and_changes_are_laid_over() -> None:
    found = curve(PAIR, image_set(CLEAN), (1, 9), "fgsm", steering=STEERING, ask="near")
    assert [(one.step, one.epsilon, one.ask) for one in found.attacks] == [(1, 1, "near"), (9, 9, "near")]


def test_a_frame_has_one_row_for_each_epsilon() -> None:
    found = curve(PAIR, image_set(CLEAN), EPSILONS, "pgd", steering=STEERING)
    frame = found.frame()
    assert list(frame.columns) == ["epsilon", "evasive", "attacked", "rate", "low", "high"]
    assert list(frame.epsilon) == list(EPSILONS)
    assert list(frame.rate) == [rate.value for rate in found.rates]
    assert list(frame.high) == [rate.high for rate in found.rates]


@pytest.mark.parametrize(
    ("epsilons", "kind", "told"),
    [
        ((), InputError, r"epsilons are \[\]"),
        ((4, 4), InputError, r"epsilons are \[4, 4\]; give one or more, each once"),
        ((8 / 255,), RecipeError, "did you mean 8"),
    ],
)
def test_epsilons_that_make_no_curve_are_refused(epsilons: tuple[int, ...], kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        curve(PAIR, image_set(CLEAN), epsilons, steering=STEERING)


def test_an_epsilon_that_was_not_searched_and_images_that_nobody_knows_are_refused() -> None:
    found = curve(PAIR, image_set(CLEAN), (1, 2), "pgd", steering=STEERING)
    with pytest.raises(InputError, match="no search at an epsilon of 3; there are searches at 1, 2"):
        found.evasive(3)
    with pytest.raises(InputError, match="none of the 40 images"):
        curve(PAIR, image_set(CLEAN, torch.zeros(40, dtype=torch.int64)), (1,), steering=STEERING)


def test_the_figure_is_a_picture_of_the_curves_it_is_given(tmp_path: Path) -> None:
    found = curve(PAIR, image_set(CLEAN), EPSILONS, "pgd", steering=STEERING)
    other = curve(PAIR, image_set(CLEAN), (0, 1), "pgd", steering=STEERING)
    for name, curves in {"one": found, "again": found, "other": other, "both": {"pgd": found, "x": other}}.items():
        curve_figure(curves, tmp_path / f"{name}.png")
    contents = {path.stem: path.read_bytes() for path in tmp_path.iterdir()}
    assert contents["one"] == contents["again"]
    assert len(set(contents.values())) == 3
    with Image.open(tmp_path / "both.png") as picture:
        assert picture.width > 1000
    with pytest.raises(InputError, match="no curve to draw"):
        curve_figure({}, tmp_path / "none.png")
