"""Searches that reduced copies steer: what they find, what names them, and when they are chosen."""

import copy
from pathlib import Path

import pytest
import torch
from linear_pair import StandInBuild, image_set
from torch import nn

from edgerift.deploy import folded, twin_scores
from edgerift.evade import Attack, Evasion, Pair, Steering, is_evasive, preset, search

FLAGS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def has_bfloat16(monkeypatch, value):
    for name in FLAGS:
        monkeypatch.setattr(torch.cpu, name, lambda: value)


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 4)).eval()


@pytest.fixture(scope="module")
def floats():
    """Two float models that differ by little, of which one stands for a build, and images that both get right."""
    original = small_network()
    pixels = torch.randint(0, 256, (40, 3, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    with torch.no_grad():
        logits = original(pixels / 255)
        original[-1].bias -= logits.mean(0)
        original[-1].weight /= (logits - logits.mean(0)).std()
    other = copy.deepcopy(original)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.05 * parameter.abs().mean() * torch.randn_like(parameter)
    pair = Pair(original, None, StandInBuild(lambda asked: twin_scores(other, asked)))
    images = image_set(pixels, twin_scores(original, pixels).argmax(1), classes=4, in_colour=True)
    return pair, Steering(pair.folded_original, (folded(other),)), images


@pytest.mark.parametrize(("has", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_chosen_by_the_processor_and_named(floats, monkeypatch, has, precision):
    has_bfloat16(monkeypatch, has)
    pair, steering, images = floats
    found = search(pair, images, steering=steering, epsilon=4, steps=3)
    named = search(pair, images, steering=steering, epsilon=4, steps=3, precision=precision)
    assert found.precision == named.precision == precision
    assert torch.equal(found.images, named.images)


@pytest.mark.parametrize("attack", ["default", "diva-2022", "pgd"])
def test_a_reduced_search_finds_about_as_much_and_judges_in_full(floats, attack):
    pair, steering, images = floats
    exact, few = (
        search(pair, images, attack, steering=steering, epsilon=6, steps=10, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    assert not torch.equal(exact.images, few.images)
    assert abs(exact.rate.successes - few.rate.successes) <= 4
    assert not few.void.any()
    torch.testing.assert_close(few.original, pair.original_scores(few.images))
    torch.testing.assert_close(few.build, pair.build_scores(few.images))
    assert torch.equal(few.evasive, is_evasive(few.original, few.build, few.labels, few.attack))


def test_what_the_copy_of_the_original_is_off_by_does_not_matter_to_the_balance(floats, monkeypatch):
    """A copy that favours one class by 50 balances as it would otherwise, once it is corrected."""
    pair, steering, images = floats
    copied = steering.reduced().original
    plain = search(pair, images, steering=steering, epsilon=6, steps=10, precision="bfloat16")
    favoured = torch.tensor([50.0, 0, 0, 0])
    monkeypatch.setattr(copied, "forward", lambda asked: copied.module(asked).float() + favoured)
    off = search(pair, images, steering=steering, epsilon=6, steps=10, precision="bfloat16")
    assert plain.rate.successes > 4
    assert abs(off.rate.successes - plain.rate.successes) <= 2


@pytest.mark.parametrize("size", [1, 7])
def test_neither_batch_size_nor_order_changes_what_reduced_copies_find(floats, size):
    pair, steering, images = floats
    chosen = {"epsilon": 6, "steps": 8, "precision": "bfloat16"}
    whole = search(pair, images, steering=steering, batch_size=64, **chosen)
    again = search(pair, images.select(torch.arange(39, -1, -1)), steering=steering, batch_size=size, **chosen)
    back = again.select(torch.arange(len(again) - 1, -1, -1))
    for name in ("images", "evasive", "first", "build_questions"):
        assert torch.equal(getattr(back, name), getattr(whole, name)), name


def test_the_precision_is_kept_with_the_result_and_out_of_the_default_description(floats, tmp_path: Path):
    pair, steering, images = floats
    found = search(pair, images, steering=steering, steps=1, precision="bfloat16")
    found.save(tmp_path / "found.safetensors")
    assert Evasion.load(tmp_path / "found.safetensors").precision == "bfloat16"
    assert "precision" not in Attack().model_dump_json()
    assert preset("pair-attack-1").replace(precision="float32").precision == "float32"
