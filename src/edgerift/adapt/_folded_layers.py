"""The layers of an original as quantization rounds them: with batch normalisations folded in."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, fx, nn

from edgerift.adapt._export import export
from edgerift.adapt._nodes import LAYERS, arguments_of, attribute
from edgerift.deploy import Target, runtime_of_suffix, stored_layers
from edgerift.images import ImageShape
from edgerift.zoo import FILE_KINDS, Classifier, frozen_copy


class FoldedLayer(NamedTuple):
    """A layer's weight `[C_out,C_in/groups,...]` and bias `[C_out]`, float64, under its name in the original.

    The bias is None where the layer has none.
    """

    name: str
    weight: Tensor
    bias: Tensor | None


def folded_layers(original: nn.Module, shape: ImageShape, target: Target = "mobile") -> tuple[FoldedLayer, ...]:
    """Read the convolutions and linear layers of an original, in its order, with batch normalisations folded in.

    These are the float values that :func:`ptq` for that target rounds. Constant layers that stand for a pooling are
    among them. An original that came as a file of a runtime, such as ONNX, has the layers of the file. Raises
    :class:`~edgerift.errors.ModelError` for an original that cannot be exported.
    """
    own = _of_file(original)
    if own is not None:
        return own
    graph = export(frozen_copy(original).cpu(), torch.zeros(2, *shape), target)
    return tuple(found for node in graph.graph.nodes if (found := _layer(graph, node)) is not None)


def _layer(graph: fx.GraphModule, node: fx.Node) -> FoldedLayer | None:
    if node.op != "call_function" or node.target not in LAYERS:
        return None
    given = arguments_of(node)
    weight, bias = given["weight"], given["bias"]
    if not isinstance(weight, fx.Node) or weight.op != "get_attr":
        return None
    source = str(weight.target)
    shift = None
    if isinstance(bias, fx.Node) and bias.op == "get_attr":
        shift = attribute(graph, str(bias.target)).double()
    name = source.removesuffix(".weight").removesuffix("_weight")
    return FoldedLayer(name, attribute(graph, source).double().contiguous(), shift)


def _of_file(original: nn.Module) -> tuple[FoldedLayer, ...] | None:
    """Read the layers of the file that an original came as; None for one whose network edgerift has made."""
    content = original.content if isinstance(original, Classifier) else None
    if not isinstance(original, Classifier) or content is None:
        return None
    runtime = runtime_of_suffix(FILE_KINDS[original.architecture.name].suffix)
    if runtime is None:
        return None
    return tuple(FoldedLayer(layer.name, layer.real, layer.bias) for layer in stored_layers(content, runtime))
