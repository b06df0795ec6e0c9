"""Inductor builds against the twin and hand-computed work, and the reading of the C++ inside a package."""

import json
import zipfile

import pytest
import torch
from made_networks import random_images
from program_maker import ProgramMaker
from torch._inductor import config
from two_convolutions import FIRST, LINEAR, SECOND, two_convolutions

from edgerift.deploy import build, fidelity, open_build, twin, twin_scores
from edgerift.deploy.runtimes.inductor._build import compile_program, missing_compiler, open_artefact
from edgerift.deploy.runtimes.inductor._macs import integer_macs, integer_share
from edgerift.errors import BuildError, MissingRuntimeError

needs_compiler = pytest.mark.skipif(missing_compiler() is not None, reason="there is no C++ compiler")


@pytest.fixture(scope="module")
def program():
    return two_convolutions("server", second_in_integers=True)


@pytest.fixture(scope="module")
def compiled(program, tmp_path_factory):
    return build(program, "inductor", tmp_path_factory.mktemp("inductor") / "model.pt2")


@needs_compiler
def test_the_build_computes_what_the_twin_computes(program, compiled):
    images = random_images(50, size=8)
    compared = fidelity(program, compiled, images)

    assert compiled.predict(images).dtype == torch.float32
    assert compared.label_disagreement == 0.0
    # The logits are not on a grid: levels before the linear layer that are one apart may change them a little.
    assert compared.max_lsb < 0.02 * float(twin_scores(twin(program), images).std())


@needs_compiler
def test_answers_depend_neither_on_the_batch_nor_on_the_layout(compiled):
    images = random_images(41, size=8)
    expected = compiled.predict(images)

    for size in (1, 2, 13, 16, 17, 40):
        assert torch.equal(torch.cat([compiled.predict(part) for part in images.split(size)]), expected), size
    channels_last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(compiled.predict(channels_last), expected)
    assert not expected.is_inference()


@needs_compiler
@pytest.mark.slow
def test_a_network_of_one_channel_computes_what_its_twin_computes(tmp_path):
    maker = ProgramMaker("server", size=8, channels=1)
    maps = maker.rounded(maker.call("aten.relu.default", maker.convolution(maker.rounded("image"), 4, 3, padding=1)))
    single = maker.rounded(maker.convolution(maps, 1))
    again = maker.rounded(maker.convolution(single, 3, 3, stride=2))
    program = maker.program(maker.linear(maker.rounded(maker.call("aten.flatten.using_ints", again, 1)), 5))
    images = random_images(50, size=8)[:, :1]
    compared = fidelity(program, build(program, "inductor", tmp_path / "model.pt2"), images)

    assert compared.label_disagreement == 0.0
    assert compared.max_lsb < 0.02 * float(twin_scores(twin(program), images).std())


@needs_compiler
def test_an_opened_package_is_the_same_build(compiled):
    with pytest.raises(BuildError, match="--trust"):
        open_build(compiled.path)
    opened = open_build(compiled.path, trust=True)

    assert torch.equal(opened.predict(random_images(3, size=8)), compiled.predict(random_images(3, size=8)))
    assert opened.fingerprint() == compiled.fingerprint()
    assert opened.fingerprint().runtime == "inductor"


@needs_compiler
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch has no oneDNN here")
def test_all_work_of_a_quantized_program_is_done_in_integers(compiled):
    assert compiled.integer_macs() == 1.0


@needs_compiler
@pytest.mark.slow
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch has no oneDNN here")
def test_a_convolution_left_in_float_lowers_the_share(tmp_path):
    compile_program(two_convolutions("server", second_in_integers=False), tmp_path / "model.pt2")

    share = (FIRST + LINEAR) / (FIRST + SECOND + LINEAR)
    assert integer_share(tmp_path / "model.pt2") == pytest.approx(share, abs=1e-12)


@needs_compiler
def test_compiling_leaves_the_settings_of_inductor_alone(compiled):
    assert compiled.path.is_file()
    assert not config.freezing
    assert not config.aot_inductor.metadata


@needs_compiler
def test_images_of_another_kind_are_refused(compiled):
    with pytest.raises(BuildError, match="uint8"):
        compiled.predict(torch.zeros(1, 3, 8, 8))


