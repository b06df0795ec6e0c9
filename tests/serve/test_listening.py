"""A server at a port: the clients of others, and connections that end early."""

import json
import socket
import urllib.request
from typing import Any

import numpy as np
import pytest
import torch
import tritonclient.http as triton
from served import PLACE, TOKEN, SumsBuild, as_json, images, listening, service


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_tritonclient_has_the_builds_own_answers(compression: str | None) -> None:
    asked = images(1000)
    wanted = SumsBuild().predict(asked).softmax(1).numpy()
    with listening(service()) as address:
        web = triton.InferenceServerClient(address)
        try:
            assert web.is_server_live()
            assert web.is_server_ready()
            assert web.is_model_ready("model")
            described = web.get_model_metadata("model", headers={"Authorization": f"Bearer {TOKEN}"})
            assert described["inputs"][0]["name"] == "image"
            for count, is_binary in ((1, True), (1000, True), (1, False), (1000, False)):
                tensor = triton.InferInput("image", [count, 3, 4, 4], "UINT8")
                tensor.set_data_from_numpy(asked[:count].numpy(), binary_data=is_binary)
                output = triton.InferRequestedOutput("probabilities", binary_data=is_binary)
                # It writes into the headers that it is given.
                headers = {"Authorization": f"Bearer {TOKEN}"}
                reply = web.infer(
                    "model",
                    [tensor],
                    outputs=[output],
                    headers=headers,
                    request_id=f"q{count}",
                    request_compression_algorithm=compression,
                )
                assert np.array_equal(reply.as_numpy("probabilities"), wanted[:count])
                assert reply.get_response()["id"] == f"q{count}"
        finally:
            web.close()


def test_a_body_that_ends_early_is_not_charged_and_harms_nobody() -> None:
    with listening(service()) as address:
        host, _, port = address.partition(":")
        head = f"POST {PLACE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 900\r\n\r\n"
        for sent in (head.encode() + b"{", b"\x00\xff\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"):
            with socket.create_connection((host, int(port)), timeout=5) as wire:
                wire.sendall(sent)
        body = json.dumps(as_json(images(2))).encode()
        request = urllib.request.Request(f"http://{address}{PLACE}", body, {"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            answered: dict[str, Any] = json.loads(reply.read())
    assert answered["parameters"] == {"remaining": 49_998}
    assert torch.tensor(answered["outputs"][0]["data"]).shape == (6,)
