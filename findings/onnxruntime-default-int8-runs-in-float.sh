#!/usr/bin/env bash
# The int8 file of onnxruntime.quantization's defaults runs most of a residual block in float on x86.
#
# Seen with onnxruntime 1.31.1 and onnx 1.23.2 (CPU provider, default session): quantize_static with its default types (int8
# activations, int8 weights) writes Q/DQ pairs around every convolution of a block conv-relu-conv-add-relu. The graph that the
# session itself optimises has one QLinearConv and two float Conv of three: a tensor that the sum and the next convolution both
# read stays int8, and whatever touches it is computed in float between DequantizeLinear and QuantizeLinear. With uint8
# activations all three are QLinearConv. Output seen:
#
#   defaults: 1 QLinearConv, 2 Conv
#   uint8 activations: 3 QLinearConv, 0 Conv
#
# A good guess is that a file whose convolutions are all quantized computes them in integers. Who is hurt: whoever ships the
# default file for speed (it is slower than float here), and whoever emulates the file rather than the session.
#
# Exit code 0: it is still so. 1: it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 sympy==1.14.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import collections
import logging
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

logging.disable()
draw = np.random.default_rng(0)
weights = {f"w{i}": draw.normal(size=(8, 8, 3, 3)).astype(np.float32) / 8 for i in range(3)}
pads = [1, 1, 1, 1]
nodes = [
    helper.make_node("Conv", ["x", "w0"], ["c0"], pads=pads),
    helper.make_node("Relu", ["c0"], ["r0"]),
    helper.make_node("Conv", ["r0", "w1"], ["c1"], pads=pads),
    helper.make_node("Relu", ["c1"], ["r1"]),
    helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=pads),
    helper.make_node("Add", ["c2", "r0"], ["sum"]),
    helper.make_node("Relu", ["sum"], ["y"]),
]
value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 16, 16]) for name in ("x", "y")]
stored = [numpy_helper.from_array(weight, name) for name, weight in weights.items()]
graph = helper.make_graph(nodes, "block", value[:1], value[1:], stored)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), "float.onnx")


class Images(CalibrationDataReader):
    def __init__(self):
        self.left = [{"x": draw.normal(size=(1, 8, 16, 16)).astype(np.float32)} for _ in range(8)]

    def get_next(self):
        return self.left.pop() if self.left else None


def convolutions(**types):
    quantize_static("float.onnx", "int8.onnx", Images(), **types)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = "optimised.onnx"
    onnxruntime.InferenceSession("int8.onnx", options, providers=["CPUExecutionProvider"])
    kinds = collections.Counter(node.op_type for node in onnx.load("optimised.onnx").graph.node)
    return kinds["QLinearConv"], kinds["Conv"] + kinds["FusedConv"]


found = {"defaults": convolutions(), "uint8 activations": convolutions(activation_type=QuantType.QUInt8)}
for name, (integer, real) in found.items():
    print(f"{name}: {integer} QLinearConv, {real} Conv")
sys.exit(0 if found["uint8 activations"] == (3, 0) and found["defaults"][1] > 0 else 1)
PY
