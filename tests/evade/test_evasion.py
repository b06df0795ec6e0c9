from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from linear_pair import StandInBuild, image_set, margin_model, near_images, pair_of
from safetensors.torch import save_file
from torch import Tensor

from edgerift.deploy import twin_scores
from edgerift.errors import InputError
from edgerift.evade import Attack, Dropped, Evasion, Pair, PairMargin, Steering, search
from edgerift.evade._evasion import joined
from edgerift.specification import Guard

CLASSES = 7
WORDS = ("attack", "data", "classes", "dropped", "guard", "precision")


def one_hot(classes: list[int]) -> Tensor:
    """Score one class best and the others the better, the smaller their number."""
    return 3 * torch.nn.functional.one_hot(torch.tensor(classes), CLASSES) - torch.arange(CLASSES) / 100


def made(**changes: object) -> Evasion:
    """Four images of class 1: found after 2 calls, found after 5, never, and void after 3."""
    generator = torch.Generator().manual_seed(0)
    clean, images, last = torch.randint(0, 256, (3, 4, 3, 2, 2), generator=generator, dtype=torch.uint8)
    counts = torch.arange(4)
    result = Evasion(
        attack=Attack(steps=3, restarts=2, objective=PairMargin(keep=2.0), stop="never"),
        data="made",
        classes=tuple("abcdefg"),
        dropped=Dropped(1, 2, 3),
        index=torch.tensor([1, 4, 5, 9]),
        labels=torch.ones(4, dtype=torch.int64),
        clean=clean,
        images=images,
        last=last,
        clean_original=one_hot([1, 1, 1, 1]),
        clean_build=one_hot([1, 1, 1, 1]),
        # Class 6 is beyond the original's five best and class 2 is not; the last image is void, wherever its answer is.
        original=one_hot([1, 1, 5, 1]),
        build=one_hot([6, 2, 0, 6]),
        last_original=one_hot([1, 0, 1, 1]),
        last_build=one_hot([2, 2, 1, 1]),
        evasive=torch.tensor([True, True, False, False]),
        void=torch.tensor([False, False, False, True]),
        fooled=torch.tensor([True, True, False, True]),
        first=torch.tensor([2, 5, -1, -1]),
        gradient_calls=counts,
        build_questions=counts + 1,
        original_questions=counts + 2,
        zero_gradients=counts + 3,
    )
    return replace(result, **changes)


def require_equal(first: Evasion, second: Evasion) -> None:
    for field in fields(Evasion):
        left, right = getattr(first, field.name), getattr(second, field.name)
        if isinstance(left, Tensor):
            assert left.dtype == right.dtype, field.name
            assert torch.equal(left, right), field.name
        else:
            assert left == right, field.name


def test_rates_count_the_images_they_name() -> None:
    found = made()
    rates = (found.rate, found.rate_last, found.rate_top5, found.fooled_rate, found.original_fooled_rate)
    assert [rate.successes for rate in rates] == [2, 1, 1, 3, 1]
    assert {rate.trials for rate in rates} == {4}
    assert len(found) == 4
    assert found.dropped.total == 6


@pytest.mark.parametrize("stop", ["goal", "fooled"])
def test_a_search_that_stops_early_has_no_rate_at_the_last_iterate(stop: str) -> None:
    assert made(attack=Attack(stop=stop)).rate_last is None


def test_five_best_mean_nothing_among_five_classes() -> None:
    found = made()
    assert replace(found, build=found.build[:, :5], original=found.original[:, :5]).rate_top5 is None


def test_the_cumulative_count_ends_with_the_whole_budget() -> None:
    assert made().cumulative() == (0, 0, 1, 1, 1, 2, 2)


def test_the_confidence_delta_is_the_mean_gap_of_the_labels_probabilities() -> None:
    found = made()
    first, second = (np.exp(scores.double().numpy()) for scores in (found.original, found.build))
    gap = first[:, 1] / first.sum(1) - second[:, 1] / second.sum(1)
    assert found.confidence_delta() == pytest.approx(np.abs(gap).mean(), abs=1e-12)
    assert found.confidence_delta(clean=True) == 0.0


@pytest.mark.parametrize("rows", [torch.tensor([3, 0]), torch.tensor([True, False, False, True])])
def test_rows_are_kept_together(rows: Tensor) -> None:
    found = made(guard=Guard(threshold=0.5))
    kept = found.select(rows)
    member = torch.tensor([4, 0, -1, -1])
    assert kept.member is None
    assert torch.equal(made(member=member).select(rows).member, member[rows])
    for name in [field.name for field in fields(Evasion) if field.name not in (*WORDS, "member")]:
        assert torch.equal(getattr(kept, name), getattr(found, name)[rows]), name
    assert all(getattr(kept, name) == getattr(found, name) for name in WORDS)


def test_parts_that_are_joined_are_the_whole() -> None:
    found = made()
    require_equal(joined([found.select(torch.arange(3)), found.select(torch.tensor([3]))]), found)


@pytest.mark.parametrize("rows", [slice(None), slice(0, 0)], ids=["four images", "none"])
def test_what_is_saved_is_what_is_loaded(rows: slice, tmp_path: Path) -> None:
    found = made().select(torch.arange(4)[rows])
    found.save(tmp_path / "evasion.safetensors")
    require_equal(Evasion.load(tmp_path / "evasion.safetensors"), found)


@pytest.mark.parametrize("stop", ["goal", "never"])
@pytest.mark.parametrize("bias", [0.5, -10_000.5], ids=["some attacked", "none attacked"])
def test_the_result_of_a_search_is_saved_whole(stop: str, bias: float, tmp_path: Path) -> None:
    """Its tensors come as they are from the search, where some share their memory."""
    images = near_images(9, 2, seed=4)
    adapted = margin_model(torch.ones(12), bias - int(images.flatten(1).sum(1).float().median()))
    pair, steering = pair_of(margin_model(torch.zeros(12), 9.5), adapted)
    found = search(pair, image_set(images), steering=steering, stop=stop, steps=3)
    found.save(tmp_path / "evasion.safetensors")
    require_equal(Evasion.load(tmp_path / "evasion.safetensors"), found)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "evasion.safetensors"
    made().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"evasion\.safetensors is no result of a search"):
        Evasion.load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    with pytest.raises(InputError, match="no result of a search"):
        Evasion.load(path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="no result of a search"):
        Evasion.load(path)
    save_file({"weight": torch.zeros(3)}, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match="no result of a search"):
        Evasion.load(path)


def test_a_result_without_one_of_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evasion.safetensors"
    made().save(path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != "first"}  # noqa: SIM118
        save_file(tensors, path, metadata=file.metadata())
    with pytest.raises(InputError, match="first"):
        Evasion.load(path)


def test_a_build_that_never_gives_way_is_saved_with_its_counts(tmp_path: Path) -> None:
    images = near_images(3, 2, seed=1)
    steady = margin_model(torch.zeros(12), 9.5)
    pair = Pair(steady, None, StandInBuild(lambda asked: twin_scores(steady, asked)))
    found = search(pair, image_set(images), steering=Steering(steady, (margin_model(torch.ones(12), 0.5),)), steps=2)
    found.save(tmp_path / "evasion.safetensors")
    assert Evasion.load(tmp_path / "evasion.safetensors").gradient_calls.tolist() == [2, 2, 2]
