"""From a float model to a graph that a quantizer understands: exported, in inference form, with a free batch size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from edgerift.deploy import Target, quiet
from edgerift.errors import ModelError

_IN_PLACE = {
    torch.ops.aten.relu_.default: torch.ops.aten.relu.default,
    torch.ops.aten.hardtanh_.default: torch.ops.aten.hardtanh.default,
    torch.ops.aten.add_.Tensor: torch.ops.aten.add.Tensor,
}


def export(model: nn.Module, example: Tensor, target: Target, *, training: bool = False) -> fx.GraphModule:
    """Export a model as a graph of PyTorch's core operators, in inference form unless `training`.

    `example` is float32 `[N,3,H,W]` in `[0,1]` with N of at least 2; the batch size of the graph is free. Operators
    that write in place are replaced by those that do not, and dropout is removed. What a target's quantizer has no rule
    for takes an equal form that can run in integers: a batch normalisation that follows no convolution becomes a 1x1
    depthwise convolution, a mean over height and width a pooling, and for `mobile` an average pooling without padding a
    depthwise convolution with equal weights. Raises
    :class:`~edgerift.errors.ModelError` when the model cannot be exported.
    """
    model = model.train(training)
    batch = torch.export.Dim("batch", min=1, max=65536)
    try:
        with quiet():
            # X86InductorQuantizer matches partitions that only strict export leaves whole.
            exported = torch.export.export(model, (example,), dynamic_shapes=({0: batch},), strict=target == "server")
            graph: Any = exported.module(check_guards=False)
    except Exception as error:
        first_line = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{type(model).__name__} cannot be exported: {first_line}; the model must be traceable by torch.export "
            "and accept any batch size"
        ) from error
    _leave_no_writes(graph)
    _spell_means_as_poolings(graph)
    if target == "mobile" and not training:
        _turn_poolings_into_convolutions(graph)
    if not training:
        _turn_lone_normalisations_into_convolutions(graph)
    graph.recompile()
    return graph  # type: ignore[no-any-return]


def _leave_no_writes(module: fx.GraphModule) -> None:
    for node in list(module.graph.nodes):
        if node.op != "call_function":
            continue
        if node.target in _IN_PLACE:
            node.target = _IN_PLACE[node.target]
        elif node.target in (torch.ops.aten.dropout.default, torch.ops.aten.dropout_.default):
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)


def _spell_means_as_poolings(module: fx.GraphModule) -> None:
    for node in list(module.graph.nodes):
        if node.op != "call_function" or node.target is not torch.ops.aten.mean.dim:
            continue
        if node.args[0].meta["val"].dim() != 4 or sorted(axis % 4 for axis in node.args[1]) != [2, 3]:
            continue
        with module.graph.inserting_before(node):
            pooled = module.graph.call_function(torch.ops.aten.adaptive_avg_pool2d.default, (node.args[0], [1, 1]))
            pooled.meta = {**node.meta, "val": node.args[0].meta["val"].mean((2, 3), keepdim=True)}
            result = pooled
            if node.args[2:3] != (True,):
                result = module.graph.call_function(torch.ops.aten.flatten.using_ints, (pooled, 1))
                result.meta = dict(node.meta)
        node.replace_all_uses_with(result)
        module.graph.erase_node(node)


def _turn_poolings_into_convolutions(module: fx.GraphModule) -> None:
    for node in list(module.graph.nodes):
        if node.op != "call_function" or node.target is not torch.ops.aten.avg_pool2d.default:
            continue
        arguments: list[Any] = list(node.args)
        height, width = (arguments[1] * 2)[:2]
        stride = ((arguments[2] if len(arguments) > 2 else []) * 2)[:2] or [height, width]
        if any(value not in ([0, 0], [0], False, True, None) for value in arguments[3:]):
            continue  # Padding or another divisor: no equal weights.
        weight = torch.full((arguments[0].meta["val"].shape[1], 1, height, width), 1 / (height * width))
        # A buffer, not a parameter: a pooling does not learn.
        module.register_buffer(f"{node.name}_weight", weight)
        _replace_by_depthwise(module, node, stride, weight, None)


def _turn_lone_normalisations_into_convolutions(module: fx.GraphModule) -> None:
    convolutions = (torch.ops.aten.conv2d.default, torch.ops.aten.conv2d.padding)
    for node in list(module.graph.nodes):
        if node.op != "call_function" or node.target is not torch.ops.aten.batch_norm.default:
            continue
        source: Any = node.args[0]
        if source.target in convolutions and len(source.users) == 1:
            continue  # The quantizer folds this one into its convolution.
        if node.meta["val"].dim() == 4:
            _replace_normalisation(module, node)


def _replace_normalisation(module: fx.GraphModule, node: fx.Node) -> None:
    arguments: tuple[Any, ...] = node.args
    weight, bias, mean, variance = (attribute(module, argument.target) for argument in arguments[1:5])
    slope = weight / torch.sqrt(variance + arguments[7])
    values = slope.view(-1, 1, 1, 1), bias - mean * slope
    for kind, value in zip(("weight", "bias"), values, strict=True):
        module.register_parameter(f"{node.name}_{kind}", nn.Parameter(value.detach().clone(), requires_grad=False))
    _replace_by_depthwise(module, node, [1, 1], *values)


def _replace_by_depthwise(
    module: fx.GraphModule, node: fx.Node, stride: list[int], weight: Tensor, bias: Tensor | None
) -> None:
    """Put a depthwise convolution in a node's place; its tensors are registered as `NODE_weight` and `NODE_bias`."""
    with module.graph.inserting_before(node):
        constants: list[fx.Node | None] = []
        for kind, value in (("weight", weight), ("bias", bias)):
            if value is None:
                constants.append(None)
                continue
            constant = module.graph.get_attr(f"{node.name}_{kind}")
            constant.meta["val"] = node.meta["val"].fake_mode.from_tensor(value.detach())
            constants.append(constant)
        values = (node.args[0], *constants, stride, [0, 0], [1, 1], len(weight))
        replacement = module.graph.call_function(torch.ops.aten.conv2d.default, values)
    replacement.meta = dict(node.meta)
    node.replace_all_uses_with(replacement)
    module.graph.erase_node(node)
    module.graph.eliminate_dead_code()


def attribute(module: nn.Module, name: str) -> Tensor:
    """Fetch a module's tensor by its dotted name, detached."""
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    tensor: Tensor = value
    return tensor.detach()
