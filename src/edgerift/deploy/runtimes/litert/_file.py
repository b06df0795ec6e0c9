"""A `.tflite` file under construction: tensors, operators, and the flatbuffer that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from edgerift.deploy.program._grid import Grid

_IDENTIFIER: Final = b"TFL3"
_SCHEMA_VERSION: Final = 3
#: The versions of operators in which their int8 kernels came, where that is not the first.
_VERSIONS: Final = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "DEQUANTIZE": 2,
    "FULLY_CONNECTED": 5,
    "MAX_POOL_2D": 2,
    "MAXIMUM": 2,
    "MEAN": 2,
    "MINIMUM": 2,
    "MUL": 2,
    "PAD": 2,
    "PADV2": 2,
    "STRIDED_SLICE": 2,
    "SUB": 2,
    "TRANSPOSE": 2,
}


class Scales(NamedTuple):
    """A tensor with a scale for each place along one of its axes, and zero points of 0."""

    values: Tensor
    axis: int


@dataclass(frozen=True)
class Options:
    """An operator's options: the name of their table without `Options`, and its fields."""

    table: str
    fields: dict[str, Any] = field(default_factory=dict)


def schema() -> ModuleType:
    """Import the schema of the files, which the runtime's package brings."""
    import ai_edge_litert.schema_py_generated

    found: ModuleType = ai_edge_litert.schema_py_generated
    return found


class ModelFile:
    """Collects tensors and operators, in the order in which they run."""

    def __init__(self) -> None:
        """Start with the empty buffer that every file begins with."""
        self._schema: Any = schema()
        self._buffers: list[Any] = [self._schema.BufferT()]
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[str, int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: torch.dtype,
        *,
        signature: Sequence[int] | None = None,
        quantized: Grid | Scales | None = None,
        data: Tensor | None = None,
    ) -> int:
        """Add a tensor and return its index; one with `data` is a constant, -1 in `signature` is a free extent."""
        made = self._schema.TensorT()
        made.name, made.shape, made.hasRank = name, list(shape), True
        made.shapeSignature = None if signature is None or -1 not in signature else list(signature)
        made.type = getattr(self._schema.TensorType, str(dtype).removeprefix("torch.").upper())
        made.quantization = self._quantization(quantized)
        made.buffer = 0
        if data is not None:
            buffer = self._schema.BufferT()
            buffer.data = data.contiguous().numpy().reshape(-1).view("uint8")
            made.buffer = len(self._buffers)
            self._buffers.append(buffer)
        self._tensors.append(made)
        return len(self._tensors) - 1

    def _quantization(self, quantized: Grid | Scales | None) -> Any:
        made = self._schema.QuantizationParametersT()
        if isinstance(quantized, Grid):
            made.scale, made.zeroPoint = [quantized.scale], [quantized.zero_point]
        elif quantized is not None:
            made.scale = quantized.values.tolist()
            made.zeroPoint = [0] * len(made.scale)
            made.quantizedDimension = quantized.axis
        return made

    def operator(self, name: str, inputs: Sequence[int], output: int, options: Options | None = None) -> None:
        """Add an operator from tensors to one tensor."""
        made = self._schema.OperatorT()
        made.opcodeIndex = self._codes.setdefault(name, len(self._codes))
        made.inputs, made.outputs = list(inputs), [output]
        if options is not None:
            table = f"{options.table}Options"
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, table)
            made.builtinOptions = getattr(self._schema, f"{table}T")()
            for key, value in options.fields.items():
                setattr(made.builtinOptions, key, value)
        self._operators.append(made)

    def written(self, image: int, answer: int, description: str) -> bytes:
        """Return the file's content, with one input and one output and a signature that names them."""
        import flatbuffers

        self._tensors[image].name, self._tensors[answer].name = "images", "logits"
        graph = self._schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = "main", self._tensors, self._operators
        graph.inputs, graph.outputs = [image], [answer]
        model = self._schema.ModelT()
        model.version, model.description = _SCHEMA_VERSION, description
        model.subgraphs, model.buffers = [graph], self._buffers
        model.operatorCodes = [self._code(name) for name in self._codes]
        model.signatureDefs = [self._signature(image, answer)]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, name: str) -> Any:
        made = self._schema.OperatorCodeT()
        number = getattr(self._schema.BuiltinOperator, name)
        # Readers older than 2020 know one byte for the operator.
        made.builtinCode, made.deprecatedBuiltinCode = number, min(number, 127)
        made.version = _VERSIONS.get(name, 1)
        return made

    def _signature(self, image: int, answer: int) -> Any:
        made = self._schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = "serving_default", 0
        made.inputs, made.outputs = [self._named(image)], [self._named(answer)]
        return made

    def _named(self, tensor: int) -> Any:
        made = self._schema.TensorMapT()
        made.name, made.tensorIndex = self._tensors[tensor].name, tensor
        return made
