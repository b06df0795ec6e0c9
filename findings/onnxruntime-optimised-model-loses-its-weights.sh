#!/usr/bin/env bash
# A graph that ONNX Runtime saves after optimisation keeps pointing at weights that are not beside it.
#
# Seen with onnxruntime 1.31.1 and onnx 1.23.2 (CPU): for a model whose weights are in another file (as torch.onnx.export writes
# them by default), `SessionOptions.optimized_model_filepath` in another folder writes a model whose initialisers still name that
# file, relative to the new folder, where nothing is. Saving succeeds without a word; loading the saved model fails, in ONNX Runtime
# and in onnx. Loaded from bytes that hold the weights, the same model is saved whole. Output seen:
#
#   saved from a file with external weights: cannot be loaded
#   saved from bytes with the weights inside: can be loaded
#
# A good guess is that what a session saves can be opened again. Who is hurt: whoever caches optimised graphs, or reads them to see
# what really runs, as soon as a model is exported with its weights outside.
#
# Exit code 0: it is still so. 1: it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1
mkdir "$folder/model" "$folder/optimised"
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

weight = numpy_helper.from_array(np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32), "w")
value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "product", value[:1], value[1:], [weight])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
inside = model.SerializeToString()
onnx.save(model, "model/model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)


def saved(source: str | bytes, path: str) -> bool:
    """Save what a session optimised; returns whether it can be loaded."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = path
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    try:
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        onnx.load(path)
    except Exception:
        return False
    return True


found = {
    "a file with external weights": saved("model/model.onnx", "optimised/file.onnx"),
    "bytes with the weights inside": saved(inside, "optimised/bytes.onnx"),
}
for name, loads in found.items():
    print(f"saved from {name}: {'can' if loads else 'cannot'} be loaded")
sys.exit(0 if list(found.values()) == [False, True] else 1)
PY
