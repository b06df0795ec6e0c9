"""The Open Inference Protocol: every way to send images has the build's own answers, and what is wrong has one line."""

import gzip
import json
import zlib
from typing import Any

import jsonschema
import pytest
import torch
from served import OPERATOR, PLACE, SumsBuild, answers_in, as_binary, as_json, client, images, service

from edgerift.defend import Rounding

ASKED = images(5)
WANTED = SumsBuild().predict(ASKED).softmax(1)


def nested() -> dict[str, Any]:
    content = as_json(ASKED)
    content["inputs"][0]["data"] = ASKED.tolist()
    return content


def test_every_encoding_has_the_builds_own_answers_bit_by_bit() -> None:
    body, headers = as_binary(ASKED, id="one")
    with client(service()) as web:
        sent = [
            web.post(PLACE, json=as_json(ASKED)),
            web.post(PLACE, json=nested()),
            web.post(
                PLACE, json=as_json(ASKED, outputs=[{"name": "probabilities", "parameters": {"binary_data": True}}])
            ),
            web.post(PLACE, content=body, headers=headers),
            web.post(PLACE, content=gzip.compress(body), headers={**headers, "Content-Encoding": "gzip"}),
            web.post(PLACE, content=zlib.compress(body), headers={**headers, "Content-Encoding": "deflate"}),
            web.post("/v2/models/model/versions/1/infer", json=as_json(ASKED)),
        ]
    for response in sent:
        assert torch.equal(answers_in(response), WANTED)
    assert [response.headers["content-type"] for response in sent[1:4]] == [
        "application/json",
        "application/octet-stream",
        "application/octet-stream",
    ]


def test_the_reply_repeats_the_id_and_tells_the_rest_of_the_budget() -> None:
    with client(service(budget=9)) as web:
        reply = web.post(PLACE, json=as_json(ASKED, id="first")).json()
        assert reply["id"] == "first"
        assert reply["parameters"] == {"remaining": 4}
        assert "id" not in web.post(PLACE, json=as_json(ASKED)).json()


def test_answers_are_defended() -> None:
    with client(service(defences=(Rounding(decimals=1),))) as web:
        given = answers_in(web.post(PLACE, json=as_json(ASKED)))
    assert torch.equal(given, Rounding(decimals=1)(WANTED))
    assert not torch.equal(given, WANTED)


def test_metadata_and_health() -> None:
    with client(service()) as web, client(service(), token=None) as anyone:
        assert web.get("/v2").json() == {"name": "edgerift", "version": "1.0", "extensions": ["binary_tensor_data"]}
        assert web.get("/v2/models/model").json()["inputs"] == [
            {"name": "image", "datatype": "UINT8", "shape": [-1, 3, 4, 4]}
        ]
        assert web.get("/v2/models/model").json()["outputs"][0]["shape"] == [-1, 3]
        for place in (
            "/v2/health/live",
            "/v2/health/ready",
            "/v2/models/model/ready",
            "/v2/models/model/versions/1/ready",
        ):
            assert anyone.get(place).status_code == 200
        assert anyone.get("/v2/models/other/ready").status_code == 404


def changed(place: str, value: Any) -> dict[str, Any]:
    content = as_json(images(1))
    content["inputs"][0][place] = value
    return content


