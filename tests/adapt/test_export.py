"""What export rewrites: the result computes the same, in operators that the quantizers know."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgerift import errors
from edgerift.adapt import ptq
from edgerift.adapt._export import export
from edgerift.deploy import twin, twin_scores
from edgerift.images import in_channels, to_float


def operators(graph):
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


class Between(nn.Module):
    """A convolution, something, and a linear layer over the pixels' means."""

    def __init__(self, function, channels=4):
        super().__init__()
        self.convolution = nn.Conv2d(3, channels, 3, padding=1)
        self.function = function
        self.linear = nn.Linear(channels, 10)

    def forward(self, images):
        return self.linear(self.function(self.convolution(images)).mean((2, 3)))


def add_in_place(values):
    return values.add_(1.5)


def write_then_read(values):
    F.relu_(values)
    return values * 2 + values


def flat_write(values):
    return values.flatten(1).relu_().view(values.shape)


def write_into_a_part(values):
    values[:, :2].relu_()
    return values


def read_an_earlier_view(values):
    view = values.flatten(1)
    values.relu_()
    return view.view(values.shape)


@pytest.fixture
def batch():
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize(
    "function",
    [
        nn.ReLU(inplace=True),
        nn.ReLU6(inplace=True),
        nn.SiLU(inplace=True),
        nn.Hardswish(inplace=True),
        nn.LeakyReLU(0.1, inplace=True),
        add_in_place,
        write_then_read,
        flat_write,
    ],
    ids=lambda made: getattr(made, "__name__", str(made)),
)
def test_writes_in_place_become_results(batch, function, target):
    model = Between(function).eval()
    with torch.no_grad():
        expected = model(batch)
    graph = export(copy.deepcopy(model), batch[:2], target)
    assert not [name for name in operators(graph) if name.split(".")[1].endswith("_")]
    torch.testing.assert_close(graph(batch), expected)


@pytest.mark.parametrize("function", [write_into_a_part, read_an_earlier_view])
def test_a_write_that_others_see_is_never_dropped(batch, calibration, function):
    model = Between(function).eval()
    with torch.no_grad():
        expected = model(batch)
    graph = export(copy.deepcopy(model), batch[:2], "mobile")
    torch.testing.assert_close(graph(batch), expected)
    with pytest.raises(errors.QuantizationError, match=r"aten\.relu_\.default"):
        ptq(model, calibration)


@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_is_gone(batch, inplace):
    graph = export(Between(nn.Dropout(0.5, inplace=inplace)), batch[:2], "mobile")
    assert not [name for name in operators(graph) if "dropout" in name]
    assert torch.equal(graph(batch), graph(batch))


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("affine", [True, False])
def test_a_lone_normalisation_is_a_depthwise_convolution(batch, make_normalisation, affine, target):
    model = nn.Sequential(nn.MaxPool2d(2), make_normalisation(3, affine=affine), nn.ReLU(), nn.Flatten())
    model.append(nn.Linear(192, 10)).eval()
    with torch.no_grad():
        expected = model(batch)
    graph = export(copy.deepcopy(model), batch[:2], target)
    found = [node for node in graph.graph.nodes if node.target is torch.ops.aten.conv2d.default]
    assert len(found) == 1
    assert found[0].args[6] == 3
    assert "aten.batch_norm.default" not in operators(graph)
    torch.testing.assert_close(graph(batch), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_a_lone_normalisation_runs_in_integers(calibration, make_normalisation, target):
    body = [nn.MaxPool2d(4), make_normalisation(3), nn.ReLU(), nn.Flatten(), nn.Linear(192, 10)]
    model = nn.Sequential(*body).eval()
    program = ptq(model, calibration, target=target)
    with torch.no_grad():
        expected = model(to_float(in_channels(calibration.images, 3)))
    answers = twin_scores(twin(program), calibration.images)
    assert (answers - expected).abs().max() < 0.05 * (expected.max() - expected.min())


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("affine", [True, False])
def test_a_normalisation_behind_its_convolution_is_folded_into_it(batch, make_normalisation, affine, target):
    model = Between(make_normalisation(4, affine=affine)).eval()
    with torch.no_grad():
        expected = model(batch)
    graph = export(copy.deepcopy(model), batch[:2], target)
    assert "aten.batch_norm.default" not in operators(graph)
    assert operators(graph).count("aten.conv2d.default") == 1
    torch.testing.assert_close(graph(batch), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kernel_size": 3, "padding": "same"}, [1, 1]),
        ({"kernel_size": (3, 5), "padding": "same", "dilation": (2, 1)}, [2, 2]),
        ({"kernel_size": 3, "padding": "valid", "stride": 2}, [0, 0]),
        ({"kernel_size": 2, "padding": "same", "dilation": 2}, [1, 1]),
        ({"kernel_size": 2, "padding": "same"}, None),
    ],
)
def test_padding_in_words_becomes_numbers(batch, options, expected):
    model = nn.Sequential(nn.Conv2d(3, 4, **options), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)).eval()
    with torch.no_grad():
        answers = model(batch)
    graph = export(copy.deepcopy(model), batch[:2], "mobile")
    (node,) = (node for node in graph.graph.nodes if "conv2d" in str(node.target))
    if expected is None:
        assert node.target is torch.ops.aten.conv2d.padding
    else:
        assert list(node.args[4]) == expected
    torch.testing.assert_close(graph(batch), answers)


