"""A build whose answers are sums of whole numbers, and how it is served in a test."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi.testclient import TestClient
from torch import Tensor

from edgerift.deploy import Fingerprint
from edgerift.images import ImageShape
from edgerift.serve import Clients, ServeSettings, Service, application

SHAPE = ImageShape(3, 4, 4)
TOKEN, OTHER, OPERATOR = "alice-0123456789abcdef", "bob-0123456789abcdefgh", "operator-0123456789abc"
PLACE = "/v2/models/model/infer"


class SumsBuild:
    """Scores of three classes, exact whatever the batch; `calls` lists the batches that it was given."""

    runtime, path = "sums", Path("sums.onnx")

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.weights = torch.randint(-9, 10, (SHAPE.channels * SHAPE.height * SHAPE.width, 3), generator=generator)
        self.calls: list[int] = []

    def predict(self, images: Tensor) -> Tensor:
        self.calls.append(len(images))
        return (images.flatten(1).long() @ self.weights).float() / 512

    def fingerprint(self) -> Fingerprint:
        return Fingerprint(runtime="sums", version="1", sha256="0", processor="", instructions="")

    def integer_macs(self) -> float:
        return 1.0


def images(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, *SHAPE), dtype=torch.uint8, generator=generator)


def two_clients(**fields: Any) -> Clients:
    return Clients(clients={"alice": {"token": TOKEN, **fields}, "bob": {"token": OTHER}}, operator=OPERATOR)


def service(build: Any = None, clients: Clients | None = None, folder: Path | None = None, **fields: Any) -> Service:
    return Service(
        build or SumsBuild(), SHAPE, clients=clients or two_clients(), settings=ServeSettings(**fields), folder=folder
    )


def client(served: Service, token: str | None = TOKEN) -> TestClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return TestClient(application(served, "1.0"), headers=headers, raise_server_exceptions=False)


def as_json(asked: Tensor, **fields: Any) -> dict[str, Any]:
    data = asked.flatten().tolist()
    return {"inputs": [{"name": "image", "datatype": "UINT8", "shape": list(asked.shape), "data": data}], **fields}


def as_binary(asked: Tensor, **fields: Any) -> tuple[bytes, dict[str, str]]:
    content = asked.numpy().tobytes()
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(asked.shape)}
    head = json.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": len(content)}}],
            "parameters": {"binary_data_output": True},
            **fields,
        }
    ).encode()
    return head + content, {"Inference-Header-Content-Length": str(len(head))}


def answers_in(response: Any) -> Tensor:
    """Read the answers of a reply, in JSON or in binary."""
    assert response.status_code == 200, response.text
    length = response.headers.get("Inference-Header-Content-Length")
    head = response.content if length is None else response.content[: int(length)]
    output = json.loads(head)["outputs"][0]
    if length is None:
        return torch.tensor(output["data"]).reshape(output["shape"])
    content = bytearray(response.content[int(length) :])
    assert len(content) == output["parameters"]["binary_data_size"]
    return torch.frombuffer(content, dtype=torch.float32).reshape(output["shape"])


@contextmanager
def listening(served: Service) -> Iterator[str]:
    """Serve at a free port of this machine while the block lasts; yields `127.0.0.1:PORT`."""
    server = uvicorn.Server(uvicorn.Config(application(served), log_config=None, access_log=False, lifespan="on"))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield f"127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