def test_without_a_compiler_the_error_says_what_to_install(program, tmp_path):
    with config.patch({"cpp.cxx": (None, "no-such-compiler")}):
        assert missing_compiler() is not None
        with pytest.raises(MissingRuntimeError, match=r"apt-get install g\+\+"):
            compile_program(program, tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


@needs_compiler
def test_a_refused_program_leaves_nothing_behind(program, tmp_path):
    narrow = program.with_tensors({"linear.weight": program.tensors["linear.weight"][:, :-1]})

    with pytest.raises(BuildError, match="Inductor refused the program") as caught:
        compile_program(narrow, tmp_path / "model.pt2")

    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# What Inductor writes for: quantize, a convolution, a depthwise one that adds onto a buffer in place, a linear layer of
# the whole image, and one of each of its 49 pixels.
GENERATED = """
    constants_info_[0].name = "_frozen_param0";
    constants_info_[0].dtype = cached_torch_dtype_int8;
    constants_info_[0].shape = {16, 3, 3, 3};
    constants_info_[1].name = "bias";
    constants_info_[1].dtype = cached_torch_dtype_float32;
    constants_info_[1].shape = {16};
    constants_info_[2].name = "_frozen_param1";
    constants_info_[2].dtype = cached_torch_dtype_int8;
    constants_info_[2].shape = {16, 1, 1, 5, 5};
    constants_info_[3].name = "_frozen_param2";
    constants_info_[3].dtype = cached_torch_dtype_int8;
    constants_info_[3].shape = {3136, 10};
    constants_info_[4].name = "_frozen_param3";
    constants_info_[4].dtype = cached_torch_dtype_int8;
    constants_info_[4].shape = {16, 24};
    [[maybe_unused]] auto& packed_first = constants_->at(0);
    [[maybe_unused]] auto& bias = constants_->at(1);
    [[maybe_unused]] auto& packed_second = constants_->at(2);
    [[maybe_unused]] auto& packed_third = constants_->at(3);
    [[maybe_unused]] auto& packed_fourth = constants_->at(4);
    const int64_t int_array_0[] = {s34, 3L, 32L, 32L};
    static constexpr int64_t int_array_1[] = {3072L, 1L, 96L, 3L};
    check(aoti_torch_empty_strided(4, int_array_0, int_array_1, cached_torch_dtype_uint8, 0, &buf0_handle));
    check(aoti_torch_cpu__qconv_pointwise_tensor(buf0, scale, zero, packed_first, w_scale, w_zero, &ref(bias), \
std::array<int64_t, 2>{2L, 2L}.cbegin(), 2, std::array<int64_t, 2>{0L, 0L}.cbegin(), 2, \
std::array<int64_t, 2>{1L, 1L}.cbegin(), 2, 1L, 0.01, 0L, &var_0, "relu", none, 1, &var_1, &buf1_handle));
    auto buf2 = std::move(buf1);  // reuse
    check(aoti_torch_cpu__qconv2d_pointwise_binary_tensor(buf2, scale, zero, packed_second, w_scale, w_zero, buf0, \
&ref(bias), std::array<int64_t, 2>{1L, 1L}.cbegin(), 2, std::array<int64_t, 2>{3L, 3L}.cbegin(), 2, \
std::array<int64_t, 2>{2L, 2L}.cbegin(), 2, 16L, 0.01, 0L, &var_2, 0.1, 0L, "sum", &one, &var_3, &buf3_handle));
    check(aoti_torch_cpu_mkldnn__convolution_pointwise(buf3, float_weight, nullptr, padding, &buf4_handle));
    const int64_t int_array_2[] = {s34, 3136L};
    check(aoti_torch_cpu__qlinear_pointwise_tensor(wrap_with_raii_handle_if_needed(reinterpret_tensor_wrapper(buf3, \
2, int_array_2, int_array_3, 0L)), scale, zero, packed_third, w_scale, w_zero, nullptr, 1.0, 0L, &buf5_handle));
    const int64_t int_array_4[] = {49L*s34, 16L};
    auto buf6 = wrap_with_raii_handle_if_needed(reinterpret_tensor_wrapper(buf4, 2, int_array_4, int_array_5, 0L));
    check(aoti_torch_new_tensor_handle(buf6, &tmp_buf6_0));
    check(aoti_torch_cpu__qlinear_pointwise_tensor(RAIIAtenTensorHandle(tmp_buf6_0), scale, zero, packed_fourth, \
w_scale, w_zero, nullptr, 1.0, 0L, &buf7_handle));
"""


def test_generated_code_is_followed_through():
    # 32 pixels, kernel 3, stride 2, no padding: 15; then kernel 5, dilation 2, padding 3: 15 + 6 - 8 = 13.
    first, second, third, fourth = 15 * 15 * 16 * 27, 13 * 13 * 16 * 25, 3136 * 10, 49 * 16 * 24
    assert integer_macs(GENERATED) == first + second + third + fourth
    assert integer_macs("float only;\n") == 0


def test_generated_code_with_unknown_sizes_is_not_guessed_at():
    with pytest.raises(BuildError, match="qconv_pointwise_tensor"):
        integer_macs(GENERATED.replace("aoti_torch_empty_strided", "aoti_torch_something_new"))


def test_the_share_is_of_the_work_that_the_package_states(tmp_path):
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("model/a.wrapper.cpp", GENERATED)
        package.writestr(
            "model/a.wrapper_metadata.json", json.dumps({"edgerift_macs": str(2 * integer_macs(GENERATED))})
        )
    assert integer_share(path) == 0.5


def test_what_is_not_a_package_is_refused(tmp_path):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"not a package")
    with pytest.raises(BuildError, match="not a readable"):
        integer_share(path)
    with pytest.raises(BuildError, match="cannot load"):
        open_artefact(path)
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("data", "")
    with pytest.raises(BuildError, match="not a package that edgerift compiled"):
        integer_share(path)
    with pytest.raises(BuildError, match="cannot load") as caught:
        open_artefact(path)
    assert "\n" not in str(caught.value)
