"""From a float model to a graph that a quantizer understands: exported, in inference form, with a free batch size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from edgerift.adapt._final_softmax import leave_out_final_softmax
from edgerift.deploy import Target, quiet
from edgerift.errors import ModelError
from edgerift.zoo import Classifier

_DROPOUTS = (torch.ops.aten.dropout.default, torch.ops.aten.dropout_.default)
_LAYERS = (
    torch.ops.aten.conv1d.default,
    torch.ops.aten.conv2d.default,
    torch.ops.aten.conv2d.padding,
    torch.ops.aten.linear.default,
)
#: The arguments of a convolution that may be left out stand from the third on.
_CONVOLUTION: tuple[Any, ...] = (None, None, None, [1, 1], "valid", [1, 1], 1)


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
        raise ModelError(f"model '{_name(model)}' cannot be exported: {_reason(error)}") from error
    leave_out_final_softmax(graph)
    _leave_no_writes(graph)
    _untie_layers(graph)
    _spell_paddings_as_numbers(graph)
    _spell_means_as_poolings(graph)
    if target == "mobile" and not training:
        _turn_poolings_into_convolutions(graph)
    if not training:
        _turn_lone_normalisations_into_convolutions(graph)
    graph.recompile()
    return graph  # type: ignore[no-any-return]


def _name(model: nn.Module) -> str:
    return model.architecture.name if isinstance(model, Classifier) else type(model).__name__


def _reason(error: Exception) -> str:
    first_line = str(error).strip().split("\n")[0]
    if first_line.startswith("Constraints violated (batch)"):
        return "its code fixes the batch size; write images.shape[0] where it says len(images) or a number"
    return f"{first_line}; torch.export must be able to trace it: no branch on the values of the images"


def _leave_no_writes(module: fx.GraphModule) -> None:
    for node in list(module.graph.nodes):
        if node.op != "call_function":
            continue
        if node.target in _DROPOUTS:
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
        elif isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
            packet = getattr(torch.ops.aten, node.target._schema.name.removeprefix("aten::").removesuffix("_"), None)
            if packet is not None and node.target._overloadname in packet.overloads() and not _is_seen(node):
                node.target = getattr(packet, node.target._overloadname)


def _is_seen(write: fx.Node) -> bool:
    """Tell whether something reads what a node wrote in place otherwise than through the node's own result."""
    value: Any = write.args[0]
    through = write
    while True:
        for user in value.users:
            if user is not through and (user > write or _is_view(user)):
                return True
        if not _is_view(value):
            return bool(value.op == "get_attr")
        value, through = value.args[0], value


def _is_view(node: fx.Node) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    return any(value.alias_info is not None and not value.alias_info.is_write for value in node.target._schema.returns)


def _untie_layers(module: fx.GraphModule) -> None:
    """Give each use of a layer weights of its own, since folding a normalisation into one use would change the others.

    The copies for the node NODE are named `NODE_weight` and `NODE_bias`.
    """
    taken: set[str] = set()
    for node in module.graph.nodes:
        if node.op != "call_function" or node.target not in _LAYERS:
            continue
        for position, kind in ((1, "weight"), (2, "bias")):
            source: Any = node.args[position] if len(node.args) > position else None
            if source is None or source.op != "get_attr":
                continue
            if source.target in taken:
                value, name = attribute(module, source.target), f"{node.name}_{kind}"
                module.register_parameter(name, nn.Parameter(value.clone()))
                with module.graph.inserting_before(node):
                    constant = module.graph.get_attr(name)
                constant.meta = dict(source.meta)
                node.update_arg(position, constant)
            taken.add(source.target)


def _spell_paddings_as_numbers(module: fx.GraphModule) -> None:
    """Give convolutions with `padding="same"` or `"valid"` their number of pixels, where both sides get as many."""
    for node in module.graph.nodes:
        if node.op != "call_function" or node.target is not torch.ops.aten.conv2d.padding:
            continue
        given: tuple[Any, ...] = node.args
        source, weight, bias, stride, padding, dilation, groups = given + _CONVOLUTION[len(given) :]
        reach = [(extent - 1) * step for extent, step in zip(weight.meta["val"].shape[2:], dilation, strict=True)]
        if padding == "valid":
            reach = [0, 0]
        if all(pixels % 2 == 0 for pixels in reach):
            node.target = torch.ops.aten.conv2d.default
            node.args = (source, weight, bias, stride, [pixels // 2 for pixels in reach], dilation, groups)


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
    weight, bias, mean, variance = (
        None if argument is None else attribute(module, argument.target) for argument in arguments[1:5]
    )
    if mean is None or variance is None:
        return  # It has no running figures; the check of the converted graph names it.
    slope = (torch.ones_like(mean) if weight is None else weight) / torch.sqrt(variance + arguments[7])
    values = slope.view(-1, 1, 1, 1), (0 if bias is None else bias) - mean * slope
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
    # X86InductorQuantizer finds convolutions by the function that a node came from.
    replacement.meta = {**node.meta, "source_fn_stack": [(replacement.name, torch.nn.functional.conv2d)]}
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
