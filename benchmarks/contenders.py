"""The same PGD in three other libraries, behind one signature; None for a library that is not installed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

EPSILON, STEP, STEPS = 8, 1, 20

Contender = Callable[[Tensor, Tensor], Tensor]
"""Float images `[N,3,H,W]` in `[0,1]` and labels `[N]` to attacked images in `[0,1]`."""

PACKAGES = {"torchattacks": "torchattacks", "foolbox": "foolbox", "ART": "adversarial-robustness-toolbox"}


def torchattacks(model: nn.Module, batch: int) -> Contender:
    """PGD of torchattacks."""
    from torchattacks import PGD

    attack = PGD(model, eps=EPSILON / 255, alpha=STEP / 255, steps=STEPS, random_start=False)
    return lambda images, labels: attack(images, labels)


def foolbox(model: nn.Module, batch: int) -> Contender:
    """PGD of foolbox."""
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfProjectedGradientDescentAttack

    wrapped = PyTorchModel(model, bounds=(0, 1), device="cpu")
    attack = LinfProjectedGradientDescentAttack(abs_stepsize=STEP / 255, steps=STEPS, random_start=False)
    return lambda images, labels: attack(wrapped, images, labels, epsilons=EPSILON / 255)[1]


def adversarial_robustness_toolbox(model: nn.Module, batch: int) -> Contender:
    """PGD of the Adversarial Robustness Toolbox, its PyTorch version, NumPy in and out."""
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    wrapped = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), input_shape=(3, 32, 32), nb_classes=10, clip_values=(0, 1), device_type="cpu"
    )
    attack = ProjectedGradientDescentPyTorch(
        wrapped, norm=np.inf, eps=EPSILON / 255, eps_step=STEP / 255, max_iter=STEPS, batch_size=batch, verbose=False
    )
    return lambda images, labels: torch.from_numpy(attack.generate(images.numpy(), labels.numpy()))


MAKERS: dict[str, Callable[[nn.Module, int], Contender]] = {
    "torchattacks": torchattacks,
    "foolbox": foolbox,
    "ART": adversarial_robustness_toolbox,
}


def versions() -> dict[str, str | None]:
    """Say which version of each library is installed, None where it is missing."""
    found: dict[str, str | None] = {}
    for name, package in PACKAGES.items():
        try:
            found[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def installed(model: nn.Module, batch: int) -> dict[str, Contender]:
    """Prepare every library that can be imported to attack `model`."""
    made: dict[str, Any] = {}
    for name, maker in MAKERS.items():
        try:
            made[name] = maker(model, batch)
        except ImportError as error:
            print(f"  {name}: not installed ({error})")
    return made
