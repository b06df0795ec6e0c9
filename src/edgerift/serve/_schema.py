"""What the replies and requests look like, for `openapi.json`."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, Field


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Whether the server runs."""

    live: bool


class Ready(BaseModel):
    """Whether the server answers."""

    ready: bool


class ModelReady(BaseModel):
    """Whether the model answers."""

    name: str
    ready: bool


class TensorMetadata(BaseModel):
    """An input or an output; -1 is any number of images."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """The model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InputTensor(BaseModel):
    """Images, row-major: in `data`, flat or nested, or behind the JSON with the parameter `binary_data_size`."""

    name: Literal["image"]
    shape: list[int]
    datatype: Literal["UINT8"]
    data: list[Any] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class RequestedOutput(BaseModel):
    """An output to give, in binary with the parameter `binary_data`."""

    name: Literal["probabilities"]
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferenceRequest(BaseModel):
    """A query: the same `id` with the same images is the same query, sent again."""

    id: str = Field(default="", max_length=128)
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] = Field(default_factory=list, max_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)


class OutputTensor(BaseModel):
    """Probabilities, row-major."""

    name: Literal["probabilities"]
    shape: list[int]
    datatype: Literal["FP32"]
    data: list[float] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferenceReply(BaseModel):
    """The answers; the parameter `remaining` is what is left of the budget."""

    model_name: str
    model_version: str
    id: str = ""
    parameters: dict[str, Any]
    outputs: list[OutputTensor]


class ClientState(BaseModel):
    """The client whose token it is: images of the budget, spent and left, and the classes of the model."""

    name: str
    budget: int
    spent: int
    remaining: int
    classes: list[str]


class Refused(BaseModel):
    """Why a request was not answered, in one line."""

    error: str


_WORDS: Final = {
    400: "The request is wrong",
    401: "No token of this server",
    403: "The client is blocked, since its monitor has alarmed",
    404: "No such model or address",
    409: "The id came before with other images",
    413: "Too many images or bytes",
    429: "The budget is spent, or too much waits already",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of an address."""
    return {status: {"model": Refused, "description": _WORDS[status]} for status in statuses}


#: The body of an inference request, which is read by hand since it may be followed by tensors.
INFERENCE: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InferenceRequest"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "parameters": [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "required": False,
            "description": "bytes of the body that are JSON, where tensors follow",
            "schema": {"type": "integer", "minimum": 1},
        }
    ],
}
