"""The share of integer kernels of a `.pte`, against sums done by hand and against PyTorch's own operation counter."""

import importlib
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgerift.deploy import Operation, Program
from edgerift.deploy._executorch_macs import Kernel, integer_share, kernels
from edgerift.errors import BuildError

pytest.importorskip("executorch", reason="ExecuTorch is not installed")

# Multiply-accumulates of the network that `two_convolutions` builds, for one image: outputs times inputs of each.
FIRST = 8 * 8 * 4 * (3 * 3 * 3)
SECOND = 4 * 4 * 6 * (3 * 3 * 2)
LINEAR = 5 * (6 * 4 * 4)

LOWERING = ("executorch.exir", "executorch.backends.xnnpack.partition.xnnpack_partitioner")


@pytest.fixture(scope="module", autouse=True)
def executorch():
    """Import ExecuTorch once; its import warns about its own use of Python's standard library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("torchao.quantization.pt2e", "executorch.runtime", *LOWERING):
            importlib.import_module(name)


def on_grid(name, source):
    """A quantize and dequantize pair on the mobile target's kind of grid."""
    grid = [0.05, 3, -128, 127, {"dtype": "int8"}]
    return [
        Operation(
            name=f"{name}_q",
            operator="quantized_decomposed.quantize_per_tensor.default",
            arguments=[{"node": source}, *grid],
        ),
        Operation(
            name=f"{name}_dq",
            operator="quantized_decomposed.dequantize_per_tensor.default",
            arguments=[{"node": f"{name}_q"}, *grid],
        ),
    ]


def weight(name):
    arguments = [{"tensor": f"{name}.{part}"} for part in ("weight", "scale", "zero_point")]
    return Operation(
        name=f"{name}_weight",
        operator="quantized_decomposed.dequantize_per_channel.default",
        arguments=[*arguments, 0, -127, 127, {"dtype": "int8"}],
    )


def two_convolutions(*, second_in_integers):
    """A 3x3 convolution 3 to 4 on 8x8 pixels, a grouped one 4 to 6 of stride 2, and a linear layer to 5 classes."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in (("first", (4, 3, 3, 3)), ("second", (6, 2, 3, 3)), ("linear", (5, 96))):
        tensors[f"{name}.weight"] = torch.randint(-127, 128, shape, generator=generator).to(torch.int8)
        tensors[f"{name}.scale"] = torch.full(shape[:1], 0.01)
        tensors[f"{name}.zero_point"] = torch.zeros(shape[0], dtype=torch.int64)
        tensors[f"{name}.bias"] = torch.randn(shape[0], generator=generator)
    if not second_in_integers:
        tensors["second.float"] = tensors["second.weight"] * 0.01
    source = {"node": "second_weight"} if second_in_integers else {"tensor": "second.float"}
    convolution, relu = "aten.conv2d.default", "aten.relu.default"
    operations = [
        *(weight(name) for name in ("first", "second", "linear") if name != "second" or second_in_integers),
        *on_grid("image", "image"),
        Operation(
            name="first",
            operator=convolution,
            arguments=[{"node": "image_dq"}, {"node": "first_weight"}, {"tensor": "first.bias"}, [1, 1], [1, 1]],
        ),
        Operation(name="relu", operator=relu, arguments=[{"node": "first"}]),
        *on_grid("first", "relu"),
        Operation(
            name="second",
            operator=convolution,
            arguments=[{"node": "first_dq"}, source, {"tensor": "second.bias"}, [2, 2], [1, 1], [1, 1], 2],
        ),
        *on_grid("second", "second"),
        Operation(name="flatten", operator="aten.flatten.using_ints", arguments=[{"node": "second_dq"}, 1]),
        *on_grid("flatten", "flatten"),
        Operation(
            name="linear",
            operator="aten.linear.default",
            arguments=[{"node": "flatten_dq"}, {"node": "linear_weight"}, {"tensor": "linear.bias"}],
        ),
        *on_grid("linear", "linear"),
    ]
    if not second_in_integers:
        for part in ("weight", "scale", "zero_point"):
            del tensors[f"second.{part}"]
    return Program(tuple(operations), tensors, "linear_dq", "mobile", classes=5, size=8)


@pytest.mark.parametrize(
    ("second_in_integers", "share"), [(True, 1.0), (False, (FIRST + LINEAR) / (FIRST + SECOND + LINEAR))]
)
def test_the_share_is_the_one_computed_by_hand(second_in_integers, share, tmp_path):
    from edgerift.deploy._executorch import compile_program, open_artefact

    path = tmp_path / "model.pte"
    compile_program(two_convolutions(second_in_integers=second_in_integers), path)

    assert integer_share(path) == pytest.approx(share, abs=1e-12)
    assert [kernel.macs for kernel in kernels(path)] == [FIRST, SECOND, LINEAR]
    assert [kernel.integer for kernel in kernels(path)] == [True, second_in_integers, True]
    assert open_artefact(path).integer_macs() == integer_share(path)


class Mixed(nn.Module):
    """Every kind of weighted layer that a lowering tells apart."""

    def __init__(self):
        super().__init__()
        self.plain = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, (3, 1), padding=(1, 0), groups=8)
        self.upwards = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.linear = nn.Linear(6, 4)

    def forward(self, images):
        features = self.upwards(self.depthwise(self.plain(images)).relu())
        return self.linear(features.mean((2, 3)))


def lower(model, path, *, delegated):
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = torch.export.Dim("batch", min=1, max=4)
        exported = torch.export.export(model.eval(), (torch.zeros(4, 3, 8, 8),), dynamic_shapes=({0: batch},))
        edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()] if delegated else [])
        path.write_bytes(edge.to_executorch().buffer)


@pytest.mark.parametrize("delegated", [True, False])
def test_float_kernels_count_one_image_and_are_not_integer(delegated, tmp_path):
    model = Mixed()
    lower(model, tmp_path / "model.pte", delegated=delegated)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 8, 8))

    found = kernels(tmp_path / "model.pte")

    assert sum(kernel.macs for kernel in found) == counter.get_total_flops() // 2
    assert len(found) == 4
    assert any(kernel.name.startswith("XNN") for kernel in found) == delegated
    assert integer_share(tmp_path / "model.pte") == 0.0


def test_a_program_without_products_has_no_share(tmp_path):
    lower(nn.ReLU(), tmp_path / "model.pte", delegated=True)

    assert kernels(tmp_path / "model.pte") == []
    with pytest.raises(BuildError, match="no convolution and no matrix product"):
        integer_share(tmp_path / "model.pte")


def test_a_damaged_file_is_refused_in_one_line(tmp_path):
    whole = tmp_path / "whole.pte"
    lower(nn.Conv2d(3, 4, 1), whole, delegated=True)
    assert kernels(whole) == [Kernel("XNNConv2d", 8 * 8 * 4 * 3, integer=False)]
    data = whole.read_bytes()
    damaged = {
        "empty": b"",
        "other": b"not a program" * 10,
        "cut": data[:200],
        "scrambled": data[:64] + bytes(255 - byte for byte in data[64:]),
    }
    for name, content in damaged.items():
        path = tmp_path / f"{name}.pte"
        path.write_bytes(content)
        with pytest.raises(BuildError) as caught:
            kernels(path)
        assert str(path) in str(caught.value), name
        assert "\n" not in str(caught.value), name


def test_a_missing_file_is_named():
    with pytest.raises(BuildError, match=r"cannot read nowhere\.pte"):
        kernels(Path("nowhere.pte"))
