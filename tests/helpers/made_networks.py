"""Networks of a few operations each, written with a `ProgramMaker`, and images for them.

Each network returns its output node.
"""

import torch

RELU, HARDTANH, ADD, CAT = "aten.relu.default", "aten.hardtanh.default", "aten.add.Tensor", "aten.cat.default"
AVERAGE, GLOBAL, MAXIMUM = "aten.avg_pool2d.default", "aten.adaptive_avg_pool2d.default", "aten.max_pool2d.default"
MEAN, FLATTEN, CHUNK = "aten.mean.dim", "aten.flatten.using_ints", "aten.chunk.default"


def random_images(count, size=16):
    generator = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)


def stem(maker, channels=8):
    """The image on a grid, a strided convolution and a ReLU."""
    first = maker.convolution(maker.rounded("image"), channels, kernel=3, stride=2, padding=1)
    return maker.rounded(maker.call(RELU, first))


def flat(maker, source):
    """Every value of a feature map as an output, so that no difference hides behind an average."""
    return maker.rounded(maker.call(FLATTEN, source, 1), grid=maker.grid(source))


def layers(maker):
    depthwise = maker.rounded(maker.convolution(stem(maker), 8, kernel=3, padding=1, groups=8))
    pooled = maker.rounded(maker.call(GLOBAL, maker.rounded(maker.convolution(depthwise, 64)), [1, 1]))
    return maker.rounded(maker.linear(flat(maker, pooled), 40))


def residual(maker):
    source = stem(maker)
    branch = maker.rounded(maker.convolution(source, 8, kernel=3, padding=1))
    added = maker.rounded(maker.call(RELU, maker.call(ADD, branch, source)))
    shortcut = maker.rounded(maker.convolution(source, 8))
    return flat(maker, maker.rounded(maker.call(ADD, shortcut, added)))


def clamps(maker):
    """Activations whose bounds lie inside the grid, so that something has to clamp."""
    source = stem(maker)
    signed = maker.rounded(maker.convolution(source, 8))
    clipped = maker.rounded(maker.call(HARDTANH, maker.convolution(signed, 8), 0.0, 0.4), grid=maker.grid(signed))
    return flat(maker, maker.rounded(maker.call(RELU, maker.convolution(clipped, 8)), grid=maker.grid(signed)))


def pools(maker):
    source = maker.rounded(maker.convolution(stem(maker), 16))
    windowed = maker.rounded(maker.call(AVERAGE, source, [3, 3], [1, 1], [1, 1]))
    return flat(maker, maker.rounded(maker.call(MAXIMUM, windowed, [2, 2], [2, 2]), grid=maker.grid(windowed)))


def averages(maker):
    """The two other spellings of a mean over height and width."""
    source = maker.rounded(maker.convolution(stem(maker), 64))
    window = flat(maker, maker.rounded(maker.call(AVERAGE, source, [8, 8])))
    mean = maker.rounded(maker.call(MEAN, source, [2, 3]))
    return maker.rounded(maker.call(CAT, [window, mean], 1))


def branches(maker):
    """Halves of a tensor on grids of their own, brought together again."""
    halves = maker.call(CHUNK, stem(maker), 2, 1)
    kept = maker.rounded(maker.call("operator.getitem", halves, 0))
    changed = maker.rounded(maker.call("operator.getitem", halves, 1))
    changed = maker.rounded(maker.call(RELU, maker.convolution(changed, 4)))
    return flat(maker, maker.rounded(maker.call(CAT, [kept, changed], 1)))


def unrounded(maker):
    """As the x86 quantizer leaves it: a convolution that is added before it is rounded, logits that never are."""
    source = stem(maker)
    added = maker.call(ADD, maker.convolution(source, 8, kernel=3, padding=1), source)
    return maker.linear(flat(maker, maker.rounded(maker.call(RELU, added))), 5)
