"""The converted graph as ONNX Runtime wants it, so that its integer kernels run with default session options.

On x86 those kernels take uint8 activations, int8 weights and int32 biases, and fuse no activation whose bound is not
the end of the grid. Every rewrite here keeps the values: a shift of the zero point, a bias on the grid of its sums, a
clamp of whole numbers in place of a clamp of real ones.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, fx

from edgerift.deploy.program._grid import grid_of, is_dequantize, is_quantize, quantize_arguments, stored
from edgerift.deploy.program._layers import is_global_average, is_layer, real_bias, regions_of, sum_scales, whole_bias
from edgerift.deploy.program._operators import AVERAGE, MEAN, operator_name
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._regions import Region, activation_levels, is_activation
from edgerift.deploy.program._separation import separate_grids
from edgerift.deploy.program._spelling import runtime_form, shape_of
from edgerift.deploy.twins._straight_through import clipped
from edgerift.errors import BuildError

#: The ONNX version of the exported operators; every supported ONNX Runtime knows it.
OPSET: Final = 20

_CONVOLUTION: Final = "aten.conv2d.default"
_LINEAR: Final = "aten.linear.default"
_ELU: Final = "aten.elu.default"
_AVERAGE_LINE: Final = "aten.avg_pool1d.default"
_LARGEST_SUM: Final = 2.0**31
#: Stride, padding, `ceil_mode`, `count_include_pad` and `divisor_override` of an average, with the kernel before them.
_POOLING: Final[tuple[Any, ...]] = (None, [], [0, 0], False, True, None)
#: int8 level -128 becomes uint8 level 0.
_SHIFT: Final = 128


def runtime_graph(program: Program) -> fx.GraphModule:
    """Rewrite a program for export to ONNX; the module computes what the program computes, but for rounded biases.

    Raises :class:`~edgerift.errors.BuildError` when a layer's bias does not fit in int32.
    """
    module: Any = onnx_form(program)
    module = module.to(memory_format=torch.contiguous_format)
    separate_grids(module, also_plain=True)
    regions = regions_of(module.graph)
    for node in list(module.graph.nodes):
        if is_layer(node):
            region = next((region for region in regions.values() if region.operator is node), None)
            _place_layer(module, node, rounded=region is not None)
            if region is not None:
                _place_vectors(module.graph, region)
        elif is_quantize(node):
            _place_average(module.graph, regions.get(node))
            _place_bounds(module.graph, node)
    for node in module.graph.nodes:
        if is_quantize(node) or is_dequantize(node):
            _make_unsigned(module, node)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    rewritten: fx.GraphModule = module
    return rewritten


def onnx_form(program: Program) -> fx.GraphModule:
    """Build a program's graph as the runtime reads it, without poolings and factors that ONNX cannot express.

    Raises :class:`~edgerift.errors.BuildError` for arguments that the exporter would drop.
    """
    module = runtime_form(program)
    for node in list(module.graph.nodes):
        name = operator_name(node.target) if node.op == "call_function" else ""
        if name == AVERAGE:
            _place_windows(module, node)
        elif name == _ELU:
            _place_factors(node)
        elif name == _AVERAGE_LINE and node.args[4:5] == (True,):
            raise BuildError(f"ONNX counts differently with 'ceil_mode' of {name} (node '{node.name}'); leave it out")
    return module


def zero_level(node: fx.Node) -> int:
    """The zero point of a quantize or dequantize node after its shift to uint8, in [0, 255]."""
    values = quantize_arguments(node)
    return int(values["zero_point"]) + (_SHIFT if values["dtype"] == torch.int8 else 0)


def _place_layer(module: fx.GraphModule, layer: fx.Node, *, rounded: bool) -> None:
    if not rounded and operator_name(layer.target) == _CONVOLUTION:
        _split_convolution(module, layer)
        return
    bias = whole_bias(module, layer)
    if bias is None:
        return
    if bias.abs().max() >= _LARGEST_SUM:
        raise BuildError(
            f"the bias of '{layer.name}' does not fit in int32 on the grid of its sums: a channel's weights are too "
            "small; adapt again, or prune that channel"
        )
    constants = [bias.to(torch.int32), sum_scales(module, layer), torch.zeros(len(bias), dtype=torch.int32)]
    with module.graph.inserting_before(layer):
        nodes = [_constant(module, f"{layer.name}_{index}", value) for index, value in enumerate(constants)]
        limits = torch.iinfo(torch.int32)
        dequantize: Any = torch.ops.quantized_decomposed.dequantize_per_channel.default
        on_grid = module.graph.call_function(dequantize, (*nodes, 0, limits.min, limits.max, torch.int32))
    layer.args = (*layer.args[:2], on_grid, *layer.args[3:])


def _place_vectors(graph: fx.Graph, region: Region) -> None:
    """Give a linear layer of maps its values as a list of vectors: only then its bias is part of the integer kernel."""
    layer, shape = region.operator, list(shape_of(region.operator))
    if operator_name(layer.target) != _LINEAR or len(shape) < 3:
        return
    dequantize: Any = layer.args[0]
    reshape = torch.ops.aten.reshape.default
    with graph.inserting_before(layer):
        flat = graph.call_function(reshape, (dequantize.args[0], [-1, shape_of(dequantize)[-1]]))
        values = graph.call_function(dequantize.target, (flat, *dequantize.args[1:]), dict(dequantize.kwargs))
    layer.update_arg(0, values)
    with graph.inserting_after(region.quantize):
        result = graph.call_function(reshape, (region.quantize, [-1, *shape[1:]]))
    _replace_later_uses(region.quantize, result)


def _split_convolution(module: fx.GraphModule, layer: fx.Node) -> None:
    """Write a convolution whose result is not rounded as an integer one, a multiplication and an addition in float.

    ONNX Runtime has an integer kernel for it only in this form.
    """
    source: Any = layer.args[0]
    weight: Any = layer.args[1]
    bias = real_bias(module, layer)
    factor = sum_scales(module, layer).view(1, -1, 1, 1)
    with module.graph.inserting_before(layer):
        zero = _constant(module, f"{layer.name}_zero", torch.tensor(zero_level(source), dtype=torch.uint8))
        arguments = (source.args[0], weight.args[0], zero, *layer.args[3:])
        sums = module.graph.call_function(_integer_convolution, arguments)
        real = module.graph.call_method("to", (sums, torch.float32))
        real = module.graph.call_function(torch.mul, (real, _constant(module, f"{layer.name}_factor", factor)))
        if bias is not None:
            column = _constant(module, f"{layer.name}_bias", bias.view(1, -1, 1, 1))
            real = module.graph.call_function(torch.add, (real, column))
    layer.replace_all_uses_with(real)


def _integer_convolution(
    levels: Tensor,
    weight: Tensor,
    zero: Tensor,
    stride: list[int] | None = None,
    padding: list[int] | None = None,
    dilation: list[int] | None = None,
    groups: int = 1,
) -> Tensor:
    stride, padding, dilation = stride or [1, 1], padding or [0, 0], dilation or [1, 1]
    extent = [
        (levels.shape[2 + axis] + 2 * padding[axis] - dilation[axis] * (weight.shape[2 + axis] - 1) - 1) // stride[axis]
        + 1
        for axis in (0, 1)
    ]
    attributes: dict[str, Any] = {"strides": stride, "pads": padding * 2, "dilations": dilation, "group": groups}
    return torch.onnx.ops.symbolic(
        "ConvInteger",
        (levels, weight, zero),
        attributes,
        dtype=torch.int32,
        shape=(levels.shape[0], weight.shape[0], *extent),
        version=OPSET,
    )


def _place_average(graph: fx.Graph, region: Region | None) -> None:
    """Spell a mean over height and width as the pooling that has an integer kernel, and flatten whole numbers."""
    if region is None or not is_global_average(region.operator):
        return
    operator = region.operator
    with graph.inserting_before(operator):
        pooled = graph.call_function(_global_average, (operator.args[0],))
    operator.replace_all_uses_with(pooled)
    if region.name == MEAN and operator.args[2:] != (True,):
        with graph.inserting_after(region.quantize):
            flat = graph.call_function(torch.flatten, (region.quantize, 1))
        _replace_later_uses(region.quantize, flat)


def _global_average(values: Tensor) -> Tensor:
    shape = (values.shape[0], values.shape[1], 1, 1)
    return torch.onnx.ops.symbolic("GlobalAveragePool", (values,), dtype=values.dtype, shape=shape, version=OPSET)


def _place_bounds(graph: fx.Graph, quantize: fx.Node) -> None:
    """Drop an activation that the grid's ends stand for; clamp levels where they do not."""
    grid = grid_of(quantize)
    source = quantize_arguments(quantize)["input"]
    bounds: tuple[int | None, int | None] = (None, None)
    if is_activation(source) and len(source.users) == 1:
        bounds = activation_levels(source, grid)
        quantize.args = (source.args[0], *quantize.args[1:])
    low, high = (level + zero_level(quantize) for level in clipped(grid, *bounds))
    if (low, high) == (0, 255):
        return
    with graph.inserting_after(quantize):
        clamped = graph.call_function(torch.clamp, (quantize, low, high))
    _replace_later_uses(quantize, clamped)


