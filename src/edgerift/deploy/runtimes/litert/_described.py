"""What a loaded `.tflite` says of its input and output."""

from __future__ import annotations

from typing import Any, NamedTuple

from edgerift.deploy.builds._described import specification_of
from edgerift.errors import BuildError
from edgerift.specification import Quantization, Specification


class Described(NamedTuple):
    """A file's own words: its specification, and its input's extents behind the batch, None where one is free."""

    specification: Specification
    extents: tuple[int | None, ...]
    free_batch: bool


def describe(interpreter: Any, file: str) -> Described:
    """Read how a file wants its image and what it answers.

    Raises :class:`~edgerift.errors.BuildError` for a file that takes no single image.
    """
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1:
        named = ", ".join(f"'{each['name']}'" for each in inputs) or "none"
        raise BuildError(f"{file} has {len(inputs)} inputs ({named}); a classifier of images has one")
    image = inputs[0]
    signature = [
        int(extent) for extent in (image["shape_signature"] if len(image["shape_signature"]) else image["shape"])
    ]
    shape = tuple(None if extent < 0 else extent for extent in signature)
    found = specification_of(image["dtype"].__name__, (None, *shape[1:]), file, image["name"])
    asked = found.input
    if shape[-1] in (1, 3):  # Whatever the other extents are: the runtime's kernels take images in this order.
        asked = asked.replace(layout="nhwc", channels="grey" if shape[-1] == 1 else "rgb")
    quantization = _quantization(image)
    if asked.is_integer and quantization is not None:
        asked = asked.replace(quantization=quantization)
    found = found.replace(input=asked)
    if len(outputs) == 1 and outputs[0]["dtype"].__name__ in ("uint8", "int8"):
        found = found.replace(output=found.output.replace(quantization=_quantization(outputs[0])))
    return Described(found, shape[1:], shape[0] is None)


def _quantization(details: Any) -> Quantization | None:
    """The scale and zero point of a tensor, None where it has none."""
    scale, zero_point = details["quantization"]
    return Quantization(scale=float(scale), zero_point=int(zero_point)) if scale > 0 else None
