"""Float ONNX files as originals."""

from __future__ import annotations

from pathlib import Path

from edgerift.deploy.runtimes.onnxruntime._described import describe_model
from edgerift.deploy.twins.onnx._files import model_of, whole_model
from edgerift.deploy.twins.onnx._measured import UntranslatedError
from edgerift.deploy.twins.onnx._module import onnx_module
from edgerift.errors import BuildError, ModelError
from edgerift.zoo import FILE_KINDS, FileKind, FileNetwork


def open_onnx(content: bytes, output: str) -> FileNetwork:
    """Translate a model's bytes up to one of its outputs, the only one for "".

    Raises `ModelError` for what is damaged, takes no image, has several outputs or no translation.
    """
    try:
        model = model_of(content)
        described = describe_model(model, "the file")
        outputs = [value.name for value in model.graph.output]
        if not output and len(outputs) > 1:
            raise ModelError(
                f"it has {len(outputs)} outputs: {', '.join(outputs)}; pick the scores with --input output.name=NAME"
            )
        extents = described.extents
        module = onnx_module(content, output or None)
    except BuildError as error:
        raise ModelError(str(error)) from None
    except UntranslatedError as error:
        raise ModelError(f"{error}; export it with other operators, or give its weights with --model") from None
    size = None
    if extents is not None:
        height, width = extents[1:] if described.specification.input.layout == "nchw" else extents[:2]
        size = None if height is None or width is None else (height, width)
    return FileNetwork(module, described.specification, size)


def pack_onnx(path: Path) -> bytes:
    """Read a model with the weights beside it; raises `ModelError` for what cannot be read as one."""
    try:
        return whole_model(path)
    except BuildError as error:
        raise ModelError(str(error)) from None


FILE_KINDS.register("onnx", FileKind(".onnx", open_onnx, pack_onnx))
