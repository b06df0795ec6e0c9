"""Operators with arguments that a rewrite could drop: what is built computes what the program says, or is refused."""

import importlib.util

import pytest
import torch
from made_networks import (
    ADD,
    AVERAGE,
    FLATTEN,
    GLOBAL,
    HARDTANH,
    MAXIMUM,
    MEAN,
    RELU,
    flat,
    random_images,
    stem,
)

from edgerift.deploy import build, fidelity, twin, twin_scores
from edgerift.errors import BuildError, ProgramError

SUBTRACT, MULTIPLY, CLAMP = "aten.sub.Tensor", "aten.mul.Tensor", "aten.clamp.default"
PAD, LARGEST = "aten.pad.default", "aten.adaptive_max_pool2d.default"
ELU = "aten.elu.default"
SUFFIXES = {"executorch": ".pte", "onnxruntime": ".onnx"}


def named(maker, operator, *arguments, **keywords):
    """Append an operation that is told something by name."""
    name = maker.call(operator, *arguments)
    maker.operations[-1] = maker.operations[-1].replace(keywords=keywords)
    return name


def constant(maker, *shape):
    """Append a stored tensor on a grid of its own."""
    name = f"stored_{len(maker.tensors)}"
    maker.tensors[name] = torch.randint(-128, 128, shape, generator=maker.generator).to(torch.int8)
    grid = (0.02, 5, -128, 127, {"dtype": "int8"})
    return maker.call("quantized_decomposed.dequantize_per_tensor.default", {"tensor": name}, *grid)


def two(maker):
    """A feature map and what a convolution makes of it."""
    source = stem(maker)
    return source, maker.rounded(maker.convolution(source, 8, kernel=3, padding=1))


def joined(operator, activation=(), **keywords):
    def network(maker):
        result = named(maker, operator, *two(maker), **keywords)
        return maker.rounded(maker.call(activation[0], result, *activation[1:]) if activation else result)

    return network


def with_constant(operator, *shape, first=False):
    def network(maker):
        _, value = two(maker)
        stored = constant(maker, *shape)
        return maker.rounded(maker.call(operator, *((stored, value) if first else (value, stored))))

    return network


def applied(operator, *arguments, same_grid=False, takes=None, **keywords):
    def network(maker):
        _, value = two(maker)
        result = named(maker, operator, value, *arguments, **keywords)
        result = result if takes is None else maker.call("operator.getitem", result, takes)
        return maker.rounded(result, grid=maker.grid(value) if same_grid else None)

    return network


def behind_convolution(operator, *arguments, **keywords):
    def network(maker):
        return maker.rounded(named(maker, operator, maker.convolution(stem(maker), 8), *arguments, **keywords))

    return network


def told_by_name(maker):
    """A convolution whose bias and padding are given by name."""
    layer = maker.convolution(stem(maker), 8, kernel=3)
    operation = maker.operations[-1]
    keywords = {"bias": operation.arguments[2], "padding": [1]}
    maker.operations[-1] = operation.replace(arguments=operation.arguments[:2], keywords=keywords)
    return maker.rounded(layer)


def onto_finer_grid(maker):
    _, value = two(maker)
    scale, zero = maker.grid(value)
    return maker.rounded(maker.convolution(maker.rounded(value, grid=(scale / 2, zero)), 4))


NETWORKS = {
    "add-alpha": joined(ADD, alpha=0.5),
    "add-alpha-relu": joined(ADD, (RELU,), alpha=0.5),
    "add-clamp": joined(ADD, (HARDTANH, -0.3, 0.5)),
    "sub": joined(SUBTRACT),
    "sub-alpha": joined(SUBTRACT, alpha=2),
    "rsub-alpha": applied("aten.rsub.Scalar", 1.5, 0.5),
    "mul-relu": joined(MULTIPLY, (RELU,)),
    "add-number": with_constant(ADD),
    "number-add": with_constant(ADD, first=True),
    "add-channels": with_constant(ADD, 1, 8, 1, 1),
    "channels-add": with_constant(ADD, 1, 8, 1, 1, first=True),
    "add-places": with_constant(ADD, 1, 8, 8, 8),
    "mul-number": with_constant(MULTIPLY),
    "mul-channels": with_constant(MULTIPLY, 1, 8, 1, 1),
    "channels-sub": with_constant(SUBTRACT, 1, 8, 1, 1, first=True),
    "conv-hardtanh-by-name": behind_convolution(HARDTANH, min_val=-0.3, max_val=0.5),
    "conv-clamp": behind_convolution(CLAMP, -0.3, 0.5),
    "conv-clamp-above": behind_convolution(CLAMP, max=0.5),
    "conv-clamp-below": behind_convolution("aten.clamp_min.default", -0.3),
    "add-clamp-below": joined(ADD, ("aten.clamp_min.default", -0.3)),
    "lone-clamp": applied(CLAMP, -0.3, 0.5),
    "lone-relu": applied(RELU),
    "lone-hardtanh-on-its-grid": applied(HARDTANH, -0.3, 0.5, same_grid=True),
    "finer-grid": onto_finer_grid,
    "average-ceil": applied(AVERAGE, [3, 3], [2, 2], [0, 0], True),
    "average-ceil-padded": applied(AVERAGE, [3, 3], [2, 2], [1, 1], True),
    "average-ceil-uncounted": applied(AVERAGE, [3, 3], [2, 2], [1, 1], True, False),
    "average-divisor": applied(AVERAGE, [3, 3], [2, 2], [1, 1], False, True, 3),
    "average-whole-divisor": applied(AVERAGE, [8, 8], [8, 8], divisor_override=3),
    "average-one-number": applied(AVERAGE, [2]),
    "average-two-by-three": applied(GLOBAL, [2, 3]),
    "mean-from-the-end": applied(MEAN, [-1, 2], True),
    "maximum-ceil": applied(MAXIMUM, [3, 3], [2, 2], [1, 1], [1, 1], True, same_grid=True),
    "maximum-dilated": applied(MAXIMUM, [3], [1], [0], [2], same_grid=True),
    "adaptive-maximum": applied(LARGEST, [2, 2], same_grid=True, takes=0),
    "pad-reflect": applied(PAD, [1, 1, 1, 1], mode="reflect"),
    "told-by-name": told_by_name,
    "elu": applied(ELU, 0.5),
    "elu-scale": applied(ELU, 0.5, 1.2),
    "elu-factors": applied(ELU, 0.5, 1.2, 0.7),
    "elu-input-scale": applied(ELU, 1.0, 1.0, 2.0),
    "elu-backwards": applied(ELU, 0.5, -1.0, -1.5),
}


