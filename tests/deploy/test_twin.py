"""The twin against the converted graph it is made from."""

import copy
import io
import pickle

import pytest
import torch
from made_networks import averages, branches, clamps, layers, pools, residual, unrounded
from torch.fx import graph_module

from edgerift import zoo
from edgerift.deploy import Operation, Program, feature_module, folded, reduced, trainable_twin, twin
from edgerift.errors import RecipeError

ARITHMETICS = ("graph", "xnnpack", "onnxruntime")
NETWORKS = [layers, residual, clamps, pools, averages, branches]


def made(make_program, network, target="mobile", **options):
    maker = make_program(target, **options)
    return maker.program(network(maker)), maker.images


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("network", [*NETWORKS, unrounded])
@pytest.mark.parametrize("dyadic", [False, True])
def test_the_graph_twin_equals_the_converted_graph_to_the_bit(make_program, network, target, dyadic):
    program, images = made(make_program, network, target, dyadic=dyadic)
    assert torch.equal(twin(program)(images), program.module()(images))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_other_arithmetic_is_far_from_the_graph(make_program, network, arithmetic):
    program, images = made(make_program, network)
    step = program.operations[-1].arguments[1]
    assert ((twin(program, arithmetic)(images) - twin(program)(images)).abs() / step).max() <= 3.01


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_answers_and_gradients_do_not_depend_on_the_batch(make_program, arithmetic):
    program, _ = made(make_program, residual)
    images = torch.rand(7, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    model = twin(program, arithmetic)

    def answer(batch):
        batch = batch.clone().requires_grad_()
        scores = model(batch)
        return scores.detach(), torch.autograd.grad(scores.logsumexp(1).sum(), batch)[0]

    whole = answer(images)
    single = [torch.cat(parts) for parts in zip(*(answer(image[None]) for image in images), strict=True)]
    assert torch.equal(whole[0], single[0])
    assert torch.allclose(whole[1], single[1], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_the_gradient_of_a_linear_program_is_its_weight(make_program, arithmetic):
    """Logits W x on grids that nothing leaves: the straight-through gradient is W itself, whatever is rounded."""
    maker = make_program(size=2)
    flat = maker.call("aten.flatten.using_ints", maker.rounded("image", grid=(1 / 255, -128)), 1)
    program = maker.program(maker.rounded(maker.linear(maker.rounded(flat, grid=(1 / 255, -128)), 4), grid=(0.5, 0)))
    weight = maker.tensors["layer_0.weight"].float() * maker.tensors["layer_0.scale"][:, None]
    images = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    scores = twin(program, arithmetic)(images)
    for row in range(4):
        (gradient,) = torch.autograd.grad(scores[:, row].sum(), images, retain_graph=True)
        assert torch.allclose(gradient.flatten(1), weight[row].expand(2, -1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_no_gradient_comes_through_a_clipped_value(make_program, arithmetic):
    maker = make_program(size=2)
    flat = maker.call("aten.flatten.using_ints", maker.rounded("image", grid=(1 / 255, -128)), 1)
    inner = maker.rounded(flat, grid=(1 / 255, -128))
    program = maker.program(maker.rounded(maker.linear(inner, 4), grid=(1e-5, 0)))
    images = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    scores = twin(program, arithmetic)(images)
    assert not torch.autograd.grad(scores.sum(), images)[0].any()


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_second_backward_pass_gives_the_same_gradient(make_program, arithmetic):
    program, images = made(make_program, residual)
    images = images.clone().requires_grad_()
    score = twin(program, arithmetic)(images).sum()
    first, second = (torch.autograd.grad(score, images, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_twin_has_no_parameters_and_leaves_its_program_alone(make_program, arithmetic):
    program, images = made(make_program, layers)
    before = {name: tensor.clone() for name, tensor in program.tensors.items()}
    model = twin(program, arithmetic)
    assert not list(model.parameters())
    model(images)
    assert all(torch.equal(program.tensors[name], tensor) for name, tensor in before.items())


def test_weights_are_folded_and_rounding_that_changes_nothing_is_left_out(make_program):
    program, _ = made(make_program, layers)
    steps = twin(program).body.steps
    assert not any("quantize_per" in str(step.function) for step in steps)
    rounded = sum(1 for step in steps if isinstance(step.function, str))
    assert rounded == sum(1 for step in program.operations if "quantize_per_tensor" in step.operator) // 2 - 1


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("transport", [pickled, copy.deepcopy, saved])
def test_a_twin_travels_as_a_value(make_program, arithmetic, transport):
    program, images = made(make_program, layers)
    model = twin(program, arithmetic)
    arrived = transport(model)
    assert torch.equal(arrived(images), model(images))
    assert torch.equal(feature_module(arrived)(images), feature_module(model)(images))
    for buffer, own in zip(arrived.buffers(), model.buffers(), strict=True):
        assert buffer.data_ptr() != own.data_ptr()


def test_pytorch_keeps_no_source_of_a_twin_or_a_converted_graph(make_program):
    program, _ = made(make_program, residual)
    known = set(graph_module._loader.eval_cache)
    for arithmetic in ARITHMETICS:
        twin(program, arithmetic)
    program.module()
    reduced(folded(zoo.create("lenet", classes=3, size=16).eval()))
    assert set(graph_module._loader.eval_cache) == known


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_twin_answers_the_same(make_program, arithmetic):
    program, images = made(make_program, residual)
    model = twin(program, arithmetic)
    compiled = torch.compile(model, fullgraph=True)
    step = program.operations[-1].arguments[1]
    results = []
    for run in (model, compiled):
        batch = images.clone().requires_grad_()
        scores = run(batch)
        results.append((scores.detach(), torch.autograd.grad(scores.logsumexp(1).sum(), batch)[0]))
    # Compiled, the float arithmetic before a rounding may differ in its last bit.
    assert (results[0][0] - results[1][0]).abs().max() / step <= 1.01
    assert torch.nn.functional.cosine_similarity(*(result[1].flatten() for result in results), dim=0) > 0.99


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("arithmetic", ["xnnpack", "onnxruntime"])
def test_integer_twins_answer_the_same_on_cuda(make_program, arithmetic):
    program, images = made(make_program, residual)
    model = twin(program, arithmetic)
    expected = model(images)
    assert torch.equal(model.cuda()(images.cuda()).cpu(), expected)


def test_an_unknown_arithmetic_is_named(make_program):
    program, _ = made(make_program, layers)
    with pytest.raises(RecipeError, match="did you mean 'xnnpack'"):
        twin(program, "xnpack")


def test_an_operator_without_an_integer_rule_stays_in_float(make_program):
    """A product of two values: no twin has a rule for it, all compute it on real values and round."""
    maker = make_program()
    source = maker.rounded("image")
    product = maker.rounded(maker.call("aten.mul.Tensor", source, source))
    program = maker.program(maker.rounded(maker.call("aten.flatten.using_ints", product, 1), grid=maker.grid(product)))
    assert isinstance(program, Program)
    assert isinstance(program.operations[0], Operation)
    expected = program.module()(maker.images)
    for arithmetic in ARITHMETICS:
        assert torch.equal(twin(program, arithmetic)(maker.images), expected)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("operator", ["aten.add.Tensor", "aten.mul.Tensor"])
def test_a_stored_constant_counts_at_its_real_value(make_program, arithmetic, operator):
    maker = make_program()
    maker.tensors["shift"] = torch.randint(-128, 128, (1, 3, 1, 1), generator=maker.generator).to(torch.int8)
    grid = (0.02, 5, -128, 127, {"dtype": "int8"})
    shift = maker.call("quantized_decomposed.dequantize_per_tensor.default", {"tensor": "shift"}, *grid)
    moved = maker.rounded(maker.call(operator, maker.rounded("image"), shift))
    program = maker.program(maker.rounded(maker.call("aten.flatten.using_ints", moved, 1), grid=maker.grid(moved)))
    step = program.operations[-1].arguments[1]
    assert (twin(program, arithmetic)(maker.images) - program.module()(maker.images)).abs().max() / step <= 1.01
    student = trainable_twin(program).eval()
    assert torch.equal(student(maker.images), program.module()(maker.images))
    assert student.program().operations == program.operations
