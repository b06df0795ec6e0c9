"""Grids on which every runtime rounds alike: powers of two before sums, no value of a smooth function at a tie."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgerift import errors
from edgerift.adapt import ptq
from edgerift.deploy import Program, twin, twin_scores
from edgerift.images import ImageSet, to_float

SIZE = 8


class Block(nn.Module):
    """Attention between the rows of an image, a normalisation, and a smooth function."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.before = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.LayerNorm(4 * SIZE)
        self.after = nn.Linear(4 * SIZE, 6)
        self.head = nn.Linear(6 * SIZE, 3)

    def forward(self, images):
        rows = F.silu(self.before(images)).permute(0, 2, 1, 3).flatten(2)
        mixed = rows + F.scaled_dot_product_attention(rows, rows, rows)
        return self.head(F.gelu(self.after(self.norm(mixed))).flatten(1))


@pytest.fixture(scope="module")
def images():
    """Make a few noisy images."""
    pixels = torch.randint(256, (32, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet("noise", pixels, torch.arange(32) % 3, ("a", "b", "c"), "noise")


@pytest.fixture(scope="module")
def program(images) -> Program:
    """Adapt the block for `mobile`."""
    return ptq(Block().eval(), images, target="mobile")


def sources(program):
    """Find the quantize operation whose dequantized result each node reads first, by the reader's name."""
    operations = {operation.name: operation for operation in program.operations}
    for operation in program.operations:
        for argument in operation.arguments:
            read = operations.get(argument.get("node")) if isinstance(argument, dict) else None
            if read is not None and "dequantize_per_tensor" in read.operator:
                yield operation, read


def origin(program, operation):
    """Find the operator whose result a quantize operation rounds, in whatever shape."""
    operations = {each.name: each for each in program.operations}
    if "quantize_per_tensor" not in operation.operator or "dequantize" in operation.operator:
        return None
    while operation.operator.split(".")[1] in ("quantize_per_tensor", "permute", "flatten"):
        operation = operations.get(operation.arguments[0].get("node"))
        if operation is None:
            return None
    return operation.operator


def test_what_is_summed_lies_on_a_grid_of_a_power_of_two(program):
    summing = ("aten.matmul.default", "aten.layer_norm.default", "aten.sum.dim_IntList", "aten.amax.default")
    found = [(operation.operator, read.arguments[1]) for operation, read in sources(program)]
    scales = [(name, scale) for name, scale in found if name in summing]
    assert {name for name, _ in scales} == set(summing)
    assert all(math.frexp(scale)[0] == 0.5 for _, scale in scales)


@pytest.mark.parametrize(("operator", "function"), [("aten.silu.default", F.silu), ("aten.gelu.default", F.gelu)])
def test_no_value_of_a_smooth_function_is_at_a_tie(program, operator, function):
    (read,) = [read for operation, read in sources(program) if operation.operator == operator]
    written = [each.arguments for each in program.operations if origin(program, each) == operator]
    _, scale, zero_point, low, high, *_ = read.arguments
    values = function((torch.arange(low, high + 1, dtype=torch.float64) - zero_point) * scale)
    assert written
    for _, step, point, least, most, *_ in written:
        levels = values / step + point
        levels = levels[(levels > least - 0.5) & (levels < most + 0.5)]
        is_power = math.frexp(step)[0] == 0.5
        assert is_power or (levels - levels.floor() - 0.5).abs().min() > 2.0**-11


def test_the_program_answers_as_the_model(program, images):
    expected = Block().eval()(to_float(images.images)).detach()
    scores = twin_scores(twin(program), images.images)
    assert (scores - expected).square().mean().sqrt() < 0.1 * expected.std()


class Quotient(nn.Module):
    """A quotient by small numbers, which are less than half a level of their grid."""

    def forward(self, images):
        return (images[:, 1:2] + 1) / (images[:, :1] + 1e-3)


def test_a_divisor_that_rounds_to_zero_is_refused_by_its_layer(images):
    pixels = images.images.clone()
    pixels[:, :, 0, 0] = 0
    dark = ImageSet("dark", pixels, images.labels, images.classes, "dark")
    model = nn.Sequential(Quotient(), nn.Flatten(), nn.Linear(SIZE * SIZE, 3)).eval()
    with pytest.raises(errors.QuantizationError, match=r"NaN or infinity at operator 'aten.div.Tensor'.*layer '0'"):
        ptq(model, dark, target="mobile")


class Gates(nn.Module):
    """A gate for each channel from its mean after a smooth function, as in EfficientNet."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.before, self.gate, self.head = nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 1), nn.Linear(12, 3)

    def forward(self, images):
        maps = F.silu(self.before(images))
        gated = maps * torch.sigmoid(self.gate(maps.mean((2, 3), keepdim=True)))
        return self.head(F.silu(gated).mean((2, 3)))


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_a_mean_of_a_smooth_function_sums_whole_levels(images, target):
    """A mean of float values depends on the order of its sum: a runtime's vectors sum differently."""
    found = ptq(Gates().eval(), images, target=target)
    pooled = [operation for operation in found.operations if operation.operator == "aten.adaptive_avg_pool2d.default"]
    read = {operation.name for operation, _ in sources(found)}
    assert len(pooled) == 2
    assert {operation.name for operation in pooled} <= read
    for operation in pooled:
        (reader,) = [each for each in found.operations if {"node": operation.name} in each.arguments]
        assert "quantize_per_tensor" in reader.operator


class LinearAttention(nn.Module):
    """Attention without a softmax, whose last column of the product divides the others, as in EfficientViT."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.before, self.head = nn.Conv2d(3, 12, 1), nn.Linear(4, 3)

    def forward(self, images):
        query, key, value = self.before(images).flatten(2).transpose(1, 2).split(4, 2)
        value = F.pad(value, (0, 1), value=1.0)
        product = F.relu(query) @ (F.relu(key).transpose(1, 2) @ value)
        return self.head((product[..., :-1] / (product[..., -1:] + 1e-15)).amax(1))


def test_a_divisor_out_of_the_product_that_it_divides_is_not_rounded(images):
    """Pixels of which no query is above zero divide zero by 1e-15."""
    model = LinearAttention().eval()
    model.before.bias.data -= 0.3
    found = ptq(model, images, target="mobile")
    expected = model(to_float(images.images)).detach()
    scores = twin_scores(twin(found), images.images)
    (quotient,) = [each for each in found.operations if each.operator == "aten.div.Tensor"]
    assert quotient.name not in {operation.name for operation, _ in sources(found)}
    assert (scores - expected).square().mean().sqrt() < 0.1 * expected.std()
