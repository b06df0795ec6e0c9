"""What the tests of `audit` share: the search of a linear pair without rounding, and a small audit on the disk."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from linear_pair import StandInBuild, image_set, margin_model, near_images
from small_pair import SmallPair
from torch import Tensor

from edgerift.audit import Audit, AuditRecipe, run_audit
from edgerift.evade import Attack, Evasion, Pair, PairMargin, Steering, preset, search
from edgerift.images import ImageSet
from edgerift.steps import Store


class Found(NamedTuple):
    """A pair, what steers an attack on it, its images with both models' clean logits, and what a search found."""

    pair: Pair
    steering: Steering
    test: ImageSet
    clean: tuple[Tensor, Tensor]
    evasion: Evasion


def exact_build(weight: Tensor, bias: float) -> StandInBuild:
    """Make a build that computes what `margin_model` does in whole numbers, so that batches change nothing."""

    def answer(images: Tensor) -> Tensor:
        lead = images.flatten(1).double() @ weight.double() + bias
        return torch.stack([torch.zeros_like(lead), lead], 1).div(255).float()

    return StandInBuild(answer)


@pytest.fixture(scope="session")
def make_found() -> Callable[..., Found]:
    """Search a linear pair; the build's half-space is the original's, moved by `shift` and turned a little."""

    def make(attack: Attack | None = None, *, shift: float = 0.5, count: int = 120, misled: bool = False) -> Found:
        generator = torch.Generator().manual_seed(5)
        weight = torch.randint(-9, 10, (48,), generator=generator).float()
        other = weight + torch.randint(-2, 3, (48,), generator=generator)
        images = near_images(count, 4, seed=6)
        first = 0.5 - float((images.flatten(1).float() @ weight).quantile(0.1).round())
        second = 0.5 - float((images.flatten(1).float() @ other).quantile(0.1).round()) - shift + 0.5
        original, twin = margin_model(weight, first), margin_model(other, second)
        pair = Pair(original, None, exact_build(other, second))
        steering = Steering(original, (margin_model(-other, -second) if misled else twin,))
        test = image_set(images)
        clean = pair.original_scores(images), pair.build_scores(images)
        chosen = attack or Attack(objective=PairMargin(), epsilon=8, step=2, steps=10, stop="never")
        return Found(pair, steering, test, clean, search(pair, test, chosen, steering=steering))

    return make


@pytest.fixture(scope="session")
def found(make_found: Callable[..., Found]) -> Found:
    return make_found()


class Audited(NamedTuple):
    """A small audit, the folder that it wrote, the store behind it, and the progress that it told."""

    recipe: AuditRecipe
    folder: Path
    store: Store
    audit: Audit
    told: list[tuple[str, int, int]]


@pytest.fixture(scope="session")
def audit_recipe(small_pair: SmallPair) -> AuditRecipe:
    """Two attacks on 24 images of a pair on ONNX Runtime; the main one finds several."""
    attacks = {
        "pgd": preset("pgd", 16, 3),
        "default": preset("default", 16, 6).replace(stop="never"),
    }
    return AuditRecipe(
        pair=small_pair.settings(), images=small_pair.images, attacks=attacks, main="default", count=24, draw=1
    )


@pytest.fixture(scope="session")
def audited(audit_recipe: AuditRecipe, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Run the small audit, once for all tests."""
    folder, store = tmp_path_factory.mktemp("audit"), Store(tmp_path_factory.mktemp("store"))
    told: list[tuple[str, int, int]] = []

    def tell(task: str, done: int, total: int, note: str = "") -> None:
        told.append((task, done, total))

    return Audited(audit_recipe, folder, store, run_audit(audit_recipe, folder, store, progress=tell), told)
