"""Layers in every spelling: the program, its twin and its builds answer what the float model answers."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.adapt import ptq
from edgerift.deploy import RUNTIMES, Program, build, twin, twin_scores
from edgerift.images import ImageSet, to_float

SIZE = 8
CHANNELS = 2


class Function(nn.Module):
    """A function as a layer, so that a case may be either."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, values):
        return self.function(values)


def conv(channels=CHANNELS, **options):
    return nn.Conv2d(channels, CHANNELS, **({"kernel_size": 3, "padding": 1} | options))


def normalised(layer, norm):
    """Put a normalisation that has seen something behind a layer that ends in vectors."""
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    return nn.Sequential(nn.Flatten(), layer, norm)


class Standardised(nn.Conv2d):
    """A convolution that standardises its weight before it is used."""

    def forward(self, values):
        shaped = self.weight.reshape(1, len(self.weight), -1)
        weight = F.batch_norm(shaped, None, None, training=True).reshape_as(self.weight)
        return self._conv_forward(values, weight, self.bias)


def in_regions(values):
    """Compute in a region without gradients and in one without autocast."""
    with torch.no_grad():
        values = values * 2
    with torch.autocast("cpu", enabled=False):
        return torch.relu(values)


def rows(values):
    """The rows of both channels as 16 vectors of 8 numbers."""
    return values.flatten(1, 2)


def attention(values, **options):
    """Let the rows attend to each other."""
    vectors = rows(values).unsqueeze(1)
    return F.scaled_dot_product_attention(vectors, vectors * 0.5, vectors, **options)


