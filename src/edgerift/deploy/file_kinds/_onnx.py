"""Float ONNX files as originals."""

from __future__ import annotations

from pathlib import Path

from edgerift.deploy.runtimes.onnxruntime._described import describe_model
from edgerift.deploy.twins.onnx._files import model_of, whole_model
from edgerift.deploy.twins.onnx._module import onnx_module
from edgerift.errors import BuildError, ModelError
from edgerift.zoo import FILE_KINDS, FileKind, FileNetwork


def open_onnx(content: bytes, output: str) -> FileNetwork:
    """Translate a model's bytes up to one of its outputs, the first for "".

    Raises `ModelError` for what is damaged, takes no image, or has no translation.
    """
    try:
        described = describe_model(model_of(content), "the file")
        extents = described.extents
        module = onnx_module(content, output or None)
    except BuildError as error:
        raise ModelError(f"this is no ONNX model of images: {error}") from None
    size = None
    if extents is not None:
        height, width = extents[1:] if described.specification.input.layout == "nchw" else extents[:2]
        size = None if height is None or width is None else (height, width)
    return FileNetwork(module, described.specification, size)


def pack_onnx(path: Path) -> bytes:
    """Read a file with the weights beside it; raises `ModelError` for what cannot be read."""
    try:
        return whole_model(path)
    except BuildError as error:
        raise ModelError(str(error)) from None


FILE_KINDS.register("onnx", FileKind(".onnx", open_onnx, pack_onnx))