def _replace_later_uses(node: fx.Node, replacement: fx.Node) -> None:
    node.replace_all_uses_with(replacement, delete_user_cb=lambda user: user is not replacement)


def _make_unsigned(module: fx.GraphModule, node: fx.Node) -> None:
    values = quantize_arguments(node)
    if values["dtype"] != torch.int8:
        return
    source = values["input"]
    if is_dequantize(node) and source.op == "get_attr":
        shifted = (stored(module, source).to(torch.int16) + _SHIFT).to(torch.uint8)
        with module.graph.inserting_before(node):
            source = _constant(module, f"{node.name}_levels", shifted)
    node.args = (source, values["scale"], zero_level(node), 0, 255, torch.uint8)
    node.kwargs = {key: value for key, value in node.kwargs.items() if key not in values}


def _place_windows(module: fx.GraphModule, node: fx.Node) -> None:
    """Write an average that is divided by another number than ONNX divides by as one over full windows, and a factor.

    ONNX has no `divisor_override`, and counts what lies beyond the padding in `ceil_mode`. Zeros are put around the
    image as far as the windows reach, all of them are divided by their whole area, and a constant corrects that.
    """
    given: list[Any] = [*node.args[1:], *_POOLING[len(node.args) - 1 :]]
    kernel, stride, padding, ceil, counted, divisor = given
    if divisor is None and not (ceil and counted):
        return
    source: Any = node.args[0]
    steps, lengths, windows = list(stride or kernel), shape_of(source)[-2:], shape_of(node)[-2:]
    below, right = (
        max(0, (windows[axis] - 1) * steps[axis] + kernel[axis] - lengths[axis] - padding[axis]) for axis in (0, 1)
    )
    around = [padding[1], right, padding[0], below]
    ones = torch.ones(1, 1, *lengths)
    wanted = torch.ops.aten.avg_pool2d.default(ones, *given)
    found = torch.ops.aten.avg_pool2d.default(torch.ops.aten.constant_pad_nd.default(ones, around, 0.0), kernel, steps)
    with module.graph.inserting_before(node):
        padded = module.graph.call_function(torch.ops.aten.constant_pad_nd.default, (source, around, 0.0))
        pooled = module.graph.call_function(torch.ops.aten.avg_pool2d.default, (padded, kernel, steps))
        factor = _constant(module, f"{node.name}_factor", wanted / found)
        result = module.graph.call_function(torch.ops.aten.mul.Tensor, (pooled, factor))
    for part, like in ((padded, source), (pooled, node), (result, node)):
        part.meta = dict(like.meta)
    node.replace_all_uses_with(result)
    module.graph.erase_node(node)