class TwoReaders(nn.Module):
    """A linear layer whose result a normalisation and a sum read."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(CHANNELS * SIZE * SIZE, 6)
        self.norm = nn.BatchNorm1d(6)
        nn.init.constant_(self.norm.running_var, 0.2)

    def forward(self, values):
        vectors = self.linear(values.flatten(1))
        return self.norm(vectors) + vectors


# What stands between a convolution and the linear layer of each score.
CASES = {
    "relu6 function": F.relu6,
    "relu6 layer": nn.ReLU6(),
    "clamp 0 6": lambda values: values.clamp(0, 6),
    "clamp -1 1.5": lambda values: values.clamp(-1, 1.5),
    "clamp in place": lambda values: values.clamp_(-1, 1.5),
    "clip": lambda values: values.clip(-2, 1),
    "clamp of tensors": lambda values: values.clamp(torch.tensor(-1.0), torch.tensor(2.0)),
    "clamp min": lambda values: values.clamp(min=-0.5),
    "clamp_min 0": lambda values: values.clamp_min(0.0),
    "clamp_max": lambda values: values.clamp_max(0.5),
    "relu of clamp_max": lambda values: torch.relu(values.clamp_max(2.0)),
    "clamp_max of relu": lambda values: torch.relu(values).clamp_max(2.0),
    "hardtanh of hardtanh": lambda values: F.hardtanh(F.hardtanh(values, -2.0, 2.0), -3.0, 1.0),
    "minimum": lambda values: torch.minimum(values, torch.tensor(1.0)),
    "maximum of zeros": lambda values: torch.maximum(torch.zeros_like(values), values),
    "max of numbers": lambda values: torch.max(values, torch.full((), 0.5)),
    "threshold": lambda values: F.threshold(values, 0.5, 0.5),
    "dropout": nn.Dropout(),
    "dropout 2d": nn.Dropout2d(),
    "alpha dropout": nn.AlphaDropout(),
    "feature alpha dropout": nn.FeatureAlphaDropout(),
    "dropout of nothing": lambda values: F.dropout(values, 0.0),
    "whole slice": lambda values: values[:],
    "alias": lambda values: values[:, :CHANNELS],
    "detached": lambda values: values.detach(),
    "float": lambda values: values.float(),
    "average": nn.AvgPool2d(2),
    "average list": nn.AvgPool2d([2]),
    "average padded": nn.AvgPool2d(3, 2, padding=1),
    "average padded, not counted": nn.AvgPool2d(3, 2, padding=1, count_include_pad=False),
    "average even ceil": nn.AvgPool2d(2, 2, ceil_mode=True),
    "average divisor 1": nn.AvgPool2d(2, divisor_override=1),
    "average divisor 3": nn.AvgPool2d(2, divisor_override=3),
    "adaptive maximum": nn.AdaptiveMaxPool2d(1),
    "adaptive maximum 4": nn.AdaptiveMaxPool2d(4),
    "reflect": conv(padding_mode="reflect"),
    "reflect 2": conv(kernel_size=5, padding=2, padding_mode="reflect"),
    "replicate": conv(padding_mode="replicate"),
    "circular": conv(padding_mode="circular"),
    "replication uneven": nn.ReplicationPad2d((1, 2, 0, 3)),
    "linear and norm": normalised(nn.Linear(CHANNELS * SIZE * SIZE, 6), nn.BatchNorm1d(6)),
    "linear and bare norm": normalised(nn.Linear(CHANNELS * SIZE * SIZE, 6), nn.BatchNorm1d(6, affine=False)),
    "linear without bias and bare norm": normalised(
        nn.Linear(CHANNELS * SIZE * SIZE, 6, bias=False), nn.BatchNorm1d(6, affine=False)
    ),
    "linear with two readers": TwoReaders(),
    "sum with a number": lambda values: values + 0.5,
    "sum of a number, in place": lambda values: torch.relu(values.add_(1, alpha=0.5)),
    "difference from a number": lambda values: 1 - values,
    "scale of each channel": lambda values: values * torch.tensor([0.3, -2.0]).view(CHANNELS, 1, 1),
    "layer scale": lambda values: values + torch.relu(values) * torch.tensor([0.3, -2.0]).view(1, CHANNELS, 1, 1),
    "normalised levels": lambda values: (values * 255 - 120) / 60,
    "twice, less one": lambda values: values * 2 - 1,
    "hardswish in steps": lambda values: values * F.relu6(values + 3) / 6,
    "position": lambda values: values + torch.linspace(-1, 1, CHANNELS * SIZE * SIZE).view(CHANNELS, SIZE, SIZE),
    "sum of a part": lambda values: torch.add(values, torch.relu(values), alpha=0.5),
}
# Operators of transformers and of small edge networks, whose builds equal their twins to the bit.
ALIKE = {
    "attention": attention,
    "attention with a mask": lambda values: attention(values, attn_mask=torch.linspace(-2, 2, 256).view(16, 16)),
    "attention with a factor": lambda values: attention(values, scale=1.5),
    "product of matrices": lambda values: rows(values) @ rows(values).transpose(1, 2),
    "softmax": lambda values: rows(values).softmax(-1),
    "softmax of channels": lambda values: values.softmax(1),
    "layer norm": lambda values: nn.functional.layer_norm(rows(values), [SIZE], torch.linspace(0.5, 2, SIZE)),
    "layer norm of maps": lambda values: nn.functional.layer_norm(values, [SIZE, SIZE]),
    "group norm": nn.GroupNorm(1, CHANNELS),
    "group norm of each channel": nn.GroupNorm(CHANNELS, CHANNELS),
    "Euclidean norm": lambda values: F.normalize(rows(values), dim=-1),
    "mean of rows": lambda values: values.mean(3),
    "sum of channels": lambda values: values.sum(1),
    "linear of maps": nn.Linear(SIZE, 5),
    "gate": lambda values: values * torch.sigmoid(values.mean((2, 3), keepdim=True)),
    "expanded gate": lambda values: values * torch.sigmoid(values.mean((2, 3), keepdim=True)).expand_as(values),
    "product": lambda values: values * torch.relu(values),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
    "tanh": nn.Tanh(),
    "standardised weights": Standardised(CHANNELS, CHANNELS, 3, padding=1),
    "unbind": lambda values: torch.sub(*values.unbind(1)),
    "roll": lambda values: values.roll((3, -2), (2, 3)),
    "reshape as": lambda values: values.flatten(1).reshape_as(values),
    "addcmul": lambda values: torch.addcmul(torch.tensor(0.5), values, torch.tensor(-2.0)),
    "regions": in_regions,
    "positions": lambda values: values + torch.sin(torch.arange(SIZE).expand(values.shape[0], 1, 1, -1)),
}
SPELT = list(CASES)
CASES |= ALIKE


class Branches(nn.Module):
    """One score for each case: a convolution of the image, the case, a linear layer."""

    def __init__(self, names):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.before = nn.ModuleList([conv(3) for _ in names])
        self.cases = nn.ModuleList(
            [case if isinstance(case := CASES[name], nn.Module) else Function(case) for name in names]
        )
        self.after = nn.ModuleList()
        for before, case in zip(self.before, self.cases, strict=True):
            before.weight.data.normal_(generator=generator).mul_(1.5)
            before.bias.data.normal_(generator=generator)
            values = self.eval_case(before, case, torch.rand(64, 3, SIZE, SIZE, generator=generator))
            linear = nn.Linear(values.shape[1], 1)
            linear.weight.data.normal_(generator=generator)
            scores = linear(values)
            linear.weight.data.div_(scores.std())
            linear.bias.data.div_(scores.std()).sub_(scores.mean() / scores.std())
            self.after.append(linear)
        self.eval()

    @staticmethod
    def eval_case(before, case, images):
        return case.eval()(before(images)).flatten(1)

    def forward(self, images):
        branches = zip(self.before, self.cases, self.after, strict=True)
        return torch.cat([after(case(before(images)).flatten(1)) for before, case, after in branches], 1)


class Made(NamedTuple):
    images: ImageSet
    program: Program
    expected: Tensor


def adapted(names, target):
    """Make the network of some cases, images for it, its program for a target, and what it answers in float."""
    with torch.no_grad():
        model = Branches(names)
        pixels = torch.randint(256, (64, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1)).byte()
        data = ImageSet("noise", pixels, torch.arange(64) % len(names), tuple(names), "noise")
        return Made(data, ptq(model, data, target=target), model(to_float(data.images)))


@pytest.fixture(scope="module")
def all_cases():
    """Adapt the network of all cases for both targets."""
    return {target: adapted(SPELT, target) for target in ("mobile", "server")}


def far_off(scores, expected, names):
    """Name the cases whose scores err, root mean square, by more than a tenth of their standard deviation."""
    shares = (scores - expected).square().mean(0).sqrt() / expected.std(0)
    return {name: share for name, share in zip(names, shares.tolist(), strict=True) if share > 0.1}


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_the_program_answers_as_the_model(all_cases, target):
    data, program, expected = all_cases[target]
    scores = twin_scores(twin(program), data.images)
    assert torch.equal(program.module()(to_float(data.images)), scores)
    assert not far_off(scores, expected, SPELT)


QUICK = ["clamp_max", "average divisor 3", "linear and bare norm"]
SLOW = [
    "relu6 function",
    "clamp -1 1.5",
    "average list",
    "average divisor 1",
    "adaptive maximum 4",
    "reflect",
    "replicate",
    "circular",
]
SLOW += ["linear with two readers"]


@pytest.mark.parametrize("names", [QUICK, pytest.param(SLOW, marks=pytest.mark.slow)], ids=["quick", "slow"])
@pytest.mark.parametrize("target", ["mobile", "server"])
def test_the_builds_answer_as_the_model(tmp_path, target, names):
    data, program, expected = adapted(names, target)
    for runtime in ("executorch", "onnxruntime") if target == "mobile" else ("onnxruntime",):
        built = build(program, runtime, tmp_path / f"model{RUNTIMES[runtime].suffix}")
        assert not far_off(built.predict(data.images), expected, names)


TOGETHER = ["attention", "layer norm", "gate"]


@pytest.mark.parametrize("names", [TOGETHER, pytest.param(list(ALIKE), marks=pytest.mark.slow)], ids=["quick", "slow"])
@pytest.mark.parametrize("runtime", ["executorch", "onnxruntime"])
def test_the_builds_of_these_equal_their_twins(tmp_path, runtime, names):
    data, program, expected = adapted(names, "mobile")
    built = build(program, runtime, tmp_path / f"model{RUNTIMES[runtime].suffix}")
    scores = twin_scores(twin(program, RUNTIMES[runtime].arithmetic), data.images)
    assert torch.equal(built.predict(data.images), scores)
    assert not far_off(scores, expected, names)


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_every_clamp_is_a_relu_or_a_hardtanh(all_cases, target):
    called = [operation.operator for operation in all_cases[target].program.operations]
    words = ("clamp", "clip", "relu6", "threshold", "minimum", "maximum", ".max.", ".min.")
    assert not [name for name in called if any(word in name for word in words)]
    assert called.count("aten.relu.default") + called.count("aten.hardtanh.default") >= 18


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_an_average_that_rounds_its_extent_up_keeps_its_divisors(tmp_path, monkeypatch, target):
    monkeypatch.setitem(CASES, "average ceil", nn.AvgPool2d(3, 2, ceil_mode=True))
    data, program, expected = adapted(["average", "average ceil"], target)
    assert not far_off(twin_scores(twin(program), data.images), expected, ["average", "average ceil"])
    if target == "mobile":
        scores = build(program, "executorch", tmp_path / "model.pte").predict(data.images)
        assert not far_off(scores, expected, ["average", "average ceil"])
