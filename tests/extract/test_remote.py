"""A victim behind an API: the answers of the build behind it, sent as any endpoint wants them, once for each charge."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from edgerift.errors import BudgetError, InputError, ModelError
from edgerift.extract import GivenEndpoint, Oracle, RemoteVictim, given_endpoint
from edgerift.specification import Specification

Reply = tuple[int, dict[str, Any], dict[str, str]]


def images(count: int, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(256, (count, channels, 4, 4), dtype=torch.uint8, generator=generator)


def sums(inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Scores of two classes: the sums of the upper and of the lower half of the numbers."""
    rows = inputs.reshape(len(inputs), -1).astype(np.float64)
    half = rows.shape[1] // 2
    return np.stack([rows[:, :half].sum(1), rows[:, half:].sum(1)], 1)


class Model:
    """An endpoint's model; `replies` are sent first, in their order, before it answers."""

    def __init__(self, datatype: str, shape: list[int], *, output: str = "scores", binary: bool = True) -> None:
        self.datatype, self.shape, self.output, self.binary = datatype, shape, output, binary
        self.replies: list[Reply] = []
        self.requests: list[dict[str, Any]] = []
        self.inputs: list[np.ndarray[Any, Any]] = []
        self.answer: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]] = sums

    def get(self, path: str) -> Reply:
        if path == "/v2":
            return 200, {"name": "x", "extensions": ["binary_tensor_data"] if self.binary else []}, {}
        if path != "/v2/models/cats":
            return 404, {"error": "no such model"}, {}
        inputs = [{"name": "x", "datatype": self.datatype, "shape": self.shape}]
        return 200, {"name": "cats", "inputs": inputs, "outputs": [{"name": self.output, "shape": [-1, 2]}]}, {}

    def infer(self, request: dict[str, Any], tensors: bytes) -> Reply:
        self.requests.append(request)
        if self.replies:
            return self.replies.pop(0)
        given = request["inputs"][0]
        kind = {"UINT8": "u1", "FP32": "<f4"}[given["datatype"]]
        values = np.frombuffer(tensors, kind) if tensors else np.array(given["data"], kind)
        self.inputs.append(values.reshape(given["shape"]))
        answers = self.answer(self.inputs[-1])
        described = {"name": self.output, "datatype": "FP32", "shape": list(answers.shape)}
        return 200, {"outputs": [{**described, "data": answers.astype(np.float32).ravel().tolist()}]}, {}


@contextmanager
def served(model: Model) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        known: ClassVar[Model] = model

        def do_GET(self) -> None:
            self.reply(*self.known.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            length = int(self.headers.get("Inference-Header-Content-Length", len(body)))
            self.reply(*self.known.infer(json.loads(body[:length]), body[length:]))

        def reply(self, status: int, content: dict[str, Any], headers: dict[str, str]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v2/models/cats"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def victim(model: Model, **fields: Any) -> Iterator[RemoteVictim]:
    with served(model) as url:
        opened = RemoteVictim(url, authorised=True, **fields)
        try:
            yield opened
        finally:
            opened.close()


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    ("datatype", "shape", "given", "wanted"),
    [
        ("UINT8", [-1, 3, 4, 4], images(5), images(5).numpy()),
        ("UINT8", [-1, 4, 4, 3], images(5), images(5).permute(0, 2, 3, 1).numpy()),
        ("UINT8", [-1, 3, 4, 4], images(5, 1), images(5, 1).expand(-1, 3, -1, -1).numpy()),
        ("UINT8", [-1, 1, 4, 4], images(5, 1), images(5, 1).numpy()),
        ("FP32", [-1, 3, -1, -1], images(5), (images(5).float() / 255).numpy()),
    ],
)
def test_images_are_sent_as_the_endpoint_takes_them(
    binary: bool, datatype: str, shape: list[int], given: torch.Tensor, wanted: np.ndarray[Any, Any]
) -> None:
    model = Model(datatype, shape, binary=binary)
    with victim(model, batch=2) as remote:
        scores = remote.predict(given)
    assert [len(part) for part in model.inputs] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(model.inputs), wanted)
    torch.testing.assert_close(scores, torch.from_numpy(sums(wanted)).float())


def test_a_normalisation_that_was_said_is_applied() -> None:
    told = Specification.model_validate({"input": {"mean": [0.5], "std": [0.25]}})
    model = Model("FP32", [-1, 3, 4, 4])
    with victim(model, specification=told) as remote:
        remote.predict(images(2))
    np.testing.assert_allclose(model.inputs[0], (images(2).float().numpy() / 255 - 0.5) / 0.25, rtol=1e-5, atol=1e-6)


def test_a_fixed_batch_is_filled() -> None:
    model = Model("UINT8", [4, 3, 4, 4])
    with victim(model) as remote:
        assert len(remote.predict(images(6))) == 6
    assert [len(part) for part in model.inputs] == [4, 4]
    assert not model.inputs[1][2:].any()