def wrong_bodies() -> list[tuple[str, Any, int, str]]:
    flat = images(1).flatten().tolist()
    tensor = as_json(images(1))["inputs"][0]
    return [
        ("no object", [], 400, "the request must be a JSON object"),
        ("no inputs", {}, 400, "'inputs' must be a list of one tensor, 'image'"),
        ("two inputs", {"inputs": [tensor, tensor]}, 400, "list of one tensor"),
        ("an input of text", {"inputs": ["image"]}, 400, "an input must be a JSON object"),
        ("name", changed("name", "imagee"), 400, "unknown input 'imagee'; did you mean 'image'? Known: image"),
        ("no name", changed("name", None), 400, "unknown input"),
        ("datatype", changed("datatype", "FP32"), 400, "'image' is FP32; it must be UINT8"),
        ("shape of text", changed("shape", ["1", 3, 4, 4]), 400, "'shape' must be [N, 3, 4, 4]"),
        ("shape of truth", changed("shape", [True, 3, 4, 4]), 400, "'shape' must be [N, 3, 4, 4]"),
        ("other size", changed("shape", [1, 3, 4, 5]), 400, "the shape is [1, 3, 4, 5]; it must be [N, 3, 4, 4]"),
        ("no images", changed("shape", [0, 3, 4, 4]), 400, "N from 1"),
        ("negative", changed("shape", [-1, 3, 4, 4]), 400, "N from 1"),
        ("huge", changed("shape", [10**30, 3, 4, 4]), 413, "a very large number images in one request; at most 1024"),
        ("too many", changed("shape", [1025, 3, 4, 4]), 413, "1025 images in one request; at most 1024"),
        ("too few values", changed("data", flat[:-1]), 400, "'data' has 47 values; a shape of [1, 3, 4, 4] has 48"),
        ("no list", changed("data", "0" * 48), 400, "'data' must be a list"),
        ("over 255", changed("data", [*flat[:-1], 256]), 400, "whole numbers from 0 to 255"),
        ("below 0", changed("data", [*flat[:-1], -1]), 400, "whole numbers from 0 to 255"),
        ("a float", changed("data", [*flat[:-1], 0.5]), 400, "whole numbers from 0 to 255"),
        ("text", changed("data", [*flat[:-1], "7"]), 400, "whole numbers from 0 to 255"),
        ("null", changed("data", [*flat[:-1], None]), 400, "whole numbers from 0 to 255"),
        ("ragged", changed("data", [[[[0] * 4] * 4] * 2]), 400, "not nested as the shape"),
        ("half nested", changed("data", [[flat]]), 400, "not nested as the shape"),
        ("no data", changed("data", None) | {}, 400, "'data' must be a list"),
        (
            "a size without bytes",
            changed("parameters", {"binary_data_size": 48}),
            400,
            "either 'data' or the parameter",
        ),
        ("parameters", changed("parameters", 3), 400, "'parameters' must be a JSON object"),
        ("id", as_json(images(1), id=7), 400, "'id' must be text"),
        ("long id", as_json(images(1), id="x" * 129), 400, "at most 128"),
        ("unprintable id", as_json(images(1), id="a\nb"), 400, "printable"),
        ("outputs", as_json(images(1), outputs="all"), 400, "'outputs' must be a list"),
        ("output", as_json(images(1), outputs=[{"name": "logits"}]), 400, "unknown output 'logits'"),
        ("switch", as_json(images(1), parameters={"binary_data_output": "yes"}), 400, "must be true or false"),
        (
            "classification",
            as_json(images(1), outputs=[{"name": "probabilities", "parameters": {"classification": 3}}]),
            400,
            "'classification' is not offered",
        ),
    ]


@pytest.fixture(scope="module")
def web() -> Any:
    with client(service(largest_body=4096)) as opened:
        yield opened


def refused(response: Any, status: int, text: str) -> None:
    assert response.status_code == status, response.text
    body = response.json()
    assert body.keys() == {"error"}
    assert text in body["error"]
    assert "\n" not in body["error"]
    assert len(body["error"]) <= 500


@pytest.mark.parametrize(
    ("body", "status", "text"), [case[1:] for case in wrong_bodies()], ids=[c[0] for c in wrong_bodies()]
)
def test_a_wrong_request_is_refused_in_one_line(web: Any, body: Any, status: int, text: str) -> None:
    refused(web.post(PLACE, json=body), status, text)


