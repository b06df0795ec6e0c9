"""Other libraries attack the twin of a real build: the same PGD finds the same images, and one judge judges all."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgerift.evade import Evasion, Pair, judge, search
from edgerift.images import ImageSet, to_float

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"
EPSILON, STEP, STEPS = 8, 2, 10

Library = Callable[[nn.Module, Tensor, Tensor], Tensor]


def torchattacks(twin: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    library = pytest.importorskip("torchattacks", reason="torchattacks is not installed")
    attack = library.PGD(twin, eps=EPSILON / 255, alpha=STEP / 255, steps=STEPS, random_start=False)
    answer: Tensor = attack(images, labels)
    return answer


def foolbox(twin: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    library = pytest.importorskip("foolbox", reason="foolbox is not installed")
    model = library.PyTorchModel(twin, bounds=(0, 1), device="cpu")
    attack = library.attacks.LinfPGD(abs_stepsize=STEP / 255, steps=STEPS, random_start=False)
    answer: Tensor = attack(model, images, labels, epsilons=EPSILON / 255)[1]
    return answer


def art(twin: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    attacks = pytest.importorskip("art.attacks.evasion", reason="ART is not installed")
    from art.estimators.classification import PyTorchClassifier

    options = {"clip_values": (0, 1), "device_type": "cpu"}
    model = PyTorchClassifier(
        twin, nn.CrossEntropyLoss(), input_shape=tuple(images.shape[1:]), nb_classes=5, **options
    )  # fmt: skip
    attack = attacks.ProjectedGradientDescentPyTorch(
        model, norm=np.inf, eps=EPSILON / 255, eps_step=STEP / 255, max_iter=STEPS, batch_size=64, verbose=False
    )
    return torch.from_numpy(attack.generate(images.numpy(), labels.numpy()))


LIBRARIES: list[Library] = [torchattacks, foolbox, art]


@pytest.fixture(scope="module")
def ours(real_pair: Callable[[str], tuple[Pair, ImageSet]]) -> tuple[Pair, Evasion]:
    pair, images = real_pair("onnxruntime")
    exact = {"stop": "never", "precision": "float32"}
    found = search(pair, images, "pgd", epsilon=EPSILON, step=STEP, steps=STEPS, **exact)
    moved = (found.last.long() - found.clean.long()).abs().amax((1, 2, 3))
    assert len(found) > 20
    assert (moved == EPSILON).float().mean() > 0.5
    return pair, found


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_same_pgd_ends_at_the_same_images_and_gets_the_same_verdict(
    library: Library, ours: tuple[Pair, Evasion]
) -> None:
    pair, found = ours
    theirs = library(pair.twin, to_float(found.clean), found.labels)
    judged = judge(pair, theirs, found.labels, clean=found.clean, epsilon=EPSILON)
    assert judged.off_grid == 0
    assert torch.equal(judged.images, found.last)
    assert judged.rate == found.rate_last


@pytest.mark.slow
def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    for name in ("torchattacks", "foolbox", "art"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "page.py").write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
