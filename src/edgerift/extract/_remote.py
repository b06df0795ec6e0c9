"""A victim behind an API: any endpoint of the Open Inference Protocol, asked as an attacker would ask it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, final

import numpy as np
import torch
import xxhash
from torch import Tensor

from edgerift.errors import InputError, ModelError, unknown_name
from edgerift.extract._endpoint import Endpoint, Reply, read_address
from edgerift.images import in_channels, to_float
from edgerift.measure import Logits
from edgerift.settings import Settings
from edgerift.specification import Specification

#: The number types of images, and of answers.
_IMAGES: Final = {"UINT8": "uint8", "INT8": "int8", "FP16": "float16", "FP32": "float32"}
_ANSWERS: Final = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
_BATCH: Final = 64
_TOLERANCE: Final = 1e-4
_PROBABILITIES: Final = "probabilities"


class RemoteFingerprint(Settings):
    """Whose answers a ledger of a remote victim holds: the endpoint's address and what it says of its model."""

    address: str
    model: str


@final
class RemoteVictim:
    """A model behind an endpoint of the Open Inference Protocol (KServe v2): edgerift, Triton, MLServer, OpenVINO.

    Only query an endpoint that is yours, or that you are authorised to test: `authorised` has to be said. `url` is
    `http://HOST:PORT`, also with `/v2/models/NAME` behind it. Images uint8 `[N,C,H,W]` are sent as the endpoint says
    that it takes them, at most `batch` per request and `rate` per second (default: as fast as it answers);
    `specification` says what its metadata do not, such as a normalisation. A request that fails is sent again after a
    pause that grows, with the same id, so that an endpoint that charges charges once. An answer is a row of
    probabilities where the output is named so or the specification says it; else that is found out from the answers.

    Raises :class:`~edgerift.errors.InputError` without authorisation, and for an endpoint that cannot be reached or
    takes no images, :class:`~edgerift.errors.BudgetError` where it answers no more, and
    :class:`~edgerift.errors.ModelError` for answers that are none.
    """

    def __init__(
        self,
        url: str,
        *,
        authorised: bool = False,
        model: str | None = None,
        token: str | None = None,
        rate: float | None = None,
        batch: int = _BATCH,
        specification: Specification | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read what the endpoint says of its model; nothing is asked of the model yet."""
        address = read_address(url, model)
        if not authorised:
            raise InputError(
                f"{address.shown}: querying an endpoint to copy its model needs its owner's consent; say "
                "authorised=True (--i-am-authorised) if it is yours"
            )
        if batch < 1 or not (rate is None or rate > 0):
            raise InputError(f"batch is {batch} and rate {rate}; both must be greater than 0")
        self._endpoint = Endpoint(address, token, sleep=sleep)
        self._batch, self._rate, self._sleep = batch, rate, sleep
        self._next = 0.0
        try:
            self._read(specification)
        except BaseException:
            self.close()
            raise
        self._logits = Logits(self.predict, "the endpoint", asks_more=False)

    @property
    def shown(self) -> str:
        """The address of the model."""
        return self._endpoint.address.shown

    @property
    def classes(self) -> int | None:
        """How many classes it answers, where it says so."""
        last = _extents(self._output)[-1:]
        return last[0] if last and last[0] > 0 else None

    def fingerprint(self) -> RemoteFingerprint:
        """Return what a ledger of its answers belongs to."""
        return RemoteFingerprint(address=self.shown, model=json.dumps(self._metadata, sort_keys=True))

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with float32 scores `[N,K]`, as the endpoint gives them."""
        size = self._extents[0] if self._extents[0] > 0 else self._batch
        return torch.cat([self._answered(part, size) for part in images.split(min(size, self._batch))])

    def posteriors(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with probabilities float32 `[N,K]`: as they were sent, where they are that.

        A row that does not add up to 1, since only its highest values were sent, is divided by its sum.
        """
        kind = self._specification.output.kind
        if kind is None and self._output.get("name") == _PROBABILITIES:
            kind = _PROBABILITIES
        if kind != _PROBABILITIES:
            return self._logits.posteriors(images)
        rows = self.predict(images)
        total = rows.sum(1, keepdim=True)
        if not bool((rows >= 0).all()) or not bool((total > 0).all()):
            raise ModelError(f"{self.shown} answered with values that are no probabilities; give output kind=logits")
        return torch.where((total - 1).abs() > _TOLERANCE, rows / total, rows)

    def close(self) -> None:
        """End the connection."""
        self._endpoint.close()

    def _read(self, specification: Specification | None) -> None:
        """Find out what the endpoint takes and answers."""
        self._metadata = self._endpoint.get(self._endpoint.address.place).content
        self._is_binary = "binary_tensor_data" in _list(self._server().get("extensions"))
        self._input = _only(self._metadata, "inputs")
        self._type = _IMAGES.get(str(self._input.get("datatype")))
        self._extents = _extents(self._input)
        if self._type is None or len(self._extents) != 4:
            raise InputError(
                f"{self.shown} takes {self._input.get('datatype')} {list(self._extents)}; an image classifier "
                f"takes one tensor of four dimensions, of {', '.join(_IMAGES)}"
            )
        self._specification = self._specified(specification)
        self._output = _only(self._metadata, "outputs", self._specification.output.name)

    def _server(self) -> Mapping[str, Any]:
        return self._endpoint.get(f"{self._endpoint.address.prefix}/v2").content

    def _specified(self, given: Specification | None) -> Specification:
        """Fill in what the metadata say: the number type, the layout and whether images are grey."""
        wanted = given or Specification()
        fields: dict[str, Any] = {"dtype": self._type}
        if wanted.input.layout == "nchw" and self._extents[1] not in (1, 3) and self._extents[3] in (1, 3):
            fields["layout"] = "nhwc"
        channels = self._extents[3 if fields.get("layout", wanted.input.layout) == "nhwc" else 1]
        if channels == 1:
            fields["channels"] = "grey"
        return wanted.replace(input=wanted.input.replace(**fields))

    def _answered(self, images: Tensor, size: int) -> Tensor:
        self._wait(len(images))
        prepared = self._prepared(images)
        if self._extents[0] > 0 and len(prepared) < size:
            blank = np.zeros((size - len(prepared), *prepared.shape[1:]), prepared.dtype)
            prepared = np.concatenate([prepared, blank])
        body, headers = self._request(prepared)
        reply = self._endpoint.post(f"{self._endpoint.address.place}/infer", body, headers)
        scores = _scores(reply, str(self._output.get("name")), self.shown)
        if len(scores) != len(prepared):
            raise ModelError(f"{self.shown} gave {len(scores)} answers to {len(prepared)} images")
        return scores[: len(images)]

    def _prepared(self, images: Tensor) -> np.ndarray[Any, Any]:
        wanted = self._specification.input
        channels = self._extents[1] if wanted.layout == "nchw" else self._extents[3]
        shown = in_channels(images, channels) if channels in (1, 3) else images
        ready = wanted.cast(wanted.prepare(to_float(shown)))
        for found, extent in zip(ready.shape[1:], self._extents[1:], strict=True):
            if extent > 0 and found != extent:
                raise InputError(
                    f"{self.shown} takes images {list(self._extents[1:])}; got {list(ready.shape[1:])}: resize them "
                    "with --size"
                )
        return np.ascontiguousarray(ready.cpu().numpy())

    def _request(self, prepared: np.ndarray[Any, Any]) -> tuple[bytes, dict[str, str]]:
        content = prepared.tobytes()
        tensor: dict[str, Any] = {
            "name": self._input.get("name"),
            "shape": list(prepared.shape),
            "datatype": self._input.get("datatype"),
        }
        output = {"name": self._output.get("name")}
        identity = xxhash.xxh3_128_hexdigest(content, prepared.shape[0])
        if not self._is_binary:
            tensor["data"] = prepared.ravel().tolist()
            request = {"id": identity, "inputs": [tensor], "outputs": [output]}
            return json.dumps(request).encode(), {"Content-Type": "application/json"}
        tensor["parameters"] = {"binary_data_size": len(content)}
        wanted = {**output, "parameters": {"binary_data": True}}
        head = json.dumps({"id": identity, "inputs": [tensor], "outputs": [wanted]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
        return head + content, headers

    def _wait(self, count: int) -> None:
        """Wait until the rate allows as many images."""
        if self._rate is None:
            return
        now = time.monotonic()
        if self._next > now:
            self._sleep(self._next - now)
        self._next = max(self._next, now) + count / self._rate


def _scores(reply: Reply, name: str, whose: str) -> Tensor:
    """Read one output of a reply as float32 `[N,K]`, in JSON or behind it."""
    place = 0
    for output in _list(reply.content.get("outputs")):
        found = output if isinstance(output, dict) else {}
        size = (
            found.get("parameters", {}).get("binary_data_size") if isinstance(found.get("parameters"), dict) else None
        )
        content = reply.tensors[place : place + size] if isinstance(size, int) else None
        place += size if isinstance(size, int) else 0
        if found.get("name") == name:
            return _tensor(found, content, whose)
    raise ModelError(f"{whose} did not answer with the output '{name}'")


def _tensor(output: Mapping[str, Any], content: bytes | None, whose: str) -> Tensor:
    shape, kind = _extents(output), _ANSWERS.get(str(output.get("datatype")))
    try:
        if kind is None or not shape:
            raise ValueError
        values = np.frombuffer(content, kind) if content is not None else _numbers(output.get("data"))
        rows = values.astype(np.float32).reshape(shape[0], math.prod(shape[1:]))
    except (ValueError, TypeError, OverflowError):
        raise ModelError(f"{whose} answered with a tensor that is not what it says of it") from None
    return torch.from_numpy(rows.copy())


def _numbers(data: Any) -> np.ndarray[Any, Any]:
    flat = data
    while isinstance(flat, list) and flat and isinstance(flat[0], list):
        flat = [value for row in flat for value in row]
    if not isinstance(flat, list) or not all(isinstance(value, int | float) for value in flat):
        raise ValueError
    return np.array(flat, np.float64)


def _only(metadata: Mapping[str, Any], what: str, name: str = "") -> Mapping[str, Any]:
    found = {str(one.get("name")): one for one in _list(metadata.get(what)) if isinstance(one, dict)}
    if name:
        if name not in found:
            raise InputError(unknown_name(what.removesuffix("s"), name, found))
        return found[name]
    if not found or (what == "inputs" and len(found) > 1):
        raise InputError(f"the endpoint's model has {len(found)} {what}; an image classifier has one")
    return next(iter(found.values()))


def _extents(tensor: Mapping[str, Any]) -> tuple[int, ...]:
    try:
        return tuple(int(extent) for extent in _list(tensor.get("shape")))
    except (TypeError, ValueError):
        return ()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
