"""What every rewrite of an exported graph needs: a node's arguments by name, its tensors, new nodes in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, fx, nn

#: The layers whose weights are stored, which the quantizers turn into integer ones.
LAYERS: Final = (
    torch.ops.aten.conv1d.default,
    torch.ops.aten.conv2d.default,
    torch.ops.aten.conv2d.padding,
    torch.ops.aten.linear.default,
)


def arguments_of(node: fx.Node) -> dict[str, Any]:
    """Read all arguments of an operator by name, in its order, including omitted ones."""
    target: Any = node.target
    schema = target._schema.arguments
    given = {argument.name: value for argument, value in zip(schema, node.args, strict=False)} | node.kwargs
    return {argument.name: given.get(argument.name, argument.default_value) for argument in schema}


def calls(module: fx.GraphModule, *targets: Callable[..., Any]) -> list[fx.Node]:
    """List the nodes that call one of some operators, in the graph's order."""
    return [node for node in module.graph.nodes if node.op == "call_function" and node.target in targets]


def place_of(node: fx.Node) -> str:
    """Say where an operator stands: its node, and the layer of the user's model that calls it, if it is inside one."""
    stack = node.meta.get("nn_module_stack") or {}
    layer = next((path for path, _ in reversed(stack.values()) if path), "")
    return f"node '{node.name}' in layer '{layer}'" if layer else f"node '{node.name}'"


def attribute(module: nn.Module, name: str) -> Tensor:
    """Fetch a module's tensor by its dotted name, detached."""
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    tensor: Tensor = value
    return tensor.detach()


def set_attribute(module: nn.Module, name: str, value: Tensor) -> None:
    """Put a parameter that takes no gradient in the place of a module's tensor, by its dotted name."""
    owner, _, last = name.rpartition(".")
    holder = module.get_submodule(owner)
    delattr(holder, last)
    holder.register_parameter(last, nn.Parameter(value.detach().clone(), requires_grad=False))


def constant(module: fx.GraphModule, name: str, like: fx.Node) -> fx.Node:
    """Fetch a stored tensor where the graph inserts now; `like` is a node that was traced with the model."""
    node = module.graph.get_attr(name)
    node.meta["val"] = like.meta["val"].fake_mode.from_tensor(attribute(module, name))
    return node


def call(module: fx.GraphModule, target: Any, arguments: tuple[Any, ...], function: Any, like: fx.Node) -> fx.Node:
    """Append an operator where the graph inserts now, as if the model had called `function` where `like` stands.

    X86InductorQuantizer finds operators by the function that a node came from.
    """
    node = module.graph.call_function(target, arguments)
    values = fx.map_arg(arguments, lambda argument: argument.meta["val"])
    node.meta = {**like.meta, "val": target(*values), "source_fn_stack": [(node.name, function)]}
    return node


def replace(module: fx.GraphModule, node: fx.Node, replacement: Any) -> None:
    """Redirect all readers of a node to another one, and remove the node."""
    node.replace_all_uses_with(replacement, delete_user_cb=lambda user: user is not replacement)
    module.graph.erase_node(node)


def replace_by_depthwise(
    module: fx.GraphModule, node: fx.Node, stride: list[int], weight: Tensor, bias: Tensor | None
) -> None:
    """Put a depthwise convolution in a node's place; its tensors are registered as `NODE_weight` and `NODE_bias`."""
    with module.graph.inserting_before(node):
        constants = [
            None if value is None else constant(module, f"{node.name}_{kind}", node)
            for kind, value in (("weight", weight), ("bias", bias))
        ]
        values = (node.args[0], *constants, stride, [0, 0], [1, 1], len(weight))
        layer = call(module, torch.ops.aten.conv2d.default, values, torch.nn.functional.conv2d, node)
    replace(module, node, layer)
    module.graph.eliminate_dead_code()
