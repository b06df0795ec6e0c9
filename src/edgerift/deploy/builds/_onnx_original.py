"""ONNX files as originals: the model that a build was made from, differentiable by its translation."""

from __future__ import annotations

from typing import Final

from edgerift.deploy.builds._described import specification_of
from edgerift.deploy.twins.onnx._files import whole_model
from edgerift.deploy.twins.onnx._module import onnx_module
from edgerift.errors import BuildError, ModelError
from edgerift.zoo import FILE_KINDS, FileKind, FileNetwork


def _opened(content: bytes, output: str) -> FileNetwork:
    """Translate a model; an original's errors are about a model, whatever reads it."""
    try:
        module = onnx_module(content, output or None)
        shape = module.input.shape or (None,) * 4
        found = specification_of(module.input.dtype, shape, "the model", module.input.name)
    except BuildError as error:
        raise ModelError(str(error)) from None
    _, height, width = (shape[3], shape[1], shape[2]) if found.input.layout == "nhwc" else shape[1:]
    return FileNetwork(module, found, None if height is None or width is None else (height, width))


ONNX_FILES: Final = FILE_KINDS.register("onnx", FileKind(".onnx", _opened, whole_model))
"""How ONNX files, with the weights beside them, are read as originals."""
