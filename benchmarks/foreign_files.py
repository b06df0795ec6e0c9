"""Make int8 ONNX files of one small network with the tools that people use: `python benchmarks/foreign_files.py OUT`.

With `--given DIR` it is the network that `benchmarks/verify.py --keep DIR` trained.

Tools that are not installed are left out. NNCF, AIMET and Brevitas pin versions that contradict each other's and
edgerift's; they were tried in an environment of their own, with the packages of edgerift's beside it:

    pip install --no-deps nncf==3.4.0 aimet-onnx==2.42.0 brevitas==0.13.4
    pip install bokeh holoviews hvplot jsonschema psutil dependencies==2.0.1 onnxoptimizer
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

SIZE: Final = 28
TRAINED: Final = 1200
CALIBRATED: Final = 512


class Block(nn.Module):
    """Two convolutions beside one of 1x1, added."""

    def __init__(self, channels: int, wider: int) -> None:
        """Make the layers."""
        super().__init__()
        self.first = nn.Conv2d(channels, wider, 3, 2, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(wider)
        self.second = nn.Conv2d(wider, wider, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(wider)
        self.beside = nn.Conv2d(channels, wider, 1, 2, bias=False)
        self.beside_norm = nn.BatchNorm2d(wider)

    def forward(self, value: Tensor) -> Tensor:
        """Halve height and width."""
        inner = torch.relu(self.first_norm(self.first(value)))
        return torch.relu(self.second_norm(self.second(inner)) + self.beside_norm(self.beside(value)))


def network() -> nn.Module:
    """A stem, two residual blocks, a mean and a linear layer for images [N,1,28,28]."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 24),
        Block(24, 32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def digits() -> tuple[Tensor, Tensor]:
    """The digits of scikit-learn at 28 pixels: uint8 `[N,1,28,28]` and labels."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    large = nn.functional.interpolate(images, (SIZE, SIZE), mode="bilinear")
    return (large * 255).round().to(torch.uint8), torch.tensor(data.target)


def trained(images: Tensor, labels: Tensor) -> nn.Module:
    """Train the network for a few epochs."""
    torch.manual_seed(0)
    model = network()
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(4):
        for rows in torch.randperm(TRAINED).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[rows].float() / 255), labels[rows]).backward()
            optimiser.step()
    return model.eval()


def exported(model: nn.Module, path: Path, *, dynamo: bool = True) -> Path:
    """Export to float ONNX."""
    example, batch = torch.zeros(2, 1, SIZE, SIZE), torch.export.Dim("batch")
    shapes: dict[str, Any] = (
        {"dynamic_shapes": ({0: batch},), "external_data": False}
        if dynamo
        else {"dynamic_axes": {"image": {0: "batch"}, "scores": {0: "batch"}}}
    )
    names = {"input_names": ["image"], "output_names": ["scores"]}
    torch.onnx.export(model, (example,), str(path), dynamo=dynamo, verbose=False, **names, **shapes)
    return path


def with_onnxruntime(path: Path, out: Path, images: Tensor, model: nn.Module) -> Iterator[Path]:
    """ONNX Runtime's own tool, in six spellings."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = [part.numpy().astype(np.float32) / 255 for part in images[:CALIBRATED].split(64)]

        def get_next(self) -> dict[str, Any] | None:
            return {"image": self._left.pop()} if self._left else None

    prepared = out / "prepared.onnx"
    quant_pre_process(str(path), str(prepared))
    unsigned = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    spellings: dict[str, dict[str, Any]] = {
        "default": {},
        "s8s8-symmetric": {"extra_options": {"ActivationSymmetric": True}},
        "u8s8": unsigned,
        "u8s8-channel": {**unsigned, "per_channel": True, "reduce_range": True},
        "u8u8": {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8},
        "qoperator": {**unsigned, "quant_format": QuantFormat.QOperator},
    }
    for name, options in spellings.items():
        written = out / f"onnxruntime-{name}.onnx"
        quantize_static(str(prepared), str(written), Reader(), **options)
        yield written
    prepared.unlink()


def with_nncf(path: Path, out: Path, images: Tensor, model: nn.Module) -> Iterator[Path]:
    """NNCF's ONNX back end."""
    import nncf

    parts = [{"image": part.numpy().astype(np.float32) / 255} for part in images[:CALIBRATED].split(64)]
    made = nncf.quantize(onnx.load(path), nncf.Dataset(parts), subset_size=len(parts))
    written = out / "nncf.onnx"
    onnx.save(made, written)
    yield written


def with_aimet(path: Path, out: Path, images: Tensor, model: nn.Module) -> Iterator[Path]:
    """AIMET's simulation, written as QDQ."""
    from aimet_onnx.quantsim import QuantizationSimModel

    simulated = QuantizationSimModel(onnx.load(path))
    simulated.compute_encodings([{"image": part.numpy().astype(np.float32) / 255} for part in images[:512].split(64)])
    written = out / "aimet.onnx"
    onnx.save(simulated.to_onnx_qdq(), written)
    yield written


def with_brevitas(path: Path, out: Path, images: Tensor, model: nn.Module) -> Iterator[Path]:
    """Brevitas after training, exported as QCDQ."""
    from brevitas.export import export_onnx_qcdq
    from brevitas.graph.calibrate import calibration_mode
    from brevitas.graph.quantize import preprocess_for_quantize, quantize

    made = quantize(preprocess_for_quantize(torch.fx.symbolic_trace(model), equalize_iters=0))
    with torch.no_grad(), calibration_mode(made):
        for part in images[:CALIBRATED].split(64):
            made(part.float() / 255)
    written, example = out / "brevitas.onnx", torch.zeros(2, 1, SIZE, SIZE)
    axes = {"x": {0: "batch"}}
    wrapped = nn.Sequential(made).eval()  # The exporter takes a traced module for a scripted one.
    export_onnx_qcdq(wrapped, (example,), str(written), dynamo=False, dynamic_axes=axes, input_names=["x"])
    yield written


TOOLS: Final[dict[str, Callable[[Path, Path, Tensor, nn.Module], Iterator[Path]]]] = {
    "onnxruntime": with_onnxruntime,
    "nncf": with_nncf,
    "aimet_onnx": with_aimet,
    "brevitas": with_brevitas,
}


def main() -> None:
    """Train, export, and quantize with each tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--given", type=Path, metavar="DIR")
    given = parser.parse_args()
    out = given.out
    out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    if given.given is None:
        images, labels = digits()
        model = trained(images, labels)
        np.savez(out / "digits.npz", images=images.numpy(), labels=labels.numpy())
        torch.save(model.state_dict(), out / "network.pt")
        path = exported(model, out / "float.onnx")
    else:
        images, model = torch.from_numpy(np.load(given.given / "given.npz")["images"]), nn.Identity()
        path = Path(shutil.copy(given.given / "float.onnx", out / "float.onnx"))
    for name, make in TOOLS.items():
        if given.given is not None and name == "brevitas":
            continue  # It takes the network itself.
        try:
            for written in make(path, out, images, model):
                print(written)
        except ImportError as error:
            print(f"{name} is left out: {error}")


if __name__ == "__main__":
    main()
