#!/usr/bin/env bash
# The int8 quantizers of PyTorch's PT2E flow never give a weight a scale below 2^-12, so that channels of small weights lose their bits.
#
# Seen with torch 2.13.0, torchao 0.18.0 (X86InductorQuantizer) and executorch 1.4.1 (XNNPACKQuantizer), both with per-channel weights
# and their default settings: a depthwise convolution whose weights are drawn uniformly from [-largest, largest], followed by a ReLU.
# The output is on a grid of its own, so nothing else grows coarser when the weights shrink. Output seen:
#
#   XNNPACKQuantizer, largest 0.1: codes up to 127, output 0.5 % off
#   XNNPACKQuantizer, largest 0.01: codes up to 41, output 1.3 % off
#   XNNPACKQuantizer, largest 0.001: codes up to 4, output 19.8 % off
#   X86InductorQuantizer, largest 0.1: codes up to 127, output 0.7 % off
#   X86InductorQuantizer, largest 0.01: codes up to 41, output 1.1 % off
#   X86InductorQuantizer, largest 0.001: codes up to 4, output 18.0 % off
#
# A good guess is that a scale per channel makes the result independent of how large a channel's weights are: its largest weight gets
# the code 127. That is so only from 127 / 4096 = 0.031 on. Who is hurt: networks whose folded batch normalisations leave channels
# of small weights (depthwise layers of trained mobile networks have them), which lose accuracy without a warning, and checks that
# compare a scale with the range of its weights. Scaling such a layer up, and what follows it down, before quantization mends it.
#
# Exit code 0: it is still so. 1: it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchao==0.18.0 numpy==2.4.6 \
  executorch==1.4.1
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check executorch==1.4.1
"$folder/venv/bin/python" - <<'PY'
import logging
import sys
import warnings

logging.disable()
warnings.simplefilter("ignore")

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
from torch import nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86


def quantized(quantizer, largest):
    """The largest code of a depthwise convolution's weights, and how far its output is off."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8, bias=False), nn.ReLU()).eval()
    with torch.no_grad():
        model[0].weight.uniform_(-largest, largest)
    images = torch.rand(4, 8, 8, 8)
    prepared = prepare_pt2e(torch.export.export(model, (images,), strict=True).module(), quantizer)
    prepared(images)
    converted = convert_pt2e(prepared)
    (codes,) = (stored for stored in converted.state_dict().values() if stored.dtype == torch.int8)
    with torch.no_grad():
        wanted = model(images)
        return int(codes.abs().max()), float((converted(images) - wanted).norm() / wanted.norm())


def xnnpack():
    return XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))


def inductor():
    return x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())


still = True
for name, make in (("XNNPACKQuantizer", xnnpack), ("X86InductorQuantizer", inductor)):
    for largest, expected in ((0.1, 127), (0.01, 41), (0.001, 4)):
        code, off = quantized(make(), largest)
        print(f"{name}, largest {largest}: codes up to {code}, output {off:.1%} off".replace("%", " %"))
        still &= code == expected == min(127, round(largest * 4096)) and (off > 0.1) == (largest == 0.001)
sys.exit(0 if still else 1)
PY
