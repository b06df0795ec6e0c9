"""Whether a program matches its float graph, layer by layer, up to rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import torch
from torch import Tensor, fx

from edgerift.adapt._nodes import LAYERS, arguments_of, attribute, place_of
from edgerift.adapt._same import is_same, largest
from edgerift.deploy import Program, operator_name
from edgerift.errors import QuantizationError

_Q: Final = "quantized_decomposed"
_QUANTIZE: Final = f"{_Q}.quantize_per_tensor.default"
_DEQUANTIZE: Final = f"{_Q}.dequantize_per_tensor.default"
_DEQUANTIZE_CHANNELS: Final = f"{_Q}.dequantize_per_channel.default"
#: Half a level, plus a margin for float32.
_HALF: Final = 0.501
#: How many levels of the whole range a grid may lose at its ends, root mean square. A calibration that cuts an outlier
#: loses less than one over all its images; an outlier among the few images compared here weighs more.
_CUT: Final = 8


def require_explained(graph: fx.GraphModule, program: Program, images: Tensor, layers: Mapping[str, str]) -> None:
    """Check that a program deviates from its float graph by rounding alone.

    Each operator of the program, on the program's own inputs, has to give the result of the float operator with the
    float weights, up to an error of half a level in each weight; each grid has to cover the values that the float graph
    computes there. `images` is float32 `[N,C,H,W]`, seen in the calibration; `layers` names nodes after the
    model's layers. Raises :class:`~edgerift.errors.QuantizationError` with the name of the first layer that fails.
    """
    module = program.module()
    called = [node for node in module.graph.nodes if node.op == "call_function"]
    twins = {operation.name: node for operation, node in zip(program.operations, called, strict=True)}
    comparison = _Comparison(graph, module, twins, _values(graph, images), _values(module, images), layers)
    for node in graph.graph.nodes:
        if node.op == "call_function" and node.name in twins:
            comparison.check(node)


def _values(module: fx.GraphModule, images: Tensor) -> dict[fx.Node, Any]:
    interpreter = fx.Interpreter(module, garbage_collect_values=False)
    with torch.no_grad():
        interpreter.run(images)
    return interpreter.env


@dataclass(frozen=True)
class _Comparison:
    """A float graph and its program, whose nodes `twins` finds by name, with the values of all nodes of both."""

    graph: fx.GraphModule
    module: fx.GraphModule
    twins: Mapping[str, fx.Node]
    wanted: Mapping[fx.Node, Any]
    found: Mapping[fx.Node, Any]
    layers: Mapping[str, str]

    def check(self, node: fx.Node) -> None:
        """Compare one operator and the grids of its result."""
        twin = self.twins[node.name]
        if node.target is not twin.target:
            self._fail(node, f"became '{operator_name(twin.target)}'")
        inputs = self._inputs(node, node.args, twin.args)
        with torch.no_grad():
            expected = _call(node, inputs)
            slack = self._slack(node, twin, inputs)
        if isinstance(expected, Tensor) and not is_same(expected, self.found[twin], slack):
            moved = largest(expected - self.found[twin]) if expected.shape == self.found[twin].shape else float("inf")
            self._fail(node, f"computes values that are off by up to {moved:.3g}, more than rounding explains")
        if isinstance(expected, Tensor):
            self._require_finite(node, twin)
        for quantize in twin.users:
            if operator_name(quantize.target) == _QUANTIZE and not _holds(quantize, self.wanted[node]):
                self._fail(
                    node, f"writes on a grid that does not cover values of up to {largest(self.wanted[node]):.3g}"
                )

    def _require_finite(self, node: fx.Node, twin: fx.Node) -> None:
        """Refuse NaN and infinity that only rounded values lead to, as where a divisor rounds to zero."""
        if bool(torch.isfinite(self.wanted[node]).all()) and not bool(torch.isfinite(self.found[twin]).all()):
            raise QuantizationError(
                f"the program computes NaN or infinity at operator '{operator_name(node.target)}' ({place_of(node)}), "
                "since a value that it divides by rounds to zero; write that layer without the division, or add a "
                "larger constant to the divisor"
            )

    def _inputs(self, node: fx.Node, arguments: Any, others: Any) -> list[Any]:
        """Take the program's own inputs of an operator, and the float graph's weights and numbers."""
        if len(arguments) != len(others):
            self._fail(node, "has other arguments")
        found = []
        for argument, other in zip(arguments, others, strict=True):
            if isinstance(argument, (list, tuple)):
                found.append(self._inputs(node, argument, other))
            elif isinstance(other, fx.Node):
                found.append(self._input(node, argument, other))
            else:
                found.append(argument)
        return found

    def _input(self, node: fx.Node, argument: Any, other: fx.Node) -> Any:
        value = self.found[other]
        if isinstance(argument, fx.Node) and argument.op == "call_function":
            if argument.name in self.twins and self.twins[argument.name] is not _origin(other):
                self._fail(node, f"reads '{_origin(other).name}' in place of '{argument.name}'")
            return value
        if isinstance(argument, fx.Node) and argument.op != "get_attr":
            return value
        wanted = attribute(self.graph, str(argument.target)) if isinstance(argument, fx.Node) else argument
        real = torch.as_tensor(wanted, dtype=value.dtype)
        if not self._is_rounded(other, real, value):
            self._fail(node, "holds numbers that differ from the model's by more than half a level")
        return real.expand_as(value) if operator_name(other.target) == _DEQUANTIZE_CHANNELS else value

    def _is_rounded(self, other: fx.Node, real: Tensor, value: Tensor) -> bool:
        name = operator_name(other.target)
        if name == _DEQUANTIZE:
            lost = (real - value).float().square().mean().sqrt()
            return bool(lost <= _bound(other, real))
        return is_same(real.expand_as(value), value, _HALF * self._steps(other, value))

    def _steps(self, other: fx.Node, value: Tensor) -> Tensor | float:
        """The step between neighbouring levels of a stored tensor, 0 if it is not rounded."""
        if operator_name(other.target) != _DEQUANTIZE_CHANNELS:
            return 0.0
        values = arguments_of(other)
        scales: Tensor = self.found[values["scales"]]
        shape = [1] * value.dim()
        shape[values["axis"]] = -1
        return scales.float().view(shape).expand_as(value)

    def _slack(self, node: fx.Node, twin: fx.Node, inputs: list[Any]) -> Tensor | float:
        """The largest change of a layer's results from half a level in each weight."""
        if node.target not in LAYERS:
            return 0.0
        steps = self._steps(arguments_of(twin)["weight"], inputs[1])
        if not isinstance(steps, Tensor):
            return 0.0
        moved: Tensor = _call(node, [inputs[0].abs(), _HALF * steps, None, *inputs[3:]])
        return moved

    def _fail(self, node: fx.Node, what: str) -> NoReturn:
        name = self.layers.get(node.name, node.name)
        raise QuantizationError(
            f"the program deviates from its original at layer '{name}' ({operator_name(node.target)}), which {what}; "
            "write that layer with other operators, or try the other target"
        )


def _call(node: fx.Node, inputs: list[Any]) -> Any:
    target: Any = node.target
    return target(*inputs, **node.kwargs)


def _origin(node: fx.Node) -> fx.Node:
    """The operator whose result a node hands on, rounded or not."""
    while node.op == "call_function" and operator_name(node.target) in (_QUANTIZE, _DEQUANTIZE):
        node = arguments_of(node)["input"]
    return node


def _holds(quantize: fx.Node, values: Tensor) -> bool:
    """Return whether a grid rounds values without clipping more of them than a calibration does."""
    grid = arguments_of(quantize)
    scale, zero = grid["scale"], grid["zero_point"]
    levels = (values / scale + zero).round().clamp(grid["quant_min"], grid["quant_max"])
    lost = ((levels - zero) * scale - values).float().square().mean().sqrt()
    return bool(lost <= _bound(quantize, values))


def _bound(node: fx.Node, values: Tensor) -> float:
    grid = arguments_of(node)
    extent = max(float(values.max()), 0.0) - min(float(values.min()), 0.0)
    bound: float = _HALF * grid["scale"] + _CUT * extent / (grid["quant_max"] - grid["quant_min"])
    return bound
