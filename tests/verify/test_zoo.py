"""A known answer: post-training quantization of any network of the zoo has no code that is not the nearest."""

import pytest
import torch
from linear_pair import image_set
from torch import nn

from edgerift import zoo
from edgerift.adapt import ptq
from edgerift.deploy import Program, Target, quiet
from edgerift.verify import Verification, verify

FAST = ("lenet",)


def spread_norms(model: nn.Module) -> None:
    """Give batch normalisations statistics that are not the initial ones, so that folding them says something."""
    generator = torch.Generator().manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_var is not None and part.running_mean is not None:
            part.running_var.uniform_(0.5, 2, generator=generator)
            part.running_mean.normal_(generator=generator).mul_(0.1)


def verified(name: str, target: Target) -> Verification:
    model = zoo.create(name, classes=4, size=32)
    with torch.no_grad():
        spread_norms(model)
    drawn = torch.randint(256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    images = image_set(drawn, torch.zeros(8, dtype=torch.int64), 4, in_colour=True)
    with quiet():
        program: Program = ptq(model.eval(), images, target=target, calibration_images=8)
        return verify(model, program=program)


def require_conforming(found: Verification) -> None:
    told = {check.name: (check.verdict, check.text) for check in found.checks}
    assert found.verdict == "conforms", told
    rounding = found.check("rounding")
    assert rounding is not None
    assert rounding.figures["codes"] == 0


@pytest.mark.parametrize("target", ["mobile", "qnnpack"])
@pytest.mark.parametrize("name", FAST)
def test_a_small_network_has_the_nearest_codes_alone(name, target):
    require_conforming(verified(name, target))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("name", [name for name in zoo.names() if name not in FAST])
def test_every_network_of_the_zoo_has_the_nearest_codes_alone(name, target):
    require_conforming(verified(name, target))