#: What is built for each runtime in every run; building takes a second or two each.
QUICK = {
    "onnxruntime": {
        "add-alpha",
        "number-add",
        "mul-channels",
        "lone-clamp",
        "average-ceil",
        "average-one-number",
        "elu-factors",
    },
    "executorch": {"add-alpha", "add-clamp"},
}


def built_cases():
    for runtime in SUFFIXES:
        missing = importlib.util.find_spec(runtime) is None
        for name, network in NETWORKS.items():
            marks = [pytest.mark.skipif(missing, reason=f"{runtime} is not installed")]
            marks += [] if name in QUICK[runtime] else [pytest.mark.slow]
            yield pytest.param(runtime, network, id=f"{name}-{runtime}", marks=marks)


def made(make_program, network, **options):
    maker = make_program(**options)
    return maker.program(flat(maker, network(maker)))


@pytest.mark.parametrize(("runtime", "network"), list(built_cases()))
def test_the_twin_equals_the_runtime_to_the_bit(make_program, tmp_path, runtime, network):
    program = made(make_program, network)
    built = build(program, runtime, tmp_path / f"model{SUFFIXES[runtime]}")
    found = fidelity(program, built, random_images(64))
    assert (found.equal_logits, found.max_lsb) == (1.0, 0.0)
    # The largest of a map's 512 values may round apart three times; a dropped argument moves most of them.
    assert fidelity(program, built, random_images(64), candidate=twin(program)).equal_logits > 0.9


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_the_graph_twin_equals_the_program_to_the_bit(make_program, network):
    program = made(make_program, network)
    expected = twin_scores(program.module(), random_images(16))
    assert torch.equal(twin_scores(twin(program), random_images(16)), expected)


@pytest.mark.parametrize("arithmetic", ["graph", "xnnpack", "onnxruntime"])
def test_a_gradient_reaches_both_sides_of_a_sum_that_broadcasts(make_program, arithmetic):
    def network(maker):
        source, value = two(maker)
        pooled = maker.rounded(maker.call(GLOBAL, source, [1, 1]))
        return maker.rounded(maker.call(ADD, maker.rounded(maker.convolution(pooled, 8)), value))

    images = (random_images(4) / 255).requires_grad_()
    twin(made(make_program, network), arithmetic)(images).sum().backward()
    assert images.grad.abs().sum() > 0


def test_places_of_a_maximum_are_no_values_on_a_grid(make_program):
    maker = make_program()
    _, value = two(maker)
    places = maker.call("operator.getitem", maker.call(LARGEST, value, [2, 2]), 1)
    real = maker.call("aten.to.dtype", places, {"dtype": "float32"})
    program = maker.program(maker.rounded(maker.call(FLATTEN, real, 1), grid=(1.0, 0)))
    expected = twin_scores(program.module(), random_images(8))
    assert expected.amax() > 1
    for arithmetic in ("graph", "xnnpack", "onnxruntime"):
        assert torch.equal(twin_scores(twin(program, arithmetic), random_images(8)), expected)


def test_a_quantization_to_another_type_is_refused(make_program):
    maker = make_program()
    value = maker.rounded("image")
    maker.operations[-1] = maker.operations[-1].replace(keywords={"out_dtype": {"dtype": "int32"}})
    with pytest.raises(ProgramError, match="quantizes with out_dtype"):
        twin(maker.program(value))


REFUSED = {
    "unequal-windows": ("onnxruntime", applied(LARGEST, [3, 3], same_grid=True, takes=0), "adaptive_max_pool2d"),
    "unequal-windows-pte": ("executorch", applied(LARGEST, [3, 3], same_grid=True, takes=0), "adaptive_max_pool2d"),
    "circular-pte": (
        "executorch",
        applied(PAD, [1, 1, 1, 1], mode="circular"),
        "circular padding .node 'step_11'.; write",
    ),
}


@pytest.mark.parametrize(("runtime", "network", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_a_runtime_cannot_say_is_refused_by_name_and_leaves_nothing(
    make_program, tmp_path, runtime, network, message
):
    pytest.importorskip(runtime)
    path = tmp_path / "made" / f"model{SUFFIXES[runtime]}"
    with pytest.raises(BuildError, match=message) as refusal:
        build(made(make_program, network), runtime, path)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())
