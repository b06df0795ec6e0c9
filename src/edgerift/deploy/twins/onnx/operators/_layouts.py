"""Layers whose channels may be last: ONNX Runtime's highest level of optimisation makes and saves such."""

from __future__ import annotations

import torch

from edgerift.deploy.twins.onnx._builder import Builder, Real
from edgerift.deploy.twins.onnx._graph import OnnxNode


def channels_second(builder: Builder, node: OnnxNode, value: Real) -> Real:
    """Bring the channels behind the batch where a node has them last."""
    moved: Real = builder.call(torch.movedim, value, -1, 1) if _has_channels_last(node) else value
    return moved


def channels_as_asked(builder: Builder, node: OnnxNode, value: Real) -> Real:
    """Bring the channels of a node's result to where the node has them."""
    moved: Real = builder.call(torch.movedim, value, 1, -1) if _has_channels_last(node) else value
    return moved


def _has_channels_last(node: OnnxNode) -> bool:
    return bool(node.attributes.get("channels_last", 0))