def test_probabilities_are_taken_to_the_last_bit() -> None:
    model = Model("UINT8", [-1, 3, 4, 4], output="probabilities")
    rows = torch.rand(3, 2).softmax(1)
    model.answer = lambda _: rows.numpy()
    with victim(model) as remote, Oracle(remote, budget=3) as oracle:
        assert torch.equal(oracle.ask(images(3)), rows)
        model.answer = lambda _: np.array([[0.5, 0.25]])
        assert torch.equal(remote.posteriors(images(1)), torch.tensor([[0.5 / 0.75, 0.25 / 0.75]]))
        model.answer = lambda _: np.array([[1.5, -0.5]])
        with pytest.raises(ModelError, match="no probabilities"):
            remote.posteriors(images(1))


def test_logits_become_probabilities() -> None:
    model = Model("UINT8", [-1, 3, 4, 4])
    model.answer = lambda inputs: sums(inputs) / 1000
    with victim(model) as remote:
        torch.testing.assert_close(remote.posteriors(images(9)), (remote.predict(images(9))).softmax(1))


def test_a_request_is_sent_again_with_its_id_after_pauses_that_grow() -> None:
    model, pauses = Model("UINT8", [-1, 3, 4, 4]), []
    model.replies = [
        (503, {"error": "busy"}, {}),
        (429, {"error": "slow down"}, {"Retry-After": "7"}),
        (502, {}, {}),
    ]
    with victim(model, sleep=pauses.append) as remote:
        remote.predict(images(2))
        assert pauses == [0.5, 7.0, 2.0]
        identities = {request["id"] for request in model.requests}
        assert (len(model.requests), len(identities)) == (4, 1)
        remote.predict(images(3))
        assert model.requests[-1]["id"] not in identities


@pytest.mark.parametrize(
    ("replies", "kind", "told", "tries"),
    [
        ([(400, {"error": "wrong\nshape"}, {})], InputError, r"refused \(400\): wrong\\nshape", 1),
        ([(401, {"detail": "who?"}, {})], InputError, r"refused \(401\): who\?", 1),
        ([(429, {"error": "the budget is spent"}, {})] * 9, BudgetError, r"no more \(429\): the budget is spent", 3),
        ([(503, {"error": "down"}, {})] * 9, InputError, r"answers no more \(503\): down", 8),
        ([(200, {"outputs": []}, {})], ModelError, "did not answer with the output 'scores'", 1),
        ([(200, {"outputs": [{"name": "scores", "shape": [1, 2], "datatype": "FP32", "data": [1, "2"]}]}, {})],
         ModelError, "a tensor that is not what it says", 1),
        ([(200, {"outputs": [{"name": "scores", "shape": [3, 2], "datatype": "FP32", "data": [1] * 6}]}, {})],
         ModelError, "gave 3 answers to 2 images", 1),
    ],
)  # fmt: skip
def test_an_endpoint_that_does_not_answer_is_told_in_one_line(
    replies: list[Reply], kind: type[Exception], told: str, tries: int
) -> None:
    model = Model("UINT8", [-1, 3, 4, 4])
    model.replies = list(replies)
    with victim(model, sleep=lambda _: None) as remote, pytest.raises(kind, match=told) as caught:
        remote.predict(images(2))
    assert "\n" not in str(caught.value)
    assert len(model.requests) == tries


def test_a_rate_spreads_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = [100.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with victim(Model("UINT8", [-1, 3, 4, 4]), rate=4.0, batch=2, sleep=sleep) as remote:
        remote.predict(images(6))
    assert pauses == [0.5, 0.5]


def test_nobody_is_queried_without_consent() -> None:
    with pytest.raises(InputError, match=r"its owner's consent; say authorised=True \(--i-am-authorised\)"):
        RemoteVictim("http://127.0.0.1:9/v2/models/cats")


@pytest.mark.parametrize(
    "url", ["cats", "ftp://host", "http://", "http://user:word@host", "http://host:port", "http://[", "http://h?x=1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"is no endpoint; give http://HOST:PORT"):
        RemoteVictim(url, authorised=True)


def test_an_endpoint_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match=r"cannot reach http://127\.0\.0\.1:9/v2/models/model"):
        RemoteVictim("http://127.0.0.1:9", authorised=True, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("datatype", "shape"), [("BYTES", [-1, 3, 4, 4]), ("FP32", [-1, 10]), ("INT64", [-1, 3, 4, 4])]
)
def test_a_model_that_takes_no_images_is_refused(datatype: str, shape: list[int]) -> None:
    with (
        pytest.raises(InputError, match="an image classifier takes one tensor of four dimensions"),
        victim(Model(datatype, shape)),
    ):
        pass


def test_images_of_another_size_are_refused_before_they_are_sent() -> None:
    model = Model("UINT8", [-1, 3, 8, 8])
    with victim(model) as remote, pytest.raises(InputError, match=r"takes images \[3, 8, 8\]; got \[3, 4, 4\]"):
        remote.predict(images(1))
    assert model.requests == []


def test_a_recipe_names_the_endpoint_and_no_token() -> None:
    model = Model("UINT8", [-1, 3, 4, 4])
    with served(model) as url:
        one = given_endpoint(url, authorised=True, token="a-token-of-20-letters", rate=5)
        other = given_endpoint(url + "/infer", authorised=True)
        assert one.model_dump_json() == other.model_dump_json()
        assert "token" not in one.model_dump_json() + repr(one)
        model.shape = [-1, 3, 5, 5]
        assert given_endpoint(url, authorised=True).model != one.model
        with pytest.raises(InputError, match="consent"):
            GivenEndpoint.model_validate_json(one.model_dump_json()).open()
