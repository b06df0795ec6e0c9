#!/usr/bin/env bash
# LiteRT's optimised DEQUANTIZE turns equal int8 numbers into different floats, depending on their place in the tensor.
#
# Seen with ai-edge-litert 2.3.0 (CPU, x86-64), with the interpreter's own kernels (BUILTIN_WITHOUT_DEFAULT_DELEGATES): the first
# 8 of 10 equal scores are computed as q * scale - zero * scale, the two that a block of 8 leaves over as (q - zero) * scale. So
# a tie between class 0 and class 9 has a winner, and in a batch of 4 images (40 scores, 5 blocks) it has none.
# Output seen:
#
#   alone: 10 equal int8 scores become 2 different floats
#   in a batch of 4: 10 equal int8 scores become 1 float
#
# A good guess is that one number has one value. Who is hurt: whoever takes the top class of dequantized scores, which tie often
# in 8 bits, and compares a phone's answers (one image) with those of an evaluation (batches).
#
# Exit code 0: it is still so. 1: it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6 ai-edge-litert==2.3.0
"$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def dequantize(scale, zero):
    """A file of one operator: ten int8 scores become float."""
    graph, model, operator, code = schema.SubGraphT(), schema.ModelT(), schema.OperatorT(), schema.OperatorCodeT()
    scores, floats = schema.TensorT(), schema.TensorT()
    for tensor, name, kind in ((scores, "scores", schema.TensorType.INT8), (floats, "floats", schema.TensorType.FLOAT32)):
        tensor.name, tensor.shape, tensor.shapeSignature, tensor.type, tensor.buffer = name, [1, 10], [-1, 10], kind, 0
        tensor.quantization = schema.QuantizationParametersT()
    scores.quantization.scale, scores.quantization.zeroPoint = [scale], [zero]
    operator.inputs, operator.outputs = [0], [1]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 2
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [scores, floats], [0], [1], [operator]
    model.version, model.buffers, model.subgraphs, model.operatorCodes = 3, [schema.BufferT()], [graph], [code]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def answer(content, scores):
    loaded = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    loaded.resize_tensor_input(0, scores.shape)
    loaded.allocate_tensors()
    loaded.set_tensor(0, scores)
    loaded.invoke()
    return loaded.get_tensor(1)


content = dequantize(0.0134884687140584, 9)
alone = len(np.unique(answer(content, np.full((1, 10), 77, np.int8))))
batch = max(len(np.unique(row)) for row in answer(content, np.full((4, 10), 77, np.int8)))
words = {1: "1 float", 2: "2 different floats"}
print(f"alone: 10 equal int8 scores become {words[alone]}")
print(f"in a batch of 4: 10 equal int8 scores become {words[batch]}")
sys.exit(0 if (alone, batch) == (2, 1) else 1)
PY
