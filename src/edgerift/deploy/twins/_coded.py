"""A twin whose integer weights have gradients: what a change of a stored code would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from edgerift.deploy.program._grid import is_dequantize, is_quantize
from edgerift.deploy.program._operators import DEQUANTIZE_CHANNELS, operator_name
from edgerift.deploy.program._program import Program
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._translation import Translation
from edgerift.deploy.twins._twin_graph import copy_dequantized, rounded_value
from edgerift.images import in_channels


@final
class CodedTwin(nn.Module):
    """A program with gradients by the codes of its weights: images float32 `[N,C,H,W]` in `[0,1]` to logits `[N,K]`.

    `codes` holds each layer's codes `[C,...]` by the layer's name, as whole float32 numbers that may be changed in
    place; their scales stay what they are. The answers are those of the converted graph, straight-through in gradient.
    """

    def __init__(self, body: Body, codes: Mapping[str, nn.Parameter], image_channels: int) -> None:
        """Take a translated program; see :func:`coded_twin`."""
        super().__init__()
        self.body = body
        self.codes = dict(codes)
        self.image_channels = image_channels
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits `[N,K]` of images `[N,C,H,W]` in `[0,1]`; the one channel of grey ones is repeated."""
        images = in_channels(images, self.image_channels)
        logits: Tensor = self.body(images.contiguous(memory_format=torch.channels_last))
        return logits


def coded_twin(program: Program) -> CodedTwin:
    """Make the twin of a program whose parameters are the codes of its weights; see :class:`CodedTwin`."""
    twin = Translation(program)
    operations = {operation.name: operation for operation in program.operations}
    names: dict[str, str] = {}
    for node in twin.source.graph.nodes:
        if is_quantize(node):
            twin.values[node] = rounded_value(twin, node)
        elif is_dequantize(node):
            copy_dequantized(twin, node)
        elif node.op == "call_function" and operator_name(node.target) == DEQUANTIZE_CHANNELS:
            reference: Any = operations[node.name].arguments[0]
            codes, scales, zero_points = (twin.tensor(argument) for argument in node.args[:3])
            shape = [1] * codes.dim()
            shape[int(node.args[3])] = -1
            learned = twin.parameter(codes.float())
            names[str(reference["tensor"]).removesuffix(".weight")] = str(learned.target)
            levels = twin.call(torch.sub, learned, twin.constant(zero_points.float().view(shape)))
            twin.values[node] = twin.call(torch.mul, levels, twin.constant(scales.float().view(shape)))
        else:
            twin.copy(node)
    body = twin.finish()
    return CodedTwin(body, {layer: body.get_parameter(name) for layer, name in names.items()}, program.shape.channels)
