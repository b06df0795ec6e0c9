"""One int8 `.tflite`, run by LiteRT's three sets of kernels: images that one of them gets right and another gets wrong.

Usage: python examples/11_one_file_three_kernels.py

The file is written once and then treated as one from elsewhere: the command line gets it beside the float model, and
makes the twins of all sets of kernels from the file alone.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import edgerift as er

KERNELS = "default,builtin,reference"


def main() -> None:
    """Write the file, look at it, audit it on every set of kernels, and replay what two of them disagree on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_models(folder)
        edgerift("inspect", folder / "int8.tflite")
        models = ("--original", folder / "float.safetensors", "--build", folder / "int8.tflite", "--kernels", KERNELS)
        attack = ("--attack", "default", "--images", "40", "--steps", "10", "--threats", "evasion")
        edgerift("audit", *models, *attack, "--data", "digits", "--size", "16", "--out", folder / "audit")
        fleet = json.loads((folder / "audit" / "audit.json").read_text())["evasion"]["fleet"]
        for pair in sorted(fleet["pairs"], key=lambda pair: -pair["evasive"]["value"]):
            print(f"{pair['right']:>16} right, {pair['wrong']:>16} wrong: {pair['evasive']['value']:6.1%}")
        first = fleet["findings"][0]["id"]
        replayed = edgerift("replay", folder / "audit" / "findings" / f"{first}.json")
    print(f"driven apart: {fleet['apart']['successes']} of {fleet['attacked']} images, replay {replayed}")


def write_models(folder: Path) -> None:
    """Train a ResNet-8 in float, and write its int8 file."""
    train, _ = er.images.load("digits", size=16)
    original = er.zoo.create("resnet8", classes=10, size=16, seed=0)
    original = er.train.fit(original, train, epochs=4, seed=0)
    er.zoo.save(original, folder / "float.safetensors")
    er.deploy.build(er.adapt.ptq(original, train, target="mobile"), "litert", folder / "int8.tflite")


def edgerift(*arguments: object) -> int:
    """Call the command line and return its exit code."""
    words = [sys.executable, "-m", "edgerift", *map(str, arguments)]
    return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    main()
