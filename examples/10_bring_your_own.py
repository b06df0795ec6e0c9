"""Audit what a team ships: a PyTorch network of its own, and the int8 files that ONNX Runtime's tool makes of it.

Run it in an empty folder. It trains a small network for images of 28 x 28 in one channel, saves its weights, exports
it to ONNX, quantizes it twice, and then only calls the command line: for the weights and the default int8 file, and for
the float ONNX file and one with unsigned activations.
"""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from sklearn.datasets import load_digits
from torch import nn

SIZE, TRAINED = 28, 1200


def create() -> nn.Module:
    """Make the network, as the command line does too: `--model FILE.py:create`."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def main() -> None:
    """Train, export and quantize without edgerift; audit and replay with it."""
    warnings.simplefilter("ignore")
    images, labels = digits()
    np.savez("images.npz", images=images, labels=labels)
    model = trained(torch.from_numpy(images[:TRAINED, None]).float() / 255, torch.from_numpy(labels[:TRAINED]))
    torch.save(model.state_dict(), "net.pt")
    names: dict[str, Any] = {"input_names": ["image"], "output_names": ["scores"]}
    shapes: dict[str, Any] = {"dynamic_shapes": ({0: torch.export.Dim("batch")},), "external_data": False}
    example = (torch.zeros(2, 1, SIZE, SIZE),)
    torch.onnx.export(model, example, "float.onnx", dynamo=True, verbose=False, **names, **shapes)
    quantize_static("float.onnx", "int8.onnx", Calibration(images))
    unsigned = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8, "per_channel": True}
    quantize_static("float.onnx", "u8s8.onnx", Calibration(images), **unsigned)

    weights = ["--original", "net.pt", "--model", f"{__file__}:create", "--trust", "--input", "channels=grey"]
    codes = [
        audit("weights", *weights, "--build", "int8.onnx"),
        audit("onnx", "--original", "float.onnx", "--build", "u8s8.onnx"),
    ]
    finding = min(Path("onnx/findings").glob("*.json"))
    replayed = edgerift("replay", str(finding))
    print(f"exit codes: audits {codes[0]} and {codes[1]}, replay {replayed}")


def digits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Enlarge scikit-learn's digits: uint8 `[N,28,28]`, and their labels."""
    data = load_digits()
    small = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    large = nn.functional.interpolate(small, (SIZE, SIZE), mode="bilinear")[:, 0]
    return (large * 255).round().to(torch.uint8).numpy(), data.target


def trained(images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """Train the network on images in [0,1]."""
    torch.manual_seed(0)
    model = create()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(8):
        for rows in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimiser.step()
    return model.eval()


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """What the quantizer measures ranges on."""

    def __init__(self, images: np.ndarray[Any, Any]) -> None:
        """Cut images into batches."""
        self.left = [images[start : start + 64, None].astype(np.float32) / 255 for start in range(0, 512, 64)]

    def get_next(self) -> dict[str, Any] | None:
        """Give the next batch."""
        return {"image": self.left.pop()} if self.left else None


def audit(out: str, *models: str) -> int:
    """Attack some images of the test set."""
    return edgerift("audit", *models, "--data", "images.npz", "--size", str(SIZE), "--images", "100", "--out", out)


def edgerift(*arguments: str) -> int:
    """Call the command line and return its exit code."""
    return subprocess.run([sys.executable, "-m", "edgerift", *arguments], check=False).returncode


if __name__ == "__main__":
    main()
