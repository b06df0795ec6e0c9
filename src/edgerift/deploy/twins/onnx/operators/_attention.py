"""Attention as one operator, in float."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Real, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode

_MASKED: Final = float("-inf")


@OPERATORS.named("Attention")
def _attention(builder: Builder, node: OnnxNode) -> Value:
    _refuse(node, range(4, 7), ("softcap",))
    heads = int(node.attributes.get("q_num_heads", 0))
    counts = heads, int(node.attributes.get("kv_num_heads", heads)) or heads
    mask = builder.real(node, 3) if node.has(3) else None
    parts = [builder.real(node, index) for index in range(3)]
    return _attended(builder, node, parts, counts, mask, "is_causal")


@OPERATORS.named("com.microsoft.MultiHeadAttention")
def _of_projections(builder: Builder, node: OnnxNode) -> Value:
    _refuse(node, (4, 6, 7, 8, 9), ())
    if not (node.has(1) and node.has(2)):
        raise UntranslatedError(f"{node} has its keys and values in one tensor")
    parts = [builder.real(node, index) for index in range(3)]
    if node.has(3):
        biases = [builder.call(third_of, builder.real(node, 3), index, parts[index]) for index in range(3)]
        parts = [builder.call(torch.add, part, bias) for part, bias in zip(parts, biases, strict=True)]
    return _of_heads(builder, node, parts, 5)


@OPERATORS.named("com.microsoft.Attention")
def _of_inputs(builder: Builder, node: OnnxNode) -> Value:
    _refuse(node, (3, 4, 6), ("do_rotary",))
    projected = builder.call(torch.matmul, builder.real(node, 0), builder.real(node, 1))
    if node.has(2):
        projected = builder.call(torch.add, projected, builder.real(node, 2))
    sizes = node.ints("qkv_hidden_sizes", ())
    parts = [builder.call(part_of_projection, projected, index, sizes) for index in range(3)]
    return _of_heads(builder, node, parts, 5)


def _of_heads(builder: Builder, node: OnnxNode, parts: list[Real], added: int) -> Value:
    heads = int(node.attributes["num_heads"])
    mask = builder.real(node, added) if node.has(added) else None
    return _attended(builder, node, parts, (heads, heads), mask, "unidirectional")


def _attended(
    builder: Builder, node: OnnxNode, parts: list[Real], heads: tuple[int, int], mask: Real | None, causal: str
) -> Value:
    scale = float(node.attributes.get("scale", 0.0)) or None
    is_causal = bool(node.attributes.get(causal, 0))
    result: Value = builder.call(attend, *parts, mask, heads, scale, is_causal)
    return result


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    heads: tuple[int, int],
    scale: float | None,
    causal: bool,
) -> Tensor:
    """Compute `softmax(scale * query @ key^T + mask) @ value` for each head.

    The tensors are `[B,heads,T,D]`, or `[B,T,heads * D]` with the numbers of heads of the query and of the other two;
    a query's heads share those of fewer keys. `scale` is 1 / sqrt(D) by default; a mask of booleans keeps what is true.
    """
    joined = query.dim() == 3
    if joined:
        query = _split(query, heads[0])
        key, value = _split(key, heads[1]), _split(value, heads[1])
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        earlier = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~earlier, _MASKED)
    if mask is not None:
        scores = scores.masked_fill(~mask, _MASKED) if mask.dtype == torch.bool else scores + mask
    result = scores.softmax(-1) @ value
    return result.transpose(1, 2).flatten(2) if joined else result


def _split(value: Tensor, heads: int) -> Tensor:
    return value.reshape(*value.shape[:-1], heads, -1).transpose(1, 2)


def third_of(bias: Tensor, index: int, part: Tensor) -> Tensor:
    """Take the bias of the query, the key or the value, which is as long as a row of that; the first two are equal."""
    length = part.shape[-1]
    return bias[len(bias) - length :] if index == 2 else bias[index * length : (index + 1) * length]


def part_of_projection(projected: Tensor, index: int, sizes: tuple[int, ...]) -> Tensor:
    """Take the query, the key or the value out of the product that makes all three."""
    parts: tuple[Tensor, ...] = projected.split(list(sizes) if sizes else projected.shape[-1] // 3, -1)
    return parts[index]


def _refuse(node: OnnxNode, inputs: range | tuple[int, ...], attributes: tuple[str, ...]) -> None:
    """Refuse what texts need: paddings, and keys and values of an earlier call."""
    given = [f"input {index}" for index in inputs if node.has(index)]
    given += [name for name in attributes if node.attributes.get(name)]
    if given:
        raise UntranslatedError(
            f"{node} attends with its {' and '.join(given)}; queries, keys, values and a mask are known"
        )
