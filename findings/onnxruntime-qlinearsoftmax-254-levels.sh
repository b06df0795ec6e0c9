#!/usr/bin/env bash
# ONNX Runtime's int8 softmax rounds to 254 steps where its output scale says 255.
#
# Seen with onnxruntime 1.31.1 and onnx 1.23.2 (CPU): QLinearSoftmax with the usual output scale of 1/255 and zero point 0 answers
# 254 for a probability of 1, which its own DequantizeLinear then reads as 0.996. It multiplies by the whole part of 1 / scale, and
# float32(1/255) is a little more than 1/255. With the scale 1/256 (zero point 0) the same probability is 255, the end of the range.
# Output seen:
#
#   scale 1/255: a probability of 1 becomes 254, read as 0.9961
#   scale 1/256: a probability of 1 becomes 255, read as 0.9961
#
# A good guess is that a probability of 1 is the largest level, and that rounding is to the nearest level of the grid that is
# stated. Who is hurt: whoever thresholds confidence at 1, or emulates the kernel from the operator's description: each level is
# off by up to one.
#
# Exit code 0: it is still so. 1: it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def certain(scale: float) -> int:
    """What a row with one score far above the other becomes."""
    node = helper.make_node("QLinearSoftmax", ["x", "xs", "xz", "ys", "yz"], ["y"], domain="com.microsoft", opset=13, axis=1)
    constants = {"xs": np.float32(1), "xz": np.uint8(0), "ys": np.float32(scale), "yz": np.uint8(0)}
    value = [helper.make_tensor_value_info(name, TensorProto.UINT8, [1, 2]) for name in ("x", "y")]
    stored = [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()]
    graph = helper.make_graph([node], "softmax", value[:1], value[1:], stored)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": np.array([[200, 0]], np.uint8)})
    return int(answer[0, 0])


found = {steps: certain(1 / steps) for steps in (255, 256)}
for steps, level in found.items():
    print(f"scale 1/{steps}: a probability of 1 becomes {level}, read as {level / steps:.4f}")
sys.exit(0 if found == {255: 254, 256: 255} else 1)
PY
