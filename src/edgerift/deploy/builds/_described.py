"""What the description of an artefact's input says of how it wants its images."""

from __future__ import annotations

from typing import Final

from edgerift.errors import BuildError
from edgerift.specification import InputSpecification, Specification

#: The element types that runtimes name in their own ways: by ONNX's words and by PyTorch's numbers.
_DTYPES: Final = {
    "float": "float32",
    "float16": "float16",
    "uint8": "uint8",
    "int8": "int8",
    6: "float32",
    5: "float16",
    0: "uint8",
    1: "int8",
}
_COLOURS: Final = {1: "grey", 3: "rgb"}


def specification_of(dtype: str | int, shape: tuple[int | None, ...], file: str, name: str = "") -> Specification:
    """Read off the element type and the extents `[N,C,H,W]` or `[N,H,W,C]` of an input how it wants its images.

    Extents that are free are None; channels that are free are taken for three. Raises
    :class:`~edgerift.errors.BuildError` for an input that no image fits.
    """
    if dtype not in _DTYPES:
        raise BuildError(f"{file} takes numbers of type {dtype}; known are float32, float16, uint8 and int8")
    if len(shape) != 4:
        shown = ", ".join("any" if extent is None else str(extent) for extent in shape)
        raise BuildError(f"{file} takes [{shown}]; images are [N,C,H,W] or [N,H,W,C] with one or three channels")
    batch, first, _, last = shape
    is_last = first not in (1, 3, None) and last in (1, 3)
    channels = last if is_last else first
    if channels not in (1, 3, None):
        raise BuildError(f"{file} takes images of {channels} channels; one and three are known")
    return Specification(
        input=InputSpecification.model_validate(
            {
                "name": name,
                "layout": "nhwc" if is_last else "nchw",
                "dtype": _DTYPES[dtype],
                "channels": "rgb" if channels is None else _COLOURS[channels],
                "batch": batch,
            }
        )
    )
