"""`.tflite` files as originals."""

from __future__ import annotations

from edgerift.deploy.builds._described_tflite import describe_tflite
from edgerift.deploy.twins.tflite._module import tflite_module
from edgerift.errors import BuildError, ModelError
from edgerift.zoo import FILE_KINDS, FileKind, FileNetwork


def open_tflite(content: bytes, output: str) -> FileNetwork:
    """Translate a model's bytes up to one of its outputs, the first for "".

    Float and quantized ones are taken; the latter compute as LiteRT's default kernels do. Raises `ModelError` for what
    is damaged, takes no image, or has no translation.
    """
    try:
        described = describe_tflite(content, "the file")
    except BuildError as error:
        raise ModelError(f"this is no .tflite model of images: {error}") from None
    module = tflite_module(content, output or None)
    given = described.specification
    height, width = described.extents[1:] if given.input.layout == "nchw" else described.extents[:2]
    # The module takes any number of images, whatever the file is made for.
    free = given.replace(input=given.input.replace(batch=None))
    return FileNetwork(module, free, None if height is None or width is None else (height, width))


FILE_KINDS.register("tflite", FileKind(".tflite", open_tflite))
