"""Convolutions of one channel, of whose result Inductor mistakes the memory layout."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import fx

from edgerift.deploy.program._grid import is_dequantize, stored
from edgerift.deploy.program._operators import operator_name

_CONVOLUTION: Final = "aten.conv2d.default"


def widen_single_channels(module: fx.GraphModule) -> None:
    """Give quantized convolutions of one channel a second channel, whose weights are zero.

    One channel looks alike in both memory layouts. Inductor takes the one for the other then, and reads what oneDNN's
    kernel writes in the wrong order.
    """
    for node in list(module.graph.nodes):
        if node.op != "call_function" or operator_name(node.target) != _CONVOLUTION:
            continue
        if is_dequantize(node.args[0]) and _reads_one_channel(module, node):
            _widen(module, node)
    module.graph.eliminate_dead_code()
    module.recompile()


def _reads_one_channel(module: fx.GraphModule, node: fx.Node) -> bool:
    weight: Any = node.args[1]
    if weight.op == "get_attr" or weight.all_input_nodes[0].op != "get_attr":
        return False
    return stored(module, weight.all_input_nodes[0]).shape[1] == 1 and node.args[6:7] in ((), (1,))


def _widen(module: fx.GraphModule, node: fx.Node) -> None:
    dequantize: Any = node.args[0]
    weight: Any = node.args[1]
    quantize, kernel = dequantize.args[0], stored(module, weight.all_input_nodes[0])
    name = f"{node.name}_widened"
    module.register_buffer(name, torch.cat([kernel, torch.zeros_like(kernel)], 1))
    with module.graph.inserting_before(node):
        source = module.graph.call_function(torch.ops.aten.cat.default, ([quantize.args[0]] * 2, 1))
        rounded = module.graph.call_function(quantize.target, (source, *quantize.args[1:]), dict(quantize.kwargs))
        inputs = module.graph.call_function(dequantize.target, (rounded, *dequantize.args[1:]), dict(dequantize.kwargs))
        wide = module.graph.get_attr(name)
        weights = module.graph.call_function(weight.target, (wide, *weight.args[1:]), dict(weight.kwargs))
    node.update_arg(0, inputs)
    node.update_arg(1, weights)
