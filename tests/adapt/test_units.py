"""A network that counts in small units has a program as good as the same network in others."""

import pytest
import torch
from torch import nn

from edgerift.adapt import QatSettings, ptq, qat
from edgerift.deploy import build, fidelity, twin, twin_scores
from edgerift.images import ImageSet, to_float
from edgerift.train import TrainSettings


class Units(nn.Module):
    """Two layers; what lies between them is counted in `unit`s, which changes nothing in real numbers."""

    def __init__(self, unit, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first, self.norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.second, self.last = nn.Conv2d(8, 8, 3), nn.Linear(8 * 16, 5)
        for parameter in self.parameters():
            parameter.data.normal_(generator=generator).mul_(0.3)
        self.norm.weight.data.abs_().add_(0.5).mul_(unit)
        self.norm.bias.data.mul_(unit)
        self.second.weight.data.div_(unit)
        self.eval()

    def forward(self, images):
        values = torch.relu(self.norm(self.first(images)))
        return self.last(torch.relu(self.second(values)).flatten(1))


@pytest.fixture(scope="module")
def noise():
    pixels = torch.randint(256, (128, 3, 8, 8), generator=torch.Generator().manual_seed(1)).byte()
    return ImageSet("noise", pixels, torch.arange(128) % 5, tuple("abcde"), "noise")


def share(scores, expected):
    return float((scores - expected).square().mean().sqrt() / expected.std())


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("unit", [1e-2, 1e-3, 1e-4])
def test_the_units_do_not_matter(noise, target, unit):
    with torch.no_grad():
        expected = Units(1.0)(to_float(noise.images))
    errors = [
        share(twin_scores(twin(ptq(Units(chosen), noise, target=target)), noise.images), expected)
        for chosen in (1.0, unit)
    ]
    assert errors[1] < 1.2 * errors[0] < 0.06


MEAN, SPREAD = torch.tensor([123.7, 116.3, 103.5]).view(3, 1, 1), torch.tensor([58.4, 57.1, 57.4]).view(3, 1, 1)
INPUTS = {
    "grey levels": lambda images: (images * 255 - MEAN) / SPREAD,
    "grey levels, not scaled": lambda images: images * 255 - MEAN,
    "in place": lambda images: images.mul(255).sub_(MEAN).div_(SPREAD),
    "two factors": lambda images: images * 2 - 1,
}


class Normalised(nn.Module):
    """A network whose own layers bring the images into the units that it was trained in."""

    def __init__(self, normalise):
        super().__init__()
        self.normalise, self.network = normalise, Units(1.0)

    def forward(self, images):
        return self.network(self.normalise(images))


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("normalise", INPUTS)
def test_the_input_may_be_normalised_in_the_network(noise, target, normalise):
    model = Normalised(INPUTS[normalise]).eval()
    with torch.no_grad():
        expected = model(to_float(noise.images))
    assert share(twin_scores(twin(ptq(model, noise, target=target)), noise.images), expected) < 0.05


@pytest.mark.parametrize(("runtime", "suffix"), [("executorch", "pte"), ("onnxruntime", "onnx")])
def test_runtimes_take_the_fine_scales(noise, tmp_path, runtime, suffix):
    model = Units(1e-4)
    with torch.no_grad():
        expected = model(to_float(noise.images))
    program = ptq(model, noise)
    assert float(program.tensors["first.scale"].max()) < 2.0**-13
    built = build(program, runtime, tmp_path / f"model.{suffix}")
    assert share(built.predict(noise.images), expected) < 0.06
    assert fidelity(program, built, noise.images).equal_logits == 1.0


def test_a_bias_fits_where_its_weights_vanish(noise, tmp_path):
    """A channel of nearly nothing with a bias: its scale stays coarse enough for int32, and the device answers it."""
    model = Units(1.0)
    model.first.weight.data[2] *= 1e-9
    model.norm.bias.data[2] = 1.0
    with torch.no_grad():
        expected = model(to_float(noise.images))
    program = ptq(model, noise)
    whole = program.tensors["first.bias"] / (program.tensors["first.scale"] / 255)
    assert whole.abs().max() < 2**24
    built = build(program, "executorch", tmp_path / "model.pte")
    assert share(built.predict(noise.images), expected) < 0.06
    assert fidelity(program, built, noise.images).equal_logits == 1.0


def test_a_branch_of_nearly_nothing_can_be_added(noise, tmp_path):
    """A residual block that training has not woken: XNNPACK adds no grid finer than a 1024th of the sum's."""

    class Asleep(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
            self.last = nn.Linear(256, 5)
            self.second.weight.data *= 1e-6
            self.second.bias.data *= 1e-6

        def forward(self, images):
            values = self.first(images)
            return self.last((self.second(values) + values).flatten(1))

    model = Asleep().eval()
    program = ptq(model, noise)
    built = build(program, "executorch", tmp_path / "model.pte")
    with torch.no_grad():
        assert share(built.predict(noise.images), model(to_float(noise.images))) < 0.06
    assert fidelity(program, built, noise.images).equal_logits == 1.0


def test_branches_that_cancel_can_be_added(noise, tmp_path):
    """Two branches that all but cancel: a sum ten thousand times finer than what is added is answered exactly."""

    class Cancelling(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
            self.last = nn.Linear(256, 5)
            self.second.weight.data = self.first.weight.data * -0.9999
            self.second.bias.data = self.first.bias.data * -0.9999

        def forward(self, images):
            return self.last((self.first(images) + self.second(images)).flatten(1))

    program = ptq(Cancelling().eval(), noise)
    built = build(program, "executorch", tmp_path / "model.pte")
    assert fidelity(program, built, noise.images).equal_logits == 1.0


def test_training_keeps_the_fine_scales(noise):
    settings = QatSettings(train=TrainSettings(epochs=1, batch_size=64, learning_rate=1e-12, device="cpu"))
    model = Units(1e-3)
    with torch.no_grad():
        expected = model(to_float(noise.images))
    program = qat(model, noise, None, target="server", settings=settings)
    assert float(program.tensors["first.scale"].max()) < 2.0**-13
    assert share(twin_scores(twin(program), noise.images), expected) < 0.1
