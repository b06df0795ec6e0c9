"""Monitors: the statistic of the paper, what raises an alarm and what does not, and a state that goes on exactly."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy.stats import shapiro
from torch import Tensor

from edgerift.defend import MONITORS, AnyMonitor, Fingerprints, Monitor, Prada, Verdict
from edgerift.errors import RecipeError

ONE_CLASS = torch.tensor([[1.0, 0.0]])


def natural(count: int, seed: int = 0) -> Tensor:
    """Images of smooth random fields, each another."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    return (torch.nn.functional.interpolate(coarse, 12, mode="bilinear") * 255).to(torch.uint8)


def probes(count: int, seed: int = 0) -> Tensor:
    """Finite differences: each image, and then nine that differ from it by little."""
    generator = torch.Generator().manual_seed(seed)
    images = natural(count // 10, seed).repeat_interleave(10, 0)
    moved = (
        torch.randint(-1, 2, images.shape, generator=generator)
        * (torch.arange(len(images)) % 10 > 0)[:, None, None, None]
    )
    return (images.int() + moved).clamp(0, 255).to(torch.uint8)


def answers(images: Tensor) -> Tensor:
    """Two classes, by the brightness of the left half."""
    left, right = images[..., :6].float().mean((1, 2, 3)), images[..., 6:].float().mean((1, 2, 3))
    return torch.stack([left, right], 1).softmax(1)


def watched(monitor: Monitor, images: Tensor, parts: int = 1) -> Verdict:
    watch = monitor.start()
    verdict = Verdict(False, None, 0, None)
    for part in images.chunk(parts):
        verdict = watch.watch(part, answers(part))
    return verdict


def by_the_paper(images: Tensor, labels: Tensor) -> Iterator[tuple[int, float]]:
    """PRADA written again from the paper, with numpy: the statistic after each tenth query that has one."""
    kept: dict[int, list[np.ndarray]] = {}
    distances: dict[int, list[float]] = {}
    limits: dict[int, float] = {}
    for number, (image, label) in enumerate(zip(images.numpy(), labels.tolist(), strict=True), 1):
        point = image.astype(np.float32).ravel() / np.float32(255)
        if label not in kept:
            kept[label], distances[label], limits[label] = [point], [0.0], 0.0
        else:
            nearest = min(float(np.linalg.norm(point - other)) for other in kept[label])
            if nearest > limits[label]:
                kept[label].append(point)
            distances[label].append(nearest)
            limits[label] = max(limits[label], float(np.mean(distances[label]) - np.std(distances[label])))
        if number % 10 == 0:
            pooled = np.array([value for values in distances.values() if len(values) >= 10 for value in values])
            if len(pooled) > 100:
                inner = pooled[np.abs(pooled - pooled.mean()) <= 3 * pooled.std()]
                if len(inner) > 100:
                    yield number, float(shapiro(inner).statistic)


def test_the_statistic_is_that_of_the_paper() -> None:
    images = natural(160)
    labels = answers(images).argmax(1)
    expected = dict(by_the_paper(images, labels))
    watch = Prada().start()
    found = {}
    for number, image in enumerate(images.split(1), 1):
        verdict = watch.watch(image, answers(image))
        if number % 10 == 0 and verdict.statistic is not None:
            found[number] = verdict.statistic
    assert found == pytest.approx(expected, abs=1e-6)
    assert min(expected) in (110, 120)


@pytest.mark.parametrize(("monitor", "attack"), [(Prada(threshold=0.9), probes(400)), (Fingerprints(), probes(200))])
def test_probes_raise_an_alarm_and_natural_images_do_not(monitor: Monitor, attack: Tensor) -> None:
    assert not watched(monitor, natural(400)).alarm
    verdict = watched(monitor, attack)
    assert verdict.alarm
    assert verdict.alarm_at is not None
    assert verdict.alarm_at <= 200
    assert verdict.asked == len(attack)


def test_an_alarm_stays() -> None:
    watch = Fingerprints().start()
    first = watch.watch(probes(100), answers(probes(100)))
    later = watch.watch(natural(300), answers(natural(300)))
    assert first.alarm_at == 100
    assert (later.alarm, later.alarm_at) == (True, 100)
    assert later.statistic is not None
    assert later.statistic < 0.2


@pytest.mark.parametrize("name", MONITORS.names())
def test_the_parts_in_which_images_come_do_not_matter_but_their_order_does(name: str) -> None:
    monitor = MONITORS[name]()
    mixed = torch.cat([natural(100), probes(200)])
    assert watched(monitor, mixed, parts=7) == watched(monitor, mixed)
    order = torch.randperm(len(mixed), generator=torch.Generator().manual_seed(0))
    assert watched(monitor, mixed[order]) != watched(monitor, mixed)


@pytest.mark.parametrize(
    "monitor", [Prada(), Prada(side=4, kept=10, window=120), Fingerprints(), Fingerprints(remembered=50)], ids=repr
)
@pytest.mark.parametrize("at", [1, 55, 130])
def test_a_state_goes_on_as_if_nothing_had_happened(monitor: Monitor, at: int) -> None:
    images = torch.cat([natural(100), probes(100)])
    whole = watched(monitor, images)
    first = monitor.start()
    first.watch(images[:at], answers(images[:at]))
    second = monitor.start()
    second.restore({name: value.clone() for name, value in first.state().items()})
    assert second.watch(images[at:], answers(images[at:])) == whole


@pytest.mark.parametrize(
    "monitor", [Prada(side=4, kept=8, window=101), Fingerprints(remembered=30, window=20)], ids=repr
)
def test_memory_has_a_bound(monitor: Monitor) -> None:
    watch = monitor.start()
    sizes = []
    for seed in range(6):
        watch.watch(natural(150, seed), answers(natural(150, seed)))
        sizes.append(sum(value.numel() * value.element_size() for value in watch.state().values()))
    assert max(sizes[1:]) <= 1.05 * sizes[1]


def test_an_image_that_comes_again_is_not_kept() -> None:
    watch = Prada().start()
    image = natural(1)
    for _ in range(5):
        watch.watch(image, ONE_CLASS)
    assert len(watch.state()["kept.0"]) == 1
    assert watch.state()["distances.0"].tolist() == [0.0] * 5


def test_fingerprints_hold_no_pixels_and_depend_on_their_seed() -> None:
    images = natural(3)
    one, other = (Fingerprints(seed=seed).start() for seed in (0, 1))
    for watch in (one, other):
        watch.watch(images, answers(images))
    assert one.state()["hashes"].shape == (3, 50)
    assert not np.intersect1d(one.state()["hashes"].numpy(), other.state()["hashes"].numpy()).size


@pytest.mark.parametrize("monitor", [Prada(threshold=0.9, side=8), Fingerprints(share=0.1)], ids=repr)
def test_a_monitor_comes_back_from_its_json(monitor: Monitor) -> None:
    adapter: TypeAdapter[Monitor] = TypeAdapter(AnyMonitor)
    assert adapter.validate_json(adapter.dump_json(monitor)) == monitor


def test_an_unknown_monitor_is_named() -> None:
    with pytest.raises(RecipeError, match=r"unknown monitor 'prado'; did you mean 'prada'\?"):
        MONITORS["prado"]
