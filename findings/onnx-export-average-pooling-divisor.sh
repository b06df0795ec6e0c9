#!/usr/bin/env bash
# torch.onnx.export drops the divisor of an average pooling without a word.
#
# Seen with torch 2.13.0, onnxscript 0.7.2, onnx 1.23.2 and onnxruntime 1.31.1 (CPU): the exported AveragePool divides by the
# window's size whatever `divisor_override` says. nn.AvgPool2d(2, divisor_override=1), a sum over windows, becomes a mean: every
# answer of the file is a quarter of what the module answers. ONNX's AveragePool has no such argument; the exporter neither
# multiplies nor refuses. Output seen:
#
#   AvgPool2d(2): exported / module = 1.000
#   AvgPool2d(2, divisor_override=1): exported / module = 0.250
#   AvgPool2d(2, divisor_override=3): exported / module = 0.750
#
# A good guess is that what ONNX cannot express raises an error, as unsupported operators do. Who is hurt: whoever pools by sums
# or by a fixed divisor and checks that the file loads, rather than what it answers.
#
# Exit code 0: it is still so. 1: it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  torch==2.13.0 numpy==2.4.6 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.31.1
"$folder/venv/bin/python" - <<'PY'
import logging
import sys
import warnings

import onnxruntime
import torch
from torch import nn

warnings.simplefilter("ignore")
logging.disable()


def ratio(module: nn.Module) -> float:
    """What ONNX Runtime answers over what the module answers, for an image of ones."""
    image = torch.ones(1, 1, 4, 4)
    exported = torch.onnx.export(module.eval(), (image,), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(exported.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (name,) = (given.name for given in session.get_inputs())
    answer = torch.from_numpy(session.run(None, {name: image.numpy()})[0])
    return float((answer / module(image)).mean())


modules = {
    "AvgPool2d(2)": (nn.AvgPool2d(2), 1.0),
    "AvgPool2d(2, divisor_override=1)": (nn.AvgPool2d(2, divisor_override=1), 0.25),
    "AvgPool2d(2, divisor_override=3)": (nn.AvgPool2d(2, divisor_override=3), 0.75),
}
as_seen = True
for name, (module, seen) in modules.items():
    found = ratio(module)
    print(f"{name}: exported / module = {found:.3f}")
    as_seen &= abs(found - seen) < 1e-4
sys.exit(0 if as_seen else 1)
PY
