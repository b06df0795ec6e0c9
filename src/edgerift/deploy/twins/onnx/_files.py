"""The external weight files of an ONNX model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgerift.deploy.twins.onnx._limits import messages_of, require_moderate
from edgerift.errors import BuildError, first_line
from edgerift.settings import is_file, no_file


class UnreadableModelError(BuildError):
    """The file is no ONNX model."""


def weight_files(path: Path) -> tuple[str, ...]:
    """List the external files of an ONNX model's tensors, as the model names them; none for a self-contained one.

    Raises :class:`~edgerift.errors.BuildError` for a model that cannot be read, and for a file that is missing or lies
    outside the model's folder.
    """
    return _files_of(proto_of(path), path)


def _files_of(model: Any, path: Path) -> tuple[str, ...]:
    import onnx

    names = {
        entry.value
        for _, tensor in messages_of(model, ("TensorProto",))
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for name in names:
        _require_inside(path, name)
    return tuple(sorted(names))


def proto_of(path: Path) -> Any:
    """Read a `ModelProto` without the weights beside it.

    Raises :class:`UnreadableModelError` where there is none, and :class:`~edgerift.errors.BuildError` where it asks for
    more memory than a classifier of images can need.
    """
    if not is_file(path):
        raise BuildError(no_file("model", path, "give the path of an .onnx file"))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableModelError(f"cannot read {path} ({error.strerror}); give a file that may be read") from None
    return _parsed(content, path)


def _parsed(content: bytes, path: Path) -> Any:
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # The parser's own classes of error differ between versions.
        raise UnreadableModelError(
            f"{path} is no whole ONNX model ({first_line(error)}); copy it again, or export it again"
        ) from None
    require_moderate(model, str(path))
    return model


def read_model(path: Path) -> tuple[bytes, Any]:
    """Read a model's file once: as one file, with the weights beside it inside, and as a `ModelProto`.

    A file without weights beside it is given as it is. Raises `OSError` for one that cannot be read,
    :class:`UnreadableModelError` for one that is no model, and :class:`~edgerift.errors.BuildError` where it asks for
    too much, or its weights cannot be read or do not fit into one file (2 GB).
    """
    content = path.read_bytes()
    model = _parsed(content, path)
    if not _files_of(model, path):
        return content, model
    model = model_of(path)
    return _as_one(model, path), model


def whole_model(path: Path) -> bytes:
    """Read an ONNX model together with the weights beside it, as one file.

    Raises :class:`~edgerift.errors.BuildError` for what cannot be read or does not fit into one file (2 GB).
    """
    return _as_one(model_of(path), path)


def _as_one(model: Any, path: Path) -> bytes:
    try:
        content: bytes = model.SerializeToString(deterministic=True)
    except ValueError as error:
        raise BuildError(f"{path} and the weights beside it are no single model: {first_line(error)}") from None
    return content


def model_of(model: Path | str | bytes) -> Any:
    """Read a `ModelProto`, from a file with the weights beside it, or from bytes that hold them.

    Raises :class:`~edgerift.errors.BuildError` for what cannot be read.
    """
    import onnx

    try:
        if isinstance(model, bytes):
            read = onnx.load_model_from_string(model)
            require_moderate(read, "the model")
            return read
        weight_files(Path(model))
        return onnx.load(model)
    except BuildError:
        raise
    except Exception as error:  # The parser's own classes of error differ between versions.
        named = "the model" if isinstance(model, bytes) else f"{model} and the weights beside it"
        raise BuildError(f"{named} cannot be read as one model: {first_line(error)}") from None


def _require_inside(path: Path, name: str) -> None:
    folder = path.parent.resolve()
    try:
        file = (folder / name).resolve()
        inside, there = file.is_relative_to(folder) and file != path.resolve(), file.is_file()
    except (OSError, ValueError):
        inside, there = False, False
    if not inside:
        raise BuildError(f"{path} keeps weights in {name[:80]!r}, which is not beside it; put the file into its folder")
    if not there:
        raise BuildError(f"{path} keeps weights in {name[:80]!r}, and there is no such file; copy it beside the model")
