"""LiteRT builds: what is written, and the twins of its sets of kernels, bit for bit."""

import pytest
import torch
from made_networks import averages, branches, clamps, flat, layers, pools, random_images, residual

from edgerift.deploy import RUNTIMES, build, fidelity, open_build, twin
from edgerift.errors import BuildError, RecipeError

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

KERNELS = ("litert", "litert-builtin", "litert-reference")
NETWORKS = (layers, residual, clamps, branches)


@pytest.mark.parametrize("runtime", KERNELS)
@pytest.mark.parametrize("dyadic", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_twin_equals_the_runtime_to_the_bit(build_once, network, dyadic, runtime):
    program, built = build_once(runtime, network, dyadic=dyadic)
    found = fidelity(program, built, random_images(300))
    assert found.arithmetic == RUNTIMES[runtime].arithmetic
    assert (found.equal_logits, found.max_lsb, found.label_disagreement) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_file_does_not_depend_on_the_kernels(build_once, network):
    assert len({build_once(runtime, network)[1].path.read_bytes() for runtime in KERNELS}) == 1


def test_kernels_answer_differently_and_have_other_fingerprints(build_once):
    builds = [build_once(runtime, residual)[1] for runtime in KERNELS]
    one, two, three = (built.predict(random_images(200)) for built in builds)
    assert not torch.equal(one, two)
    assert not torch.equal(two, three)
    assert len({built.fingerprint().sha256 for built in builds}) == 1
    assert len({built.fingerprint() for built in builds}) == 3


@pytest.mark.parametrize("runtime", KERNELS)
def test_answers_do_not_depend_on_the_batch(build_once, runtime):
    _, built = build_once(runtime, residual)
    images = random_images(71)
    alone = torch.cat([built.predict(image[None]) for image in images])
    assert torch.equal(built.predict(images), alone)
    assert torch.equal(torch.cat([built.predict(part) for part in images.split(7)]), alone)


def test_a_file_takes_and_answers_plain_numbers(build_once):
    """Whoever runs the file with the runtime alone gets the build's answers."""
    from ai_edge_litert.interpreter import Interpreter

    _, built = build_once("litert", residual)
    images = random_images(3)
    interpreter = Interpreter(model_content=built.path.read_bytes())
    answer = interpreter.get_signature_runner()(images=images.permute(0, 2, 3, 1).numpy().astype("float32") / 255)
    assert torch.equal(torch.from_numpy(answer["logits"]), built.predict(images))


def test_a_build_opens_again_by_its_suffix_with_the_default_kernels(build_once):
    _, built = build_once("litert-reference", layers)
    again = open_build(built.path)
    assert again.runtime == "litert"
    named = open_build(built.path, "litert-reference")
    assert torch.equal(named.predict(random_images(5)), built.predict(random_images(5)))
    assert named.fingerprint() == built.fingerprint()


def test_all_of_it_runs_in_integers(build_once):
    _, built = build_once("litert", residual)
    assert built.integer_macs() == 1.0
    assert built.operators()["CONV_2D"] == 3


@pytest.mark.parametrize("content", [b"", b"not a model", b"\0" * 4096, b"\x1c\0\0\0TFL3" + b"\xff" * 256])
def test_a_damaged_file_is_one_line(tmp_path, content):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(BuildError, match=r"model\.tflite") as raised:
        open_build(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_one_line(build_once, tmp_path, share):
    _, built = build_once("litert", residual)
    content = built.path.read_bytes()
    path = tmp_path / "model.tflite"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BuildError, match=r"model\.tflite") as raised:
        open_build(path)
    assert "\n" not in str(raised.value)


def test_images_of_another_size_are_refused(build_once):
    _, built = build_once("litert", layers)
    with pytest.raises(BuildError, match=r"takes images \[16, 16, 3\]"):
        built.predict(random_images(1, size=20))


def test_what_has_no_exact_kernel_is_refused_by_name(make_program, tmp_path):
    maker = make_program()
    source = maker.rounded(maker.convolution(maker.rounded("image"), 8))
    smooth = maker.rounded(maker.call("aten.sqrt.default", maker.rounded(maker.call("aten.abs.default", source))))
    with pytest.raises(BuildError, match=r"'step_\d+' \(aten\.sqrt\.default\)"):
        build(
            maker.program(maker.rounded(maker.call("aten.flatten.using_ints", smooth, 1))),
            "litert",
            tmp_path / "m.tflite",
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("network", [pools, averages])
def test_poolings_that_are_computed_in_float_are_refused(make_program, tmp_path, network):
    maker = make_program()
    with pytest.raises(BuildError, match=r"aten\.avg_pool2d\.default"):
        build(maker.program(network(maker)), "litert", tmp_path / "m.tflite")


def test_a_server_program_is_not_for_this_runtime(make_program, tmp_path):
    maker = make_program("server")
    with pytest.raises(RecipeError, match="takes target mobile"):
        build(maker.program(layers(maker)), "litert", tmp_path / "model.tflite")


def grouped(maker):
    """Convolutions of two groups, with a multiplier, with gaps and with strides, and their maximum over windows."""
    source = maker.rounded(maker.convolution(maker.rounded("image"), 8, kernel=3, padding=1))
    two = maker.rounded(maker.convolution(source, 12, kernel=3, padding=1, groups=2))
    wide = maker.rounded(maker.convolution(two, 24, kernel=3, stride=2, padding=1, groups=12))
    largest = maker.rounded(maker.call("aten.max_pool2d.default", wide, [3, 3], [2, 2], [1, 1]), grid=maker.grid(wide))
    return maker.rounded(maker.call("aten.flatten.using_ints", largest, 1), grid=maker.grid(wide))


def moved(maker):
    """Channels shuffled, cut and turned, a product with one number per channel, and a difference."""
    source = maker.rounded(maker.convolution(maker.rounded("image"), 8, kernel=3, stride=2, padding=1))
    grid = maker.grid(source)
    shuffled = maker.call("aten.view.default", source, [-1, 2, 4, 8, 8])
    shuffled = maker.call("aten.transpose.int", shuffled, 1, 2)
    shuffled = maker.rounded(maker.call("aten.reshape.default", shuffled, [-1, 8, 8, 8]), grid=grid)
    gate = maker.rounded(maker.call("aten.adaptive_avg_pool2d.default", shuffled, [1, 1]))
    gated = maker.rounded(maker.call("aten.mul.Tensor", shuffled, gate))
    less = maker.rounded(maker.call("aten.sub.Tensor", gated, source))
    cut = maker.rounded(maker.call("aten.slice.Tensor", less, 2, 1, 7), grid=maker.grid(less))
    last = maker.rounded(maker.call("aten.permute.default", cut, [0, 2, 3, 1]), grid=maker.grid(less))
    return maker.rounded(maker.call("aten.flatten.using_ints", last, 1), grid=maker.grid(less))


def smooth(maker):
    """Functions of one number each, of levels, one after the other."""
    source = maker.rounded(maker.convolution(maker.rounded("image"), 8, kernel=3, stride=4, padding=1))
    for name in ("silu", "gelu", "hardswish", "tanh", "elu", "sigmoid", "hardsigmoid", "exp"):
        source = maker.rounded(maker.call(f"aten.{name}.default", source))
    return flat(maker, source)


@pytest.mark.parametrize("network", [grouped, moved, smooth])
def test_moves_and_groups_keep_the_program_s_values(build_once, network):
    program, built = build_once("litert", network)
    assert fidelity(program, built, random_images(100)).equal_logits == 1.0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(3, 16), (16, 1)])
