"""Every architecture on both phone-capable runtimes: share of integer work, and agreement of the twins.

    python benchmarks/builds.py [--models resnet8 ...] [--images 512] [--out benchmarks/builds.json]

The models are untrained, with batch normalisations that have seen the images, and quantized after training (ptq) for
the target mobile. The comparison does not depend on the quality of the weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgerift import adapt, deploy, images, zoo

MODELS = ("resnet8", "lenet", "resnet18", "mobilenet_v2", "shufflenet_v2", "densenet121")
RUNTIMES = ("executorch", "onnxruntime")


def warmed(name: str, batch: torch.Tensor) -> nn.Module:
    """Make a model whose batch normalisations have seen a batch, float32 `[N,3,32,32]`."""
    model = zoo.create(name, 10).train()
    with torch.no_grad():
        for _ in range(4):
            model(batch)
    return model.eval()


def measure(name: str, test: images.ImageSet, train: images.ImageSet, folder: Path) -> dict[str, Any]:
    """Quantize one architecture, build it twice and compare."""
    model = warmed(name, images.to_float(train.images[:64]))
    program = adapt.ptq(model, train, target="mobile", calibration_images=128)
    graph = program.module()
    with torch.inference_mode():
        batch = images.to_float(test.images[:64])
        difference = float((deploy.twin(program)(batch) - graph(batch)).abs().max())
    row: dict[str, Any] = {"twin against converted graph, largest difference": difference}
    for runtime in RUNTIMES:
        build = deploy.build(program, runtime, folder / f"{name}{deploy.RUNTIMES[runtime].suffix}")
        row[runtime] = {"integer_macs": build.integer_macs(), **deploy.fidelity(program, build, test.images).as_dict()}
    return row


def main() -> None:
    """Print a line for each architecture and runtime, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=MODELS)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    train, test = images.load("digits")
    noise = torch.randint(0, 256, (arguments.images, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(arguments.images, dtype=torch.int64)
    test = images.ImageSet("noise", noise.to(torch.uint8), labels, test.classes, fingerprint="noise")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            row = results[name] = measure(name, test, train, Path(folder))
            print(f"{name}: twin - graph {row['twin against converted graph, largest difference']}")
            for runtime in RUNTIMES:
                found = row[runtime]
                print(
                    f"  {runtime:<12} integer MACs {found['integer_macs']:.4f}"
                    f"  equal logits {found['equal_logits']:.4%}"
                    f"  largest LSB {found['max_lsb']:.2f}  other label {found['label_disagreement']:.2%}",
                    flush=True,
                )
    if arguments.out is not None:
        header = {"torch": torch.__version__, "images": arguments.images}
        arguments.out.write_text(json.dumps({**header, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
