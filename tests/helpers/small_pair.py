"""A pair on the disk, made in seconds: a small network, quantized after its training, on ONNX Runtime."""

from pathlib import Path
from typing import NamedTuple

from edgerift import images, train, zoo
from edgerift.adapt import given_original, ptq
from edgerift.deploy import build, given_build, given_program, quiet
from edgerift.evade import PairSettings
from edgerift.images import ImagesSettings
from edgerift.train import TrainSettings


class SmallPair(NamedTuple):
    """A folder as `edgerift adapt --out` writes it, and the images that its pair was made for."""

    folder: Path
    images: ImagesSettings

    def settings(self) -> PairSettings:
        return PairSettings(
            original=given_original(self.folder / "original.safetensors"),
            program=given_program(self.folder / "program.safetensors"),
            build=given_build(self.folder / "model.onnx"),
        )


def make_small_pair(folder: Path) -> SmallPair:
    described = images.resolve(ImagesSettings(size=12))
    splits = images.open_splits(described)
    settings = TrainSettings(epochs=8, batch_size=32, learning_rate=0.05, device="cpu")
    original = train.fit(zoo.create("lenet", classes=10, size=12), splits.train, None, settings=settings)
    with quiet():
        program = ptq(original, splits.train, target="server", calibration_images=64)
        build(program, "onnxruntime", folder / "model.onnx")
    zoo.save(original, folder / "original.safetensors")
    program.save(folder / "program.safetensors")
    return SmallPair(folder, described)


def make_other_build(pair: SmallPair, path: Path, *, label: int) -> Path:
    """Make a build for the same images that answers `label` to all of them."""
    original = zoo.load(pair.folder / "original.safetensors")
    original.body[-1].bias.data[label] += 50.0
    with quiet():
        program = ptq(original, images.open_splits(pair.images).train, target="server", calibration_images=64)
        build(program, "onnxruntime", path)
    return path