def _place_factors(node: fx.Node) -> None:
    """Write an ELU's factors as operations: `scale` behind it, and all of it where its exponent has a factor.

    `elu(x) = scale * (relu(x) + alpha * (exp(input_scale * min(x, 0)) - 1))`. ONNX has no factors, and the exporter
    multiplies positive values by `input_scale` too.
    """
    source: Any = node.args[0]
    given: list[Any] = list(node.args[1:])
    alpha, scale, input_scale = given + [1.0] * (3 - len(given))
    if (scale, input_scale) == (1.0, 1.0):
        node.args = (source, alpha)
        return
    aten = torch.ops.aten

    def call(function: Any, *arguments: Any) -> fx.Node:
        made = node.graph.call_function(function, arguments)
        made.meta = dict(node.meta)
        return made

    with node.graph.inserting_before(node):
        if input_scale == 1.0:
            value = call(aten.elu.default, source, alpha)
        else:
            exponent = call(aten.mul.Tensor, call(aten.hardtanh.default, source, float("-inf"), 0.0), input_scale)
            below = call(aten.mul.Tensor, call(aten.sub.Tensor, call(aten.exp.default, exponent), 1.0), alpha)
            value = call(aten.add.Tensor, call(aten.relu.default, source), below)
        value = value if scale == 1.0 else call(aten.mul.Tensor, value, scale)
    node.replace_all_uses_with(value)
    node.graph.erase_node(node)


def _constant(module: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    module.register_buffer(name, value)
    return module.graph.get_attr(name)
