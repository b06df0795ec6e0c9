from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgerift.errors import DataError, RecipeError
from edgerift.images import ImageSet, split

seeds = st.integers(0, 2**32)
fractions = st.floats(0.01, 0.99)


def make(labels: list[int], groups: list[int] | None = None) -> ImageSet:
    """Make a set whose images carry their own number, so that a split can be followed."""
    numbers = torch.arange(len(labels))
    images = torch.stack([numbers // 256, numbers % 256, numbers * 0], dim=1).to(torch.uint8)
    return ImageSet(
        name="made",
        images=images[:, :, None, None],
        labels=torch.tensor(labels, dtype=torch.int64),
        classes=tuple("abcde"),
        fingerprint="made",
        groups=None if groups is None else torch.tensor(groups, dtype=torch.int64),
    )


def numbers(image_set: ImageSet) -> list[int]:
    return [int(first) * 256 + int(second) for first, second, _ in image_set.images[:, :, 0, 0]]


def expected_total(count: int, fraction: float) -> int:
    return int(count * Fraction(repr(fraction)) + Fraction(1, 2))


@given(st.lists(st.integers(0, 4), min_size=3, max_size=80), fractions, seeds)
def test_classes_keep_their_share_to_one_image(labels: list[int], fraction: float, seed: int) -> None:
    whole = make(labels)
    total = expected_total(len(labels), fraction)
    if total in (0, len(labels)):
        with pytest.raises(DataError, match="one side empty"):
            split(whole, fraction, seed=seed)
        return
    rest, held = split(whole, fraction, seed=seed)
    assert sorted(numbers(rest) + numbers(held)) == list(range(len(labels)))
    assert numbers(rest) == sorted(numbers(rest))
    assert numbers(held) == sorted(numbers(held))
    assert len(held) == total
    for label in range(5):
        share = labels.count(label) * fraction
        assert abs(held.labels.tolist().count(label) - share) < 1


@given(st.data(), fractions, seeds)
def test_groups_are_never_broken_and_come_near_their_share(data: st.DataObject, fraction: float, seed: int) -> None:
    groups = data.draw(st.lists(st.integers(-3, 12), min_size=2, max_size=60))
    whole = make([group % 3 for group in groups], groups)
    try:
        rest, held = split(whole, fraction, seed=seed)
    except DataError:
        return
    assert rest.groups is not None
    assert held.groups is not None
    assert not set(rest.groups.tolist()) & set(held.groups.tolist())
    assert sorted(numbers(rest) + numbers(held)) == list(range(len(groups)))
    for label in range(3):
        sizes = [groups.count(group) for group in set(groups) if group % 3 == label]
        share = sum(sizes) * fraction
        held_count = held.labels.tolist().count(label)
        assert abs(held_count - share) <= max(sizes, default=0) + 1


@pytest.mark.parametrize(
    ("sizes", "fraction", "held"),
    [
        ([10, 10], 0.1, [1, 1]),
        ([5, 5], 0.1, [1, 0]),  # One image in all: both lose a half, the lower class gives it.
        ([5, 15], 0.1, [1, 1]),
        ([4, 6], 0.25, [1, 2]),  # 2.5 in all is rounded up.
        ([100], 0.29, [29]),  # In binary 100 * 0.29 is below 29.
        ([3, 0, 7], 0.5, [2, 0, 3]),
        ([1, 1, 1, 97], 0.5, [1, 1, 0, 48]),
    ],
)
def test_rounding_is_as_written(sizes: list[int], fraction: float, held: list[int]) -> None:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    taken = split(make(labels), fraction)[1].labels.tolist()
    assert [taken.count(label) for label in range(len(sizes))] == held


@pytest.mark.parametrize(
    ("sizes", "fraction", "held"),
    [
        ([4, 4], 0.5, 4),
        ([3, 3, 3, 3], 0.25, 3),
        ([2, 2, 2, 2, 2], 0.3, 2),  # Three are asked for: a second group would leave it no nearer.
        ([2, 2, 2, 2, 2], 0.4, 4),
    ],
)
def test_a_group_is_held_out_where_that_comes_nearer(sizes: list[int], fraction: float, held: int) -> None:
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    assert len(split(make([0] * len(groups), groups), fraction, seed=3)[1]) == held


def test_a_group_counts_for_the_class_of_most_of_its_images() -> None:
    """Groups 0 and 1 are mostly class 0 and groups 2 and 3 mostly class 1: half holds out one of each."""
    labels = [0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 0]
    groups = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    for seed in range(8):
        held = split(make(labels, groups), 0.5, seed=seed)[1]
        assert held.groups is not None
        names = set(held.groups.tolist())
        assert len(names & {0, 1}) == len(names & {2, 3}) == 1


@given(seeds)
@settings(max_examples=20)
def test_the_same_seed_gives_the_same_split(seed: int) -> None:
    labels = [number % 5 for number in range(50)]
    first, second = split(make(labels), 0.3, seed=seed), split(make(labels), 0.3, seed=seed)
    assert [numbers(side) for side in first] == [numbers(side) for side in second]
    assert [side.fingerprint for side in first] == [side.fingerprint for side in second]
    assert first[0].fingerprint != first[1].fingerprint


def test_another_seed_gives_another_split_and_leaves_torch_alone() -> None:
    labels = [number % 5 for number in range(50)]
    state = torch.get_rng_state()
    assert len({tuple(numbers(split(make(labels), 0.3, seed=seed)[1])) for seed in range(10)}) == 10
    assert torch.equal(state, torch.get_rng_state())


def test_every_image_is_held_out_as_often_as_the_others() -> None:
    counts = torch.zeros(10)
    for seed in range(400):
        counts[numbers(split(make([0] * 10), 0.5, seed=seed)[1])] += 1
    assert (counts - 200).abs().max() < 50  # Five standard deviations.


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_fractions_lie_between_nought_and_one(fraction: float) -> None:
    with pytest.raises(DataError, match="above 0 and below 1"):
        split(make([0] * 10), fraction)


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"more groups \(it has 1\)"):
        split(make([0] * 10, [7] * 10), 0.5)


def test_a_seed_is_not_negative() -> None:
    with pytest.raises(RecipeError, match="seed is -1"):
        split(make([0] * 10), 0.5, seed=-1)
