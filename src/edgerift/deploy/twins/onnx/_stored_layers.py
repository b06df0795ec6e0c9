"""The layers of an ONNX file as it stores them: behind dequantize nodes, or inside of integer operators."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor

from edgerift.deploy.program._stored_layers import StoredLayer, along, kind_ends, step_of
from edgerift.deploy.twins.onnx._files import model_of
from edgerift.deploy.twins.onnx._graph import OnnxGraph, OnnxNode, read_graph

#: Operators whose sums a scale follows: where they keep the weight and its zero point.
_SUMS: Final = {"ConvInteger": (1, 3), "MatMulInteger": (1, 3), "DynamicQuantizeMatMul": (1, 3)}
_MICROSOFT: Final = "com.microsoft."
_REAL: Final = ("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")
#: Where integer operators keep the input's scale, the weight, its scale and zero point, and the bias.
_INTEGER: Final = {
    "QLinearConv": (1, 3, 4, 5, 8),
    "QGemm": (1, 3, 4, 5, 6),
    "QLinearMatMul": (1, 3, 4, 5, None),
}
#: What moves values and does not change them.
_KEEPING: Final = ("Reshape", "Flatten", "Transpose", "Squeeze", "Identity")


class _Codes(NamedTuple):
    """A stored tensor, and how it is quantized, if it is."""

    codes: Tensor
    scale: Tensor | None
    zero_point: Tensor | None

    def turned(self) -> _Codes:
        """The transposed matrix."""
        return _Codes(*(None if part is None else part.T for part in self))  # type: ignore[arg-type]


class _Behind(NamedTuple):
    """What follows the sums of a layer: its weight's scale, its input's if that is constant, and its bias."""

    scale: Tensor | None = None
    given: float | None = None
    bias: _Codes | None = None


def onnx_layers(content: bytes) -> tuple[StoredLayer, ...]:
    """Read the convolutions and linear layers of a file whose weights are constants, in its order.

    Raises :class:`~edgerift.errors.BuildError` for a file that cannot be read.
    """
    reader = _Reader(read_graph(model_of(content)))
    return tuple(found for node in reader.graph.nodes if (found := reader.layer(node)) is not None)


@final
class _Reader:
    """A graph, and which node computes which name."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self._makers = {name: node for node in graph.nodes for name in node.outputs}
        self._readers: dict[str, list[OnnxNode]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def layer(self, node: OnnxNode) -> StoredLayer | None:
        operator = node.operator.removeprefix(_MICROSOFT)
        if operator in _INTEGER:
            return self._of_integers(node, operator)
        if operator in _SUMS:
            return self._of_sums(node, operator)
        if operator not in _REAL or len(node.inputs) < 2:
            return None
        weight = self.codes(node.inputs[1])
        if weight is None:
            return None
        turned = operator.endswith("MatMul") or ("Gemm" in operator and not node.attributes.get("transB", 0))
        scale = self._input_scale(node.inputs[0])
        weight = weight.turned() if turned else weight
        bias = self.codes(node.inputs[2]) if node.has(2) else self._added(node, weight.codes)
        return _layer(self._name(node), *self._folded(node, weight, bias), scale)

    def _folded(self, node: OnnxNode, weight: _Codes, bias: _Codes | None) -> tuple[_Codes, _Codes | None]:
        """Fold the batch normalisation that alone reads a float layer into it."""
        readers = self._readers.get(node.outputs[0], [])
        if weight.scale is not None or len(readers) != 1 or readers[0].operator != "BatchNormalization":
            return weight, bias
        figures = [self._constant(name) for name in readers[0].inputs[1:5]]
        if len(figures) != 4 or any(figure is None for figure in figures):
            return weight, bias
        gain, shift, mean, variance = (figure.double() for figure in figures if figure is not None)
        slope = gain / (variance + float(readers[0].attributes.get("epsilon", 1e-5))).sqrt()
        before = torch.zeros_like(mean) if bias is None else bias.codes.double()
        folded = weight.codes.double() * along(slope, 0, weight.codes.dim())
        return _Codes(folded, None, None), _Codes(shift + (before - mean) * slope, None, None)

    def _of_integers(self, node: OnnxNode, operator: str) -> StoredLayer | None:
        source, weight, scale, zero, bias = _INTEGER[operator]
        codes, scales = self._constant(node.inputs[weight]), self._constant(node.inputs[scale])
        given = self._constant(node.inputs[source])
        if codes is None or scales is None or given is None:
            return None
        is_matrix = operator != "QLinearConv" and not node.attributes.get("transB", 0)
        points = self._constant(node.inputs[zero]) if node.has(zero) else None
        axis = 1 if is_matrix else 0
        found = _quantized(codes, scales, points, axis)
        found = found.turned() if is_matrix else found
        whole = self._constant(node.inputs[bias]) if bias is not None and node.has(bias) else None
        if whole is not None:
            assert found.scale is not None
            step = step_of(found.scale, float(given), len(found.codes))
            return _layer(self._name(node), found, _Codes(whole, step, torch.zeros_like(step)), float(given))
        return _layer(self._name(node), found, None, float(given))

    def _of_sums(self, node: OnnxNode, operator: str) -> StoredLayer | None:
        """Read a layer whose input is quantized as the model runs."""
        weight, zero = _SUMS[operator]
        codes = self._constant(node.inputs[weight])
        is_matrix = operator != "ConvInteger"
        of_both = operator != "DynamicQuantizeMatMul"
        if codes is None:
            return None
        by_channel = codes.T if is_matrix else codes
        behind = self._behind(node, by_channel) if of_both else _Behind(self._constant(node.inputs[2]))
        if behind.scale is None:
            return None
        points = self._constant(node.inputs[zero]) if node.has(zero) else None
        found = _quantized(codes, behind.scale, points, 1 if is_matrix else 0)
        return _layer(self._name(node), found.turned() if is_matrix else found, behind.bias, behind.given)

    def _behind(self, node: OnnxNode, codes: Tensor) -> _Behind:
        """Read what multiplies the sums of a layer, constant at least in the weight's part, and what is added."""
        readers = self._readers.get(node.outputs[0], [])
        if len(readers) != 1 or readers[0].operator != "Cast":
            return _Behind()
        for product in self._readers.get(readers[0].outputs[0], []):
            other = next((name for name in product.inputs if name != readers[0].outputs[0]), "")
            maker, factor, given = self._makers.get(other), self._constant(other), self._grid(node.inputs[0])
            if product.operator == "Mul" and factor is not None and given is not None:
                return _Behind((factor.flatten().double() / given).float(), given, self._added(product, codes))
            if product.operator == "Mul" and maker is not None and maker.operator == "Mul":
                found = [one for name in maker.inputs if (one := self._constant(name)) is not None]
                return _Behind(found[0]) if len(found) == 1 else _Behind()
        return _Behind()

    def _grid(self, name: str) -> float | None:
        """The scale of quantized values; operators between them and their quantize node keep it."""
        node = self._makers.get(name)
        while node is not None and node.operator in (*_KEEPING, "MaxPool", "Clip"):
            node = self._makers.get(node.inputs[0])
        if node is None or node.operator.removeprefix(_MICROSOFT) != "QuantizeLinear":
            return None
        scale = self._constant(node.inputs[1])
        return None if scale is None or scale.numel() != 1 else float(scale)

    def codes(self, name: str) -> _Codes | None:
        """Read a constant, through the nodes that quantize, dequantize or transpose it."""
        stored, node = self._constant(name), self._makers.get(name)
        if stored is not None:
            return _Codes(stored, None, None)
        if node is None:
            return None
        operator = node.operator.removeprefix(_MICROSOFT)
        if operator == "Identity":
            return self.codes(node.inputs[0])
        if operator == "Transpose":
            inner = self.codes(node.inputs[0])
            return inner.turned() if inner is not None and inner.codes.dim() == 2 else None
        return self._dequantized(node) if operator == "DequantizeLinear" else None

    def _dequantized(self, node: OnnxNode) -> _Codes | None:
        codes, scale = self._whole(node.inputs[0]), self._constant(node.inputs[1])
        zero = self._constant(node.inputs[2]) if node.has(2) else None
        if codes is None or scale is None or node.attributes.get("block_size", 0):
            return None
        return _quantized(codes, scale, zero, int(node.attributes.get("axis", 1)))

    def _whole(self, name: str) -> Tensor | None:
        """Read stored integers, or those that a node makes of a stored float tensor."""
        stored, node = self._constant(name), self._makers.get(name)
        if stored is not None or node is None:
            return stored
        if node.operator == "Clip":
            return self._clipped(node)
        if not node.operator.endswith("QuantizeLinear") or node.operator.endswith("DequantizeLinear"):
            return None
        value, scale = self._constant(node.inputs[0]), self._constant(node.inputs[1])
        if value is None or scale is None:
            return None
        zero = self._constant(node.inputs[2]) if node.has(2) else torch.zeros(1, dtype=torch.uint8)
        assert zero is not None
        axis, (low, high) = int(node.attributes.get("axis", 1)) % max(value.dim(), 1), kind_ends(zero)
        levels = (value / along(scale, axis, value.dim())).round() + along(zero.float(), axis, value.dim())
        return levels.clamp(low, high).to(zero.dtype)

    def _clipped(self, node: OnnxNode) -> Tensor | None:
        """Clip stored integers, as a file with a narrow range does."""
        value = self._whole(node.inputs[0])
        ends = [self._constant(node.inputs[index]) if node.has(index) else None for index in (1, 2)]
        if value is None:
            return None
        low, high = (None if end is None else int(end) for end in ends)
        return value if low is None and high is None else value.clamp(low, high)

    def _constant(self, name: str) -> Tensor | None:
        stored = self.graph.constants.get(name)
        node = self._makers.get(name)
        if stored is None and node is not None and node.operator == "Constant":
            value: Any = node.attributes.get("value")
            return value if isinstance(value, Tensor) else None
        return stored

    def _input_scale(self, name: str) -> float | None:
        """The scale of what a layer reads; operators between it and its dequantize node keep the grid."""
        node = self._makers.get(name)
        while node is not None and node.operator in _KEEPING:
            node = self._makers.get(node.inputs[0])
        if node is None or not node.operator.endswith("DequantizeLinear"):
            return None
        scale = self._constant(node.inputs[1])
        return None if scale is None or scale.numel() != 1 else float(scale)

    def _added(self, node: OnnxNode, codes: Tensor) -> _Codes | None:
        """The constant that the only reader of a layer's outputs adds to them, a value for each channel of `codes`."""
        readers = self._readers.get(node.outputs[0], [])
        if len(readers) != 1 or readers[0].operator != "Add":
            return None
        found = next((one for name in readers[0].inputs if (one := self.codes(name)) is not None), None)
        return found if found is not None and _is_column(found.codes, codes) else None

    def _name(self, node: OnnxNode) -> str:
        return node.name or node.outputs[0]


def _is_column(added: Tensor, codes: Tensor) -> bool:
    """Say whether a constant has a value for each channel of a layer's outputs, `[N,C,...]`, and for nothing else."""
    place = codes.dim() - 1
    if added.numel() != len(codes) or added.dim() < place:
        return False
    return added.shape[added.dim() - place] == len(codes)


def _quantized(codes: Tensor, scale: Tensor, zero: Tensor | None, axis: int) -> _Codes:
    points = torch.zeros(1, dtype=torch.long) if zero is None else zero.long()
    axis = axis % max(codes.dim(), 1)
    return _Codes(codes, along(scale.double(), axis, codes.dim()), along(points, axis, codes.dim()))


def _layer(name: str, weight: _Codes, bias: _Codes | None, input_scale: float | None) -> StoredLayer:
    if weight.scale is None or weight.codes.is_floating_point():
        stored = StoredLayer(name, weight.codes.double(), None, None, 0, 0)
    else:
        ends = kind_ends(weight.codes)
        stored = StoredLayer(name, weight.codes.long(), weight.scale, weight.zero_point, *ends)
    real, step = _bias(bias)
    return StoredLayer(
        stored.name, stored.codes, stored.scale, stored.zero_point, stored.low, stored.high, real, step, input_scale
    )


def _bias(bias: _Codes | None) -> tuple[Tensor | None, Tensor | None]:
    if bias is None:
        return None, None
    if bias.scale is None:
        return bias.codes.double().flatten(), None
    points = 0 if bias.zero_point is None else bias.zero_point
    real = ((bias.codes - points).double() * bias.scale).flatten()
    return real, bias.scale.flatten().expand(len(real))