def test_images_whose_extents_look_like_channels(make_program, tmp_path, channels, size):
    maker = make_program(size=size, channels=channels)
    source = maker.rounded(maker.convolution(maker.rounded("image"), 4, kernel=3, padding=1))
    program = maker.program(maker.rounded(maker.call("aten.flatten.using_ints", source, 1), grid=maker.grid(source)))
    built = build(program, "litert", tmp_path / "model.tflite")
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (9, channels, *size), generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(built.predict(images), twin(program, "xnnpack")(images / 255))


def test_a_fixed_batch_that_cannot_grow_is_kept(build_once, tmp_path):
    """A file whose reshaping names one image, as converters write it."""
    path = tmp_path / "fixed.tflite"
    path.write_bytes(_with_one_image(build_once("litert", residual)[1].path.read_bytes()))
    built = open_build(path)
    images = random_images(5)
    assert built.specification.input.batch == 1
    assert torch.equal(built.predict(images), build_once("litert", residual)[1].predict(images))


def _with_one_image(content):
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for tensor in model.subgraphs[0].tensors:
        tensor.shapeSignature = None
        if tensor.name.decode().endswith("extents"):
            numbers = model.buffers[tensor.buffer].data.view("int32").copy()
            numbers[numbers == -1] = 1
            model.buffers[tensor.buffer].data = numbers.view("uint8")
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
