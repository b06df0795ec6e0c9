"""Bit flips: the codes, the search against brute force, the runtime after it, and the report."""

import itertools
from dataclasses import replace

import pytest
import torch
from every_flip import losses_of
from program_maker import ProgramMaker
from torch.nn import functional as F

from edgerift import errors
from edgerift.deploy import RUNTIMES, build, code_checksums, coded_twin, twin, twin_scores, weight_codes
from edgerift.flips import BITS, Flip, code_changes, flipped, random_flips, search_bits
from edgerift.images import to_float

RELU, FLATTEN = "aten.relu.default", "aten.flatten.using_ints"


def made(classes=3, channels=2, target="mobile", seed=3):
    """A convolution and a linear layer, on 4x4 pixels: 38 weights."""
    maker = ProgramMaker(target, size=4, channels=1, seed=seed)
    first = maker.convolution(maker.rounded("image"), channels, kernel=4)
    hidden = maker.rounded(maker.call(FLATTEN, maker.rounded(maker.call(RELU, first)), 1))
    return maker.program(maker.rounded(maker.linear(hidden, classes)))


@pytest.fixture(scope="module")
def program():
    return made()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (16, 1, 4, 4), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def labels(program, images):
    return twin_scores(twin(program), images).argmax(1)


def loss_of(program, images, labels):
    with torch.no_grad():
        return float(F.cross_entropy(twin(program)(to_float(images)), labels))


def test_a_flip_changes_every_code_as_twos_complement_says():
    codes = torch.arange(-128, 128, dtype=torch.int16).to(torch.int8)
    changes = code_changes(codes)
    for code, bit in itertools.product(range(256), range(BITS)):
        before = code - 128
        after = ((before & 0xFF) ^ (1 << bit)) & 0xFF
        after = after - 256 if after > 127 else after
        assert changes[code, bit] == after - before
    assert (changes[:, 7].abs() == 128).all()


def test_a_flip_twice_is_the_program_itself(program):
    flips = [
        Flip(layer=layer, place=place, bit=bit) for layer in weight_codes(program) for place, bit in ((0, 7), (3, 0))
    ]
    once = flipped(program, flips)
    assert code_checksums(once) != code_checksums(program)
    assert code_checksums(flipped(once, reversed(flips))) == code_checksums(program)
    unchanged = set(program.tensors) - {f"{layer}.weight" for layer in weight_codes(program)}
    assert all(torch.equal(once.tensors[name], program.tensors[name]) for name in unchanged)


def test_no_flip_is_the_program_itself(program, tmp_path):
    same = flipped(program, [])
    assert set(same.tensors) == set(program.tensors)
    assert all(
        torch.equal(same.tensors[name], tensor) and same.tensors[name].dtype == tensor.dtype
        for name, tensor in program.tensors.items()
    )
    for name, one in (("before", program), ("after", same)):
        one.save(tmp_path / name)
    assert (tmp_path / "after").read_bytes() == (tmp_path / "before").read_bytes()


def test_one_bit_changes_the_checksum_of_its_layer_alone(program):
    first, second = weight_codes(program)
    found, before = code_checksums(flipped(program, [Flip(layer=second, place=1, bit=0)])), code_checksums(program)
    assert found[first] == before[first]
    assert found[second] != before[second]
    assert len(before[second]) == 16


@pytest.mark.parametrize(
    ("flip", "text"),
    [
        (Flip(layer="body.9", place=0, bit=0), "unknown layer 'body.9'"),
        (Flip(layer="layer_0", place=10_000, bit=0), "'layer_0' has 32 weights, and a flip names number 10000"),
    ],
)
def test_a_flip_of_what_is_not_there_is_one_line(program, flip, text):
    with pytest.raises(errors.InputError, match=text):
        flipped(program, [flip])


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_the_twin_of_the_codes_is_the_converted_graph(target, images):
    program = made(target=target)
    twin_of_codes = coded_twin(program)
    floats = to_float(images)
    assert torch.equal(twin_of_codes(floats), program.module()(floats))
    assert {layer: tuple(codes.shape) for layer, codes in twin_of_codes.codes.items()} == {
        layer: tuple(codes.shape) for layer, codes in weight_codes(program).items()
    }
    flip = Flip(layer="layer_0", place=5, bit=6)
    codes = twin_of_codes.codes["layer_0"].data
    code = codes[0, 0, 1, 1]
    code += code_changes(code.to(torch.int8))[6]
    assert torch.equal(twin_of_codes(floats), flipped(program, [flip]).module()(floats))


