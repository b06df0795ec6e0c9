"""The share of integer kernels of a `.pte`, against sums done by hand and against PyTorch's own operation counter."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from two_convolutions import FIRST, LINEAR, SECOND, two_convolutions

from edgerift.deploy import quiet
from edgerift.deploy.runtimes.executorch._macs import Kernel, integer_share, kernels
from edgerift.errors import BuildError

with quiet():
    pytest.importorskip("executorch", reason="ExecuTorch is not installed")


@pytest.mark.parametrize(
    ("second_in_integers", "share"), [(True, 1.0), (False, (FIRST + LINEAR) / (FIRST + SECOND + LINEAR))]
)
def test_the_share_is_the_one_computed_by_hand(second_in_integers, share, tmp_path):
    from edgerift.deploy.runtimes.executorch._build import compile_program, open_artefact

    path = tmp_path / "model.pte"
    compile_program(two_convolutions("mobile", second_in_integers=second_in_integers), path)

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
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

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
