"""Attention in the operators that runtimes compute alike: products, exponentials, sums of whole numbers."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import fx

from edgerift.adapt._nodes import arguments_of, call, calls, replace

_ATEN: Final = torch.ops.aten


def spell_attention_as_products(module: fx.GraphModule) -> None:
    """Write scaled dot-product attention as two matrix products with a softmax between them."""
    for node in calls(module, _ATEN.scaled_dot_product_attention.default):
        values = arguments_of(node)
        if values["dropout_p"] or values["is_causal"] or values["enable_gqa"]:
            continue
        query, key = values["query"], values["key"]
        scale = values["scale"] or 1 / math.sqrt(query.meta["val"].shape[-1])
        with module.graph.inserting_before(node):
            turned = call(module, _ATEN.transpose.int, (key, -2, -1), torch.transpose, node)
            weights = call(module, _ATEN.matmul.default, (query, turned), torch.matmul, node)
            weights = call(module, _ATEN.mul.Tensor, (weights, scale), torch.mul, node)
            if values["attn_mask"] is not None:
                weights = call(module, _ATEN.add.Tensor, (weights, values["attn_mask"]), torch.add, node)
            weights = call(module, _ATEN.softmax.int, (weights, -1), torch.softmax, node)
            result = call(module, _ATEN.matmul.default, (weights, values["value"]), torch.matmul, node)
        replace(module, node, result)


def spell_softmax_as_exponentials(module: fx.GraphModule) -> None:
    """Write a softmax over an axis of maps as `exp(x - max) / sum`, so that its parts can lie on grids.

    One of vectors stays: as the last operator it is no part of the program.
    """
    for node in calls(module, _ATEN.softmax.int):
        values = arguments_of(node)
        if node.meta["val"].dim() < 3 or values["dtype"] not in (None, torch.float32):
            continue
        source, axis = values["self"], values["dim"]
        with module.graph.inserting_before(node):
            most = call(module, _ATEN.amax.default, (source, [axis], True), torch.amax, node)
            below = call(module, _ATEN.sub.Tensor, (source, most), torch.sub, node)
            powers = call(module, _ATEN.exp.default, (below,), torch.exp, node)
            total = call(module, _ATEN.sum.dim_IntList, (powers, [axis], True), torch.sum, node)
            share = call(module, _ATEN.div.Tensor, (powers, total), torch.div, node)
        replace(module, node, share)


def spell_means_as_sums(module: fx.GraphModule) -> None:
    """Write a mean that no pooling stands for as a sum divided by a number: runtimes divide in different places."""
    for node in calls(module, _ATEN.mean.dim):
        values = arguments_of(node)
        source: Any = values["self"]
        given = source.meta["val"]
        axes = [axis % given.dim() for axis in values["dim"] or range(given.dim())]
        lengths = [given.shape[axis] for axis in axes]
        if values["dtype"] not in (None, given.dtype) or not all(isinstance(length, int) for length in lengths):
            continue
        with module.graph.inserting_before(node):
            total = call(module, _ATEN.sum.dim_IntList, (source, axes, values["keepdim"]), torch.sum, node)
            mean = call(module, _ATEN.div.Tensor, (total, float(math.prod(lengths))), torch.div, node)
        replace(module, node, mean)