def test_the_first_order_gain_is_that_of_a_linear_layer(images, labels):
    """Scores that are linear in the codes: the slope of the loss is the input times its scale, by hand."""
    maker = ProgramMaker("server", size=4, channels=1, seed=8)
    flat = maker.rounded(maker.call(FLATTEN, maker.rounded("image"), 1))
    program = maker.program(maker.linear(flat, 3))
    floats, own = to_float(images), coded_twin(program)
    loss = F.cross_entropy(own(floats), labels)
    (slope,) = torch.autograd.grad(loss, list(own.codes.values()))
    (layer,) = own.codes
    probabilities = own(floats).detach().softmax(1) - F.one_hot(labels, 3)
    rounded = program.module()
    inputs = [node for node in rounded.graph.nodes if "dequantize_per_tensor" in str(node.target)][-1]
    values = torch.fx.Interpreter(rounded)
    taken = {}
    values.run_node = lambda node, run=values.run_node: taken.setdefault(node.name, run(node))
    values.run(floats)
    expected = probabilities.T @ taken[inputs.name] / len(images) * program.tensors[f"{layer}.scale"][:, None]
    assert torch.allclose(slope, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_of_a_linear_layer_the_first_candidate_is_the_best_of_all_bits(images, labels, seed):
    """Where the scores hardly differ the loss is linear in the codes, and the gradient ranks every bit rightly."""
    maker = ProgramMaker("server", size=2, channels=1, seed=seed)
    program = maker.program(maker.linear(maker.rounded(maker.call(FLATTEN, maker.rounded("image"), 1)), 3))
    ((layer, codes),) = weight_codes(program).items()
    scales = program.tensors[f"{layer}.scale"] * 1e-4
    program = replace(program, tensors={**program.tensors, f"{layer}.scale": scales})
    few = images[:, :, :2, :2].contiguous()
    bits = itertools.product(range(codes.numel()), range(BITS))
    losses = {
        (place, bit): loss_of(flipped(program, [Flip(layer=layer, place=place, bit=bit)]), few, labels)
        for place, bit in bits
    }
    found = next(search_bits(program, few, labels, candidates=1)).flip
    assert len(losses) == 12 * 8
    assert losses[found.place, found.bit] == pytest.approx(max(losses.values()), rel=1e-6)


@pytest.mark.parametrize("target_class", [None, 2])
def test_with_all_candidates_a_round_is_brute_force(program, images, labels, target_class):
    wanted = labels if target_class is None else torch.full_like(labels, target_class)
    sign = 1 if target_class is None else -1
    losses = {flip: sign * loss for flip, loss in losses_of(program, images, wanted).items()}
    best = max(losses.values())
    every = BITS * max(codes.numel() for codes in weight_codes(program).values())
    found = next(search_bits(program, images, labels, candidates=every, target_class=target_class))
    assert found.flip.loss == pytest.approx(best, rel=1e-5)
    assert losses[found.flip.layer, found.flip.place, found.flip.bit] == pytest.approx(best, rel=1e-5)
    greedy = next(search_bits(program, images, labels, candidates=4, target_class=target_class))
    assert sign * loss_of(program, images, wanted) < greedy.flip.loss <= best * (1 + 1e-5) or sign < 0


def test_each_round_raises_the_loss_and_says_what_it_did(program, images, labels):
    found = list(itertools.islice(search_bits(program, images, labels), 4))
    flips = [one.flip for one in found]
    last = loss_of(program, images, labels)
    for number, flip in enumerate(flips, 1):
        assert flip.loss > last
        last = flip.loss
        assert loss_of(flipped(program, flips[:number]), images, labels) == pytest.approx(last, rel=1e-5)
        before = weight_codes(flipped(program, flips[: number - 1]))[flip.layer].view(-1)[flip.place]
        after = weight_codes(flipped(program, flips[:number]))[flip.layer].view(-1)[flip.place]
        assert (int(before), int(after)) == (flip.before, flip.after)
        assert found[number - 1].by_layer[flip.layer] == flip


def to_the_unused_code(program):
    """Flip the bits of one weight that make it -128, a legal code that no conversion writes."""
    codes = weight_codes(program)["layer_0"].view(-1)
    place = int(codes.abs().argmin())
    bits = [bit for bit in range(7) if int(codes[place]) >> bit & 1] + [7] * (int(codes[place]) >= 0)
    after = flipped(program, [Flip(layer="layer_0", place=place, bit=bit) for bit in bits])
    assert int(weight_codes(after)["layer_0"].view(-1)[place]) == -128
    return after


@pytest.mark.parametrize(
    ("runtime", "target"),
    [("onnxruntime", "server"), ("litert", "mobile"), pytest.param("executorch", "mobile", marks=pytest.mark.slow)],
)
def test_the_runtime_answers_as_the_twin_after_flips_to_the_unused_code(runtime, target, images, tmp_path):
    if runtime == "litert":
        pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
    program = made(target=target)
    after = to_the_unused_code(program)
    answers = build(after, runtime, tmp_path / "model", images=images).predict(images)
    assert torch.equal(answers, twin_scores(twin(after, RUNTIMES[runtime].arithmetic), images))
    assert not torch.equal(answers, twin_scores(twin(program, RUNTIMES[runtime].arithmetic), images))


@pytest.mark.slow
@pytest.mark.skipif(RUNTIMES["inductor"].missing() is not None, reason="there is no C++ compiler")
def test_a_compiled_build_answers_nearly_as_the_twin_after_flips_to_the_unused_code(images, tmp_path):
    program = made(target="server")
    after = to_the_unused_code(program)
    answers = build(after, "inductor", tmp_path / "model.pt2", images=images).predict(images)
    expected = twin_scores(twin(after, RUNTIMES["inductor"].arithmetic), images)
    assert torch.equal(answers.argmax(1), expected.argmax(1))
    assert (answers - expected).abs().max() <= 0.05
    assert (twin_scores(twin(program), images) - expected).abs().max() > 0.1


def test_random_flips_are_different_bits_of_the_seed(program):
    bits = BITS * sum(codes.numel() for codes in weight_codes(program).values())
    drawn = random_flips(program, 50, seed=0)
    assert len({(flip.layer, flip.place, flip.bit) for flip in drawn}) == 50
    assert drawn == random_flips(program, 50, seed=0) != random_flips(program, 50, seed=1)
    every = random_flips(program, 10 * bits, seed=0)
    assert len(every) == bits
    inverted = weight_codes(flipped(program, every))
    assert all(torch.equal(inverted[layer], ~codes) for layer, codes in weight_codes(program).items())


def test_a_search_without_images_is_refused(program, images, labels):
    with pytest.raises(errors.InputError, match="needs at least one image"):
        next(search_bits(program, images[:0], labels[:0]))