@pytest.mark.parametrize("dtype", [None, torch.float32])
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("axes", [(2, 3), (-1, -2), [3, 2]])
def test_a_mean_over_the_pixels_is_a_pooling(batch, axes, keepdim, dtype):
    model = Between(nn.ReLU())
    model.forward = lambda images: model.linear(model.convolution(images).mean(axes, keepdim, dtype=dtype).flatten(1))
    with torch.no_grad():
        expected = model(batch)
    graph = export(model, batch[:2], "mobile")
    assert "aten.mean.dim" not in operators(graph)
    torch.testing.assert_close(graph(batch), expected)


@pytest.mark.parametrize(
    ("pooling", "replaced"),
    [
        (nn.AvgPool2d(2), True),
        (nn.AvgPool2d((2, 3), stride=(1, 2)), True),
        (nn.AvgPool2d(3, padding=1), False),
        (nn.AvgPool2d(2, divisor_override=3), True),
        (nn.AvgPool2d(2, ceil_mode=True), True),
        (nn.AvgPool2d(3, 2, ceil_mode=True), False),
    ],
)
@pytest.mark.parametrize("target", ["mobile", "server"])
def test_an_average_pooling_stays_one(batch, pooling, replaced, target):
    graph = export(Between(pooling), batch[:2], target)
    model = Between(pooling)
    model.load_state_dict({name.removeprefix("_"): value for name, value in graph.state_dict().items()}, strict=False)
    stays = not replaced or (target == "server" and not pooling.divisor_override)
    assert ("aten.avg_pool2d.default" in operators(graph)) == stays
    with torch.no_grad():
        torch.testing.assert_close(graph(batch), model(batch))


class Twice(nn.Module):
    """One convolution used twice, each time before another normalisation."""

    def __init__(self, first, second):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1, bias=True)
        self.first, self.second = first, second
        self.linear = nn.Linear(3, 10)

    def forward(self, images):
        features = F.relu(self.first(self.convolution(images)))
        return self.linear(F.relu(self.second(self.convolution(features))).mean((2, 3)))


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_a_layer_that_is_used_twice_is_folded_twice(calibration, make_normalisation, target):
    model = Twice(make_normalisation(3, 1), make_normalisation(3, 2)).eval()
    with torch.no_grad():
        expected = model(to_float(in_channels(calibration.images, 3)))
    program = ptq(model, calibration, target=target)
    answers = twin_scores(twin(program), calibration.images)
    assert (answers - expected).abs().max() < 0.05 * (expected.max() - expected.min())
    assert len([name for name in program.tensors if name.endswith(".weight")]) == 3


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 10)

    def forward(self, images):
        means = images.mean((2, 3))
        return self.linear(means * 2 if means.sum() > 1 else means)


class OneSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3072, 10)

    def forward(self, images):
        return self.linear(images.reshape(2, 3072))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_model_is_told_to_be_none_that_can_be_quantized(calibration):
    with pytest.raises(errors.ModelError, match=r"cannot be exported: .* give the nn\.Module that it was made from"):
        ptq(torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))), calibration)


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize(
    ("model", "reason"), [(Branch(), "no branch on the values"), (OneSize(), "fixes the batch size")]
)
def test_a_model_that_cannot_be_exported_is_one_line(calibration, model, reason, target):
    with pytest.raises(errors.ModelError, match=f"'{type(model).__name__}' cannot be exported: .*{reason}") as caught:
        ptq(model, calibration, target=target)
    assert "\n" not in str(caught.value)
