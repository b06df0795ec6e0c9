#!/usr/bin/env bash
# The flatc that ExecuTorch ships writes an XNNPACK payload as JSON with its scales rounded: they are other numbers when read again.
#
# Seen with executorch 1.4.1 (its wheel holds flatc 24.3.25 and the schema of its XNNPACK payloads): decoding the payload prints a
# float with at most six digits after the point, so that small scales keep three or four significant digits. Encoded again the file
# holds other floats, without a word. Output seen:
#
#   scale 0.003921569 reads as 0.003922, 0.01 % off
#   scale 0.000123457 reads as 0.000123, 0.37 % off
#   scale 0.000000418 reads as 0.0, 100.00 % off
#
# A good guess is that a decoder of the format's own makers prints enough digits for a float to survive, as JSON writers do. Who is
# hurt: whoever reads quantization scales of a `.pte` by flatc, to emulate, inspect or rewrite it: requantization multipliers are off,
# and answers differ in whole levels. Floats have to be read from the bytes.
#
# Exit code 0: it is still so. 1: it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps executorch==1.4.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import importlib.util
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

folder = Path(sys.argv[1])
package = Path(importlib.util.find_spec("executorch").submodule_search_locations[0])
flatc, schema = package / "data" / "bin" / "flatc", package / "backends" / "xnnpack" / "serialization" / "schema.fbs"
os.chmod(flatc, 0o755)


def as_float32(number: float) -> float:
    return struct.unpack("f", struct.pack("f", number))[0]


def through_json(scale: float) -> float:
    """Encode a payload whose one tensor has a scale, decode it, and read the scale."""
    tensor = {"datatype": "xnn_datatype_qint8", "num_dims": 1, "dims": [1]}
    value = {"tensor_value": tensor, "quant_params_type": "PerTensorQuant", "quant_params": {"scale": scale}}
    graph = {"xvalues": [{"xvalue_union_type": "XNNQuantizedTensorValue", "xvalue_union": value}]}
    (folder / "graph.json").write_text(json.dumps(graph))
    run = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([flatc, "--binary", schema, "graph.json"], **run)
    (written,) = (path for path in folder.glob("graph.*") if path.suffix != ".json")
    assert struct.pack("f", scale) in written.read_bytes(), "the binary file holds the whole float"
    (folder / "graph.json").unlink()
    subprocess.run([flatc, "--json", "--strict-json", "--raw-binary", schema, "--", written.name], **run)
    found = json.loads((folder / "graph.json").read_text())
    written.unlink()
    params = found["xvalues"][0]["xvalue_union"]["quant_params"]
    return params.get("scale", 0.0)


lost = []
for scale in map(as_float32, (1 / 255, 0.000123456789, 0.000000418)):
    read = through_json(scale)
    lost.append(as_float32(read) != scale)
    print(f"scale {scale:.9f} reads as {read}, {100 * abs(read - scale) / scale:.2f} % off")
sys.exit(0 if all(lost) else 1)
PY
