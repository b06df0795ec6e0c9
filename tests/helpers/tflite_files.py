"""Small `.tflite` files, written tensor by tensor with the schema's own objects."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int32": schema.TensorType.INT32,
    "uint8": schema.TensorType.UINT8,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
    "int16": schema.TensorType.INT16,
    "int8": schema.TensorType.INT8,
}
_KERNELS = {
    "default": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}


class TfliteFile:
    """A model under construction: tensors get their number in the order in which they are added."""

    def __init__(self) -> None:
        self.model = schema.ModelT(version=3, operatorCodes=[], buffers=[schema.BufferT()], metadata=[])
        self.graph = schema.SubGraphT(tensors=[], operators=[], inputs=[], outputs=[], name="main")
        self.model.subgraphs = [self.graph]
        self.model.description = "test"

    def tensor(
        self,
        shape: Any,
        dtype: str = "int8",
        scale: Any = None,
        zero: Any = 0,
        *,
        data: Any = None,
        axis: int = 0,
        name: str = "",
        signature: Any = None,
    ) -> int:
        """Add a tensor; one with `data` is a constant."""
        made = schema.TensorT(shape=[int(extent) for extent in shape], type=_TYPES[dtype], hasRank=True)
        made.name = name or f"t{len(self.graph.tensors)}"
        made.shapeSignature = signature
        if data is not None:
            made.buffer = self.buffer(np.asarray(data).astype(dtype).tobytes())
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            zeros = np.broadcast_to(np.atleast_1d(zero), scales.shape)
            made.quantization = schema.QuantizationParametersT(
                scale=[float(number) for number in scales],
                zeroPoint=[int(number) for number in zeros],
                quantizedDimension=axis,
            )
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def buffer(self, content: bytes) -> int:
        """Add a buffer."""
        self.model.buffers.append(schema.BufferT(data=np.frombuffer(content, np.uint8)))
        return len(self.model.buffers) - 1

    def metadata(self, name: str, content: bytes) -> None:
        """Add an entry of the model's metadata."""
        self.model.metadata.append(schema.MetadataT(name=name, buffer=self.buffer(content)))

    def operator(self, name: str, inputs: list[int], outputs: list[int], options: Any = None, version: int = 1) -> None:
        """Add an operator by its name in the schema; `options` are those of its kind."""
        code = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
        custom = name if code == schema.BuiltinOperator.CUSTOM else None
        self.model.operatorCodes.append(schema.OperatorCodeT(min(code, 127), custom, version, code))
        made = schema.OperatorT(len(self.model.operatorCodes) - 1, inputs, outputs)
        if options is not None:
            made.builtinOptions = options
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(made)

    def written(self, inputs: list[int], outputs: list[int]) -> bytes:
        """Write the file."""
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def interpreter_of(content: bytes, kernels: str = "default") -> Any:
    """Open a file in the real interpreter, with one of its three sets of kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    opened = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType[_KERNELS[kernels]], num_threads=1
    )
    opened.allocate_tensors()
    return opened


def answered(content: bytes, inputs: Any, kernels: str = "default") -> Any:
    """Ask the interpreter for the first output of inputs, one by one."""
    opened = interpreter_of(content, kernels)
    given, made = opened.get_input_details()[0]["index"], opened.get_output_details()[0]["index"]
    answers = []
    for one in inputs:
        opened.set_tensor(given, one[None])
        opened.invoke()
        answers.append(opened.get_tensor(made))
    return np.concatenate(answers)


def delegates(content: bytes) -> bool:
    """Whether the default delegate takes the operator of a file, or one of several."""
    return "DELEGATE" in [details["op_name"] for details in interpreter_of(content)._get_ops_details()]
