"""The inference requests and replies of the Open Inference Protocol (KServe v2), in JSON and with binary tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from edgerift.errors import unknown_name
from edgerift.images import ImageShape
from edgerift.serve._errors import RefusedError
from edgerift.settings import parse_json

INPUT: Final = "image"
OUTPUT: Final = "probabilities"
VERSION: Final = "1"
#: The header that says how many bytes of a body are JSON, before the tensors.
JSON_LENGTH: Final = "Inference-Header-Content-Length"
BINARY: Final = "application/octet-stream"

_LONGEST_ID: Final = 128

#: Arrays, since each tensor that ends lets another thread run first.
Pixels: TypeAlias = NDArray[np.uint8]
Answers: TypeAlias = NDArray[np.float32]


@final
@dataclass(frozen=True)
class Signature:
    """What is served: its name, the runtime, the shape of an image, the classes, and the most images per request."""

    name: str
    runtime: str
    shape: ImageShape
    classes: tuple[str, ...]
    most_images: int

    def metadata(self) -> dict[str, Any]:
        """Describe the model as `GET /v2/models/NAME` does."""
        return {
            "name": self.name,
            "versions": [VERSION],
            "platform": f"edgerift_{self.runtime}",
            "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *self.shape]}],
            "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(self.classes)]}],
        }


class Query(NamedTuple):
    """A request that was understood: its id ("" without one), images uint8 `[N,C,H,W]`, how the reply is written."""

    id: str
    images: Pixels
    is_binary: bool


#: Writes JSON without spaces.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


def as_json(value: Any) -> bytes:
    """Write JSON without spaces."""
    return _ENCODER.encode(value).encode()


def read_query(body: bytes, json_length: str | None, signature: Signature) -> Query:
    """Read the body of an inference request; raises :class:`RefusedError` with what is wrong with it."""
    head, tensors = _parts(body, json_length)
    try:
        request = parse_json(head)
    except (ValueError, RecursionError):
        what = "the request" if json_length is None else f"the part of {len(head)} bytes that {JSON_LENGTH} names"
        raise RefusedError(400, f"{what} is not JSON, or is nested too deeply") from None
    request = _mapping(request, "the request")
    given = request.get("id", "")
    if not isinstance(given, str) or len(given) > _LONGEST_ID or not given.isprintable():
        raise RefusedError(400, f"'id' must be text of at most {_LONGEST_ID} printable characters")
    images = _images(request, tensors, signature)
    return Query(given, images, _wants_binary(request))


def reply(query: Query, answers: Answers, signature: Signature, remaining: int) -> tuple[bytes, dict[str, str]]:
    """Write the answers float32 `[N,K]` to a query: the body and its headers, names in lower case."""
    output: dict[str, Any] = {"name": OUTPUT, "datatype": "FP32", "shape": list(answers.shape)}
    content = np.ascontiguousarray(answers, "<f4")
    if query.is_binary:
        output["parameters"] = {"binary_data_size": content.nbytes}
    else:
        output["data"] = content.ravel().tolist()
    described = {
        "model_name": signature.name,
        "model_version": VERSION,
        **({"id": query.id} if query.id else {}),
        "parameters": {"remaining": remaining},
        "outputs": [output],
    }
    head = as_json(described)
    if not query.is_binary:
        return head, {"content-type": "application/json"}
    return head + content.tobytes(), {"content-type": BINARY, JSON_LENGTH.lower(): str(len(head))}


def _parts(body: bytes, json_length: str | None) -> tuple[bytes, memoryview]:
    if json_length is None:
        return body, memoryview(b"")
    length = int(json_length) if json_length.isascii() and json_length.isdecimal() and len(json_length) < 12 else -1
    if not 0 < length <= len(body):
        raise RefusedError(400, f"the header {JSON_LENGTH} must be a number from 1 to the body's {len(body)} bytes")
    return body[:length], memoryview(body)[length:]


def _images(request: Mapping[str, Any], tensors: memoryview, signature: Signature) -> Pixels:
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise RefusedError(400, f"'inputs' must be a list of one tensor, '{INPUT}'")
    given = _mapping(inputs[0], "an input")
    if given.get("name") != INPUT:
        raise RefusedError(400, unknown_name("input", _text(given.get("name")), [INPUT]))
    if given.get("datatype") != "UINT8":
        raise RefusedError(400, f"'{INPUT}' is {_text(given.get('datatype'))}; it must be UINT8, whole grey levels")
    shape = _shape(given.get("shape"), signature)
    size = _parameters(given).get("binary_data_size")
    if (size is None) == ("data" not in given):
        raise RefusedError(400, f"'{INPUT}' needs either 'data' or the parameter 'binary_data_size'")
    content = _flat(given["data"], shape) if size is None else _binary(size, tensors, shape)
    if size is None and tensors:
        raise RefusedError(400, f"{len(tensors)} bytes follow the JSON and no input has 'binary_data_size'")
    return np.frombuffer(bytearray(content), np.uint8).reshape(shape)


def _shape(given: Any, signature: Signature) -> list[int]:
    wanted = list(signature.shape)
    if not isinstance(given, list) or any(type(extent) is not int for extent in given) or len(given) != 4:
        raise RefusedError(400, f"'shape' must be [N, {wanted[0]}, {wanted[1]}, {wanted[2]}], N images")
    if given[1:] != wanted or given[0] < 1:
        told = f"[{', '.join(_short(extent) for extent in given)}]"
        raise RefusedError(400, f"the shape is {told}; it must be [N, {wanted[0]}, {wanted[1]}, {wanted[2]}], N from 1")
    if given[0] > signature.most_images:
        told = f"{_short(given[0])} images in one request; at most {signature.most_images} are taken, send several"
        raise RefusedError(413, told)
    return given


def _binary(size: Any, tensors: memoryview, shape: list[int]) -> memoryview:
    needed = prod(shape)
    if type(size) is not int or size != needed:
        raise RefusedError(400, f"'binary_data_size' must be {needed}, the bytes of that shape")
    if len(tensors) != needed:
        raise RefusedError(400, f"{len(tensors)} bytes follow the JSON; 'binary_data_size' says {needed}")
    return tensors


def _flat(data: Any, shape: list[int]) -> bytes:
    """Take flat or nested data as bytes, which only whole numbers from 0 to 255 can become."""
    if not isinstance(data, list):
        raise RefusedError(400, "'data' must be a list of whole numbers from 0 to 255")
    if data and isinstance(data[0], list):
        if len(data) != shape[0]:
            raise RefusedError(400, f"'data' has {len(data)} entries; a shape of {shape} has {shape[0]}")
        for below in shape[1:]:
            if not all(isinstance(row, list) and len(row) == below for row in data):
                raise RefusedError(400, f"'data' is not nested as the shape {shape} says")
            data = list(chain.from_iterable(data))
    if len(data) != prod(shape):
        raise RefusedError(400, f"'data' has {len(data)} values; a shape of {shape} has {prod(shape)}")
    try:
        return bytes(data)
    except (ValueError, TypeError):
        raise RefusedError(400, "'data' must hold whole numbers from 0 to 255 alone") from None


def _wants_binary(request: Mapping[str, Any]) -> bool:
    chosen = _switch(_parameters(request).get("binary_data_output"))
    outputs = request.get("outputs", [])
    if not isinstance(outputs, list) or len(outputs) > 1:
        raise RefusedError(400, f"'outputs' must be a list of at most one tensor, '{OUTPUT}'")
    for output in outputs:
        named = _mapping(output, "an output")
        if named.get("name") != OUTPUT:
            raise RefusedError(400, unknown_name("output", _text(named.get("name")), [OUTPUT]))
        parameters = _parameters(named)
        if "classification" in parameters:
            raise RefusedError(400, "the parameter 'classification' is not offered; read the probabilities")
        chosen = _switch(parameters.get("binary_data", chosen))
    return chosen


def _switch(given: Any) -> bool:
    if not isinstance(given, bool | None):
        raise RefusedError(400, "'binary_data' and 'binary_data_output' must be true or false")
    return bool(given)


def _parameters(owner: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(owner.get("parameters", {}), "'parameters'")


def _mapping(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise RefusedError(400, f"{what} must be a JSON object")
    return given


def _text(given: Any) -> str:
    return given[:80] if isinstance(given, str) else "no text"


def _short(extent: int) -> str:
    return str(extent) if abs(extent) < 10**9 else "a very large number"
