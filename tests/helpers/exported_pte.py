"""Files for ExecuTorch made the way its own documentation does, without edgerift: quantizer, lowering, partitioner."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgerift.deploy import quiet

SIZE = 12
_GENERATOR_SEED = 0


class Residual(nn.Module):
    """Batch normalisation, a depthwise convolution, clamps, a sum, a concatenation, pooling and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.depthwise, self.pointwise = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.Conv2d(8, 8, 1)
        self.branch, self.linear = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor:
        found = F.max_pool2d(F.relu(self.norm(self.first(images))), 3, 2, 1)
        found = F.relu6(self.pointwise(F.relu(self.depthwise(found))))
        added = F.relu(found + self.branch(found))
        joined = torch.cat([added, found], 1)
        scores: Tensor = self.linear(F.adaptive_avg_pool2d(joined, 1).flatten(1))
        return scores


class Moved(nn.Module):
    """Products, clamps between two grids, channels cut and shuffled, averages; every value is a score."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 1)
        self.third, self.last = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        found = self.first(images)
        halves = torch.cat([found[:, 4:], found[:, :4]], 1)
        found = F.hardtanh(self.third(halves * self.second(found)), -0.1, 0.15)
        shuffled = found.view(-1, 2, 4, SIZE // 2, SIZE // 2).transpose(1, 2).reshape(-1, 8, SIZE // 2, SIZE // 2)
        averaged = F.avg_pool2d(shuffled, 2)
        return self.last(averaged).flatten(1)


class Softened(nn.Module):
    """A network of one matrix product with a softmax at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.linear = nn.Conv2d(3, 8, 3, stride=2), nn.Linear(8, 10)

    def forward(self, images: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(F.relu(self.first(images)), 1).flatten(1)
        return torch.softmax(5 * self.linear(pooled), 1)


class Upwards(nn.Module):
    """A network with an operator that has no translation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.upwards = nn.Conv2d(3, 4, 3, stride=2), nn.ConvTranspose2d(4, 2, 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.upwards(F.relu(self.first(images)))
        return scores.flatten(1)


def export_pte(
    model: nn.Module,
    path: Path,
    *,
    batch: int = 1,
    free: bool = False,
    per_channel: bool = True,
    quantized: bool = True,
    memory: torch.memory_format = torch.contiguous_format,
    integer_ends: bool = False,
) -> Path:
    """Write a `.pte` for a batch, or for any up to it, with images in one order of memory, or int8 in and out."""
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )
        from executorch.exir import to_edge, to_edge_transform_and_lower
        from executorch.exir.passes.quantize_io_pass import QuantizeInputs, QuantizeOutputs
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        generator = torch.Generator().manual_seed(_GENERATOR_SEED)
        example = torch.rand(batch, 3, SIZE, SIZE, generator=generator).to(memory_format=memory)
        shapes = ({0: torch.export.Dim("batch", min=1, max=batch)},) if free else None
        module = torch.export.export(model.eval(), (example,), dynamic_shapes=shapes).module()
        if quantized:
            config = get_symmetric_quantization_config(is_per_channel=per_channel)
            module = prepare_pt2e(module, XNNPACKQuantizer().set_global(config))
            for _ in range(4):
                module(torch.rand(batch, 3, SIZE, SIZE, generator=generator))
            module = convert_pt2e(module)
        exported = torch.export.export(module, (example,), dynamic_shapes=shapes)
        if integer_ends:
            edge = to_edge(exported)
            edge = edge.transform([QuantizeInputs(edge, [0]), QuantizeOutputs(edge, [0])])
            edge = edge.to_backend(XnnpackPartitioner())
        else:
            edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        path.write_bytes(edge.to_executorch().buffer)
    return path


def seeded(kind: type[nn.Module]) -> nn.Module:
    """Make a network with the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return kind()