def wrong_bytes() -> list[tuple[str, bytes, dict[str, str], int, str]]:
    body, headers = as_binary(images(1))
    length = "Inference-Header-Content-Length"
    packed = {"Content-Encoding": "gzip"}
    return [
        ("empty", b"", {}, 400, "not JSON"),
        ("no JSON", b"{", {}, 400, "not JSON"),
        ("not a number", b'{"inputs": NaN}', {}, 400, "not JSON"),
        ("deep", b"[" * 3000, {}, 400, "not JSON"),
        ("half a character", b'{"id": "\\ud800"}', {}, 400, "not JSON"),
        ("length of text", body, {length: "ten"}, 400, "must be a number from 1"),
        ("negative length", body, {length: "-1"}, 400, "must be a number from 1"),
        ("length of zero", body, {length: "0"}, 400, "must be a number from 1"),
        ("length too long", body, {length: "99999"}, 400, f"to the body's {len(body)} bytes"),
        ("enormous length", body, {length: "9" * 4000}, 400, "must be a number from 1"),
        ("length too short", body, {length: "9"}, 400, "not JSON"),
        ("missing bytes", body[:-1], headers, 400, "47 bytes follow the JSON; 'binary_data_size' says 48"),
        ("more bytes", body + b"0", headers, 400, "49 bytes follow the JSON"),
        ("no length", body, {}, 400, "not JSON"),
        ("no gzip", body, packed, 400, "the body is not gzip"),
        ("half a gzip", gzip.compress(body)[:-9], packed, 400, "not one whole gzip stream"),
        ("two gzips", gzip.compress(b"{}") * 2, packed, 400, "not one whole gzip stream"),
        ("bomb", gzip.compress(b"0" * 10**6), packed, 413, "the body is larger than 4,096 bytes"),
        ("brotli", body, {"Content-Encoding": "br"}, 400, "Content-Encoding must be one of gzip, deflate"),
        ("large", b"0" * 4097, {}, 413, "send fewer images in each request"),
        ("says it is large", b"0", {"Content-Length": "9" * 30}, 413, "larger than"),
    ]


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"), [case[1:] for case in wrong_bytes()], ids=[case[0] for case in wrong_bytes()]
)
def test_a_wrong_body_is_refused_in_one_line(
    web: Any, body: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    refused(web.post(PLACE, content=body, headers=headers), status, text)


def test_a_body_in_pieces_has_the_same_limit(web: Any) -> None:
    refused(web.post(PLACE, content=iter([b"0" * 1000] * 5)), 413, "larger than 4,096 bytes")


@pytest.mark.parametrize(
    ("method", "place", "status", "text"),
    [
        ("POST", "/v2/models/modle/infer", 404, "unknown model 'modle'; did you mean 'model'?"),
        ("POST", "/v2/models/model/versions/2/infer", 404, "unknown version '2'"),
        ("GET", "/v2/models/..%2f..%2fetc/ready", 404, ""),
        ("GET", "/v2/nothing", 404, "no such address"),
        ("GET", "/v2/models/model/infer", 405, "does not take that method"),
        ("POST", "/v2", 405, "does not take that method"),
    ],
)
def test_an_unknown_address_is_refused_in_one_line(web: Any, method: str, place: str, status: int, text: str) -> None:
    refused(web.request(method, place, json=as_json(images(1))), status, text)


def test_a_wrong_request_costs_nothing(web: Any) -> None:
    before = web.get("/client").json()["spent"]
    for _, body, _, _ in wrong_bodies()[:8]:
        web.post(PLACE, json=body)
    assert web.get("/client").json()["spent"] == before


def test_the_description_is_that_of_the_replies() -> None:
    with client(service()) as web:
        described = web.get("/openapi.json").json()
        schemas = described["components"]["schemas"]

        def fits(reply: Any, place: str, method: str, status: str) -> None:
            content = described["paths"][place][method]["responses"][status]["content"]["application/json"]["schema"]
            jsonschema.validate(reply, {**content, "components": {"schemas": schemas}})

        fits(web.get("/client").json(), "/client", "get", "200")
        fits(web.get("/v2/models/model").json(), "/v2/models/{name}", "get", "200")
        infer = "/v2/models/{name}/infer"
        fits(web.post(PLACE, json=as_json(ASKED, id="a")).json(), infer, "post", "200")
        for status, sent in (
            ("400", {}),
            ("409", as_json(images(2), id="a")),
            ("413", changed("shape", [9999, 3, 4, 4])),
        ):
            response = web.post(PLACE, json=sent)
            assert str(response.status_code) == status
            fits(response.json(), infer, "post", status)
        request = {"$ref": "#/components/schemas/InferenceRequest", "components": {"schemas": schemas}}
        jsonschema.validate(as_json(ASKED), request)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed("datatype", "FP32"), request)
        assert "422" not in described["paths"][infer]["post"]["responses"]
        assert all(place.split("{")[0] in json.dumps(described["paths"]) for place in ("/", "/v2", "/metrics"))


def test_the_page_runs_its_own_script_alone() -> None:
    with client(service(), token=None) as web:
        page = web.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "<h1>model</h1>" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_metrics_are_the_operators() -> None:
    with client(service(budget=50)) as web:
        web.post(PLACE, json=as_json(ASKED))
        web.post(PLACE, json=as_json(ASKED))
        web.post(PLACE, json={})
        refused(web.get("/metrics"), 401, "the operator's token")
        text = web.get("/metrics", headers={"Authorization": f"Bearer {OPERATOR}"}).text
    lines = text.splitlines()
    assert 'edgerift_requests_total{client="alice",status="200"} 2.0' in lines
    assert 'edgerift_requests_total{client="alice",status="400"} 1.0' in lines
    assert 'edgerift_images_total{client="alice"} 10.0' in lines
    assert 'edgerift_charged_images_total{client="alice"} 5.0' in lines
    assert 'edgerift_budget_remaining_images{client="alice"} 45.0' in lines
    assert 'edgerift_budget_remaining_images{client="bob"} 50.0' in lines
    assert "edgerift_request_seconds_count 2.0" in lines
