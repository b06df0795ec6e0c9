"""Calibrated post-training quantization with torchao: the step that both ptq and qat start with."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgerift.adapt._export import export
from edgerift.adapt._quantizers import quantizer
from edgerift.deploy import Program, Provenance, Target, from_graph

_WEIGHTED = (torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)


def quantize(
    model: nn.Module,
    batches: Iterable[Tensor],
    *,
    target: Target,
    classes: int,
    size: int,
    provenance: Provenance,
) -> Program:
    """Export, observe and convert a float model.

    `batches` are the calibration images, float32 `[N,3,size,size]` in `[0,1]`; the observers see each once.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e  # noqa: PLC0415

    chosen = quantizer(target)
    example = torch.zeros(2, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = prepare_pt2e(export(model, example, target), chosen)
        layers = layer_names(prepared)
        with torch.inference_mode():
            for batch in batches:
                prepared(batch)
        converted = convert_pt2e(prepared)
    return from_graph(
        converted,
        target=target,
        classes=classes,
        size=size,
        provenance=provenance,
        names=tensor_names(converted, layers),
    )


def layer_names(prepared: fx.GraphModule) -> dict[str, str]:
    """Map each convolution's and linear layer's node to the layer's name in the user's model."""
    layers: dict[str, str] = {}
    for node in prepared.graph.nodes:
        if node.op == "call_function" and node.target in _WEIGHTED:
            weight: Any = node.args[1]
            while weight.op != "get_attr":
                weight = weight.args[0]
            layers[node.name] = str(weight.target).removesuffix(".weight").removesuffix("_weight")
    return layers


def tensor_names(converted: fx.GraphModule, layers: dict[str, str]) -> dict[str, str]:
    """Name a converted graph's tensors after their layers: `LAYER.weight`, `.scale`, `.zero_point`, `.bias`."""
    names: dict[str, str] = {}
    for node in converted.graph.nodes:
        if node.name not in layers:
            continue
        layer, weight = layers[node.name], node.args[1]
        for kind, source in zip(("weight", "scale", "zero_point"), weight.args[:3], strict=False):
            names[str(source.target)] = f"{layer}.{kind}"
        if len(node.args) > 2 and node.args[2] is not None:
            names[str(node.args[2].target)] = f"{layer}.bias"
    return names
