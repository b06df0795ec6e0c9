"""Clients: whose token it is, what each has paid for, ids that come again, and what survives a restart."""

import io
import json
import logging
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from served import (
    OPERATOR,
    OTHER,
    PLACE,
    SHAPE,
    TOKEN,
    SumsBuild,
    answers_in,
    as_json,
    client,
    images,
    service,
    two_clients,
)
from torch import Tensor

from edgerift.defend import Rounding
from edgerift.errors import InputError, RecipeError, StoreError
from edgerift.serve import Clients, Service, application, read_clients, require_tokens, server_log


def spent(web: Any, token: str = TOKEN) -> int:
    return int(web.get("/client", headers={"Authorization": f"Bearer {token}"}).json()["spent"])


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {OPERATOR}"]
)
def test_without_a_known_token_nothing_is_answered(header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    build = SumsBuild()
    with client(service(build), token=None) as web:
        asked = len(build.calls)
        for response in (web.post(PLACE, json={}, headers=headers), web.get("/client", headers=headers)):
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert "Authorization: Bearer TOKEN" in response.json()["error"]
    assert len(build.calls) == asked


def test_each_client_has_its_own_budget_and_defences() -> None:
    own = two_clients(budget=3, defences=[{"type": "rounding", "decimals": 0}])
    with client(service(clients=own, budget=100)) as web:
        mine = answers_in(web.post(PLACE, json=as_json(images(3))))
        theirs = answers_in(web.post(PLACE, json=as_json(images(3)), headers={"Authorization": f"Bearer {OTHER}"}))
        assert (spent(web), spent(web, OTHER)) == (3, 3)
        response = web.post(PLACE, json=as_json(images(1, seed=9)))
        assert response.status_code == 429
        assert "retry-after" not in response.headers
        assert response.json()["error"].startswith("the budget of 3 images has 0 left")
        # What was paid for costs nothing again, with a spent budget too.
        assert torch.equal(answers_in(web.post(PLACE, json=as_json(images(3)))), mine)
    assert torch.equal(mine, Rounding(decimals=0)(theirs))


def test_an_id_stands_for_its_images() -> None:
    with client(service()) as web:
        first = answers_in(web.post(PLACE, json=as_json(images(4), id="q")))
        again = answers_in(web.post(PLACE, json=as_json(images(4), id="q")))
        other = web.post(PLACE, json=as_json(images(4, seed=1), id="q"))
        assert torch.equal(first, again)
        assert other.status_code == 409
        assert spent(web) == 4
        # Another client's ids are its own.
        theirs = web.post(PLACE, json=as_json(images(4, seed=1), id="q"), headers={"Authorization": f"Bearer {OTHER}"})
        assert theirs.status_code == 200


def test_a_restart_forgets_neither_charges_nor_ids(tmp_path: Path) -> None:
    with client(service(folder=tmp_path, budget=6)) as web:
        first = answers_in(web.post(PLACE, json=as_json(images(4), id="q")))
    build = SumsBuild()
    with client(service(build, folder=tmp_path, budget=6)) as web:
        asked = len(build.calls)
        assert torch.equal(answers_in(web.post(PLACE, json=as_json(images(4), id="q"))), first)
        assert len(build.calls) == asked
        assert web.post(PLACE, json=as_json(images(2, seed=1), id="q")).status_code == 409
        assert spent(web) == 4
        assert web.post(PLACE, json=as_json(images(3, seed=1))).status_code == 429
    with pytest.raises(StoreError, match="other defences"):
        service(folder=tmp_path, defences=(Rounding(decimals=1),))


def test_two_servers_do_not_share_ledgers(tmp_path: Path) -> None:
    with client(service(folder=tmp_path)), pytest.raises(StoreError, match="in use"):
        service(folder=tmp_path)


def test_a_charge_is_on_disk_before_the_answer_leaves(tmp_path: Path) -> None:
    """A disk that refuses gives no answer and costs nothing; what is wrong names no path."""
    with client(service(folder=tmp_path)) as web:
        assert web.post(PLACE, json=as_json(images(1))).status_code == 200
        ledger = tmp_path / "alice.ledger"
        kept = ledger.read_bytes()
        ledger.unlink()
        response = web.post(PLACE, json=as_json(images(2, seed=1), id="q"))
        assert response.status_code == 503
        assert str(tmp_path) not in response.text
        assert spent(web) == 1
        ledger.write_bytes(kept)
        assert web.post(PLACE, json=as_json(images(2, seed=1), id="q")).status_code == 200
        assert spent(web) == 3


def test_a_server_that_dies_before_its_answers_leave_charges_their_retries_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on the disk behind each write is what a kill leaves: before it nothing is paid for, behind it all is."""
    flush, left = os.fsync, []

    def dying(file: int) -> None:
        flush(file)
        left.append(shutil.copytree(tmp_path / "served", tmp_path / f"left-{len(left)}"))

    with client(service(folder=tmp_path / "served")) as web:
        answers_in(web.post(PLACE, json=as_json(images(2, seed=1), id="first")))
        monkeypatch.setattr("os.fsync", dying)
        first = answers_in(web.post(PLACE, json=as_json(images(4), id="q")))
        monkeypatch.undo()
    assert len(left) == 1
    build = SumsBuild()
    with client(service(build, folder=left[0])) as web:
        asked = len(build.calls)
        assert spent(web) == 6
        assert torch.equal(answers_in(web.post(PLACE, json=as_json(images(4), id="q"))), first)
        assert web.post(PLACE, json=as_json(images(4, seed=2), id="q")).status_code == 409
        assert (spent(web), len(build.calls)) == (6, asked)


class SlowBuild(SumsBuild):
    """Waits in its third call until it is let go, so that other requests gather behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.waits = threading.Event(), threading.Event()
        self.is_slow = False

    def predict(self, asked: Tensor) -> Tensor:
        if self.is_slow:
            self.waits.set()
            assert self.gate.wait(10)
        return super().predict(asked)


def test_requests_of_many_clients_are_computed_together_and_answered_as_if_alone() -> None:
    tokens = {f"c{number}": f"token-of-client-{number:04d}" for number in range(8)}
    clients = Clients(clients={name: {"token": token} for name, token in tokens.items()})
    build = SlowBuild()
    with client(service(build, clients=clients), token=None) as web, ThreadPoolExecutor(24) as pool:
        build.is_slow, before = True, len(build.calls)

        def ask(number: int) -> Any:
            headers = {"Authorization": f"Bearer {tokens[f'c{number % 8}']}"}
            return web.post(PLACE, json=as_json(images(1 + number % 3, seed=number)), headers=headers)

        first = pool.submit(ask, 0)
        assert build.waits.wait(10)
        others = [pool.submit(ask, number) for number in range(1, 24)]
        while service_waiting(web) < 7:
            threading.Event().wait(0.005)
        build.is_slow = False
        build.gate.set()
        got = [answers_in(done.result(30)) for done in (first, *others)]
        for number, answers in enumerate(got):
            assert torch.equal(answers, SumsBuild().predict(images(1 + number % 3, seed=number)).softmax(1))
        calls = build.calls[before:]
        assert len(calls) < 24
        assert max(calls) > 3


def service_waiting(web: Any) -> int:
    """Count the clients with requests behind the runtime's."""
    return int(web.app.state.service.waiting)


class BatchBuild(SumsBuild):
    """Answers what the whole batch adds up to."""

    def predict(self, asked: Tensor) -> Tensor:
        return super().predict(asked) + asked.float().mean() / 1e4


def test_a_build_that_looks_at_its_batch_is_queried_with_one_image_at_a_time() -> None:
    asked = images(6)
    alone = torch.cat([BatchBuild().predict(image) for image in asked.split(1)]).softmax(1)
    with client(service(BatchBuild())) as web:
        assert torch.equal(answers_in(web.post(PLACE, json=as_json(asked))), alone)


class FailingBuild(SumsBuild):
    def predict(self, asked: Tensor) -> Tensor:
        if bool((asked == 7).all()):
            raise ValueError("/secret/path: the runtime crashed")
        return super().predict(asked)


def test_a_failure_is_one_line_and_stays_with_its_own_request() -> None:
    log = io.StringIO()
    served = Service(FailingBuild(), SHAPE, clients=two_clients(), log=server_log(log))
    with client(served) as web:
        failed = web.post(PLACE, json=as_json(torch.full((1, *SHAPE), 7, dtype=torch.uint8), id="bad"))
        assert failed.status_code in (500, 503)
        assert "secret" not in failed.text
        assert "Traceback" not in failed.text
        assert web.post(PLACE, json=as_json(images(2))).status_code == 200
        assert spent(web) == 2
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["failure", "inference", "inference"]
    assert lines[2] | {"time": "", "ms": 0} == {
        "time": "", "level": "info", "event": "inference", "client": "alice", "images": 2, "status": 200, "ms": 0,
    }  # fmt: skip
    assert TOKEN not in log.getvalue()


def test_what_waits_has_a_limit() -> None:
    build = SlowBuild()
    with client(service(build)) as web, ThreadPoolExecutor(2) as pool:
        web.app.state.service.accounts["alice"]._most_waiting = 3
        build.is_slow = True
        first = pool.submit(lambda: web.post(PLACE, json=as_json(images(1))))
        assert build.waits.wait(10)
        second = pool.submit(lambda: web.post(PLACE, json=as_json(images(2, seed=1))))
        while web.app.state.service.waiting < 1:
            threading.Event().wait(0.005)
        response = web.post(PLACE, json=as_json(images(2, seed=2)))
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        build.is_slow = False
        build.gate.set()
        assert [first.result(30).status_code, second.result(30).status_code] == [200, 200]


def test_a_log_may_have_other_handlers() -> None:
    shown = io.StringIO()
    log = server_log(io.StringIO())
    other = logging.StreamHandler(shown)
    other.setFormatter(logging.Formatter("{levelname} {name} {threadName}|{filename}:{lineno} {message}", style="{"))
    log.addHandler(other)
    with client(Service(SumsBuild(), SHAPE, clients=two_clients(), log=log)) as web:
        assert web.post(PLACE, json=as_json(images(1))).status_code == 200
    assert shown.getvalue() == "INFO edgerift.serve |:0 inference\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clients: {a: {token: short}}", "the token of a must have at least 16 printable characters"),
        ("clients: {a: {token: 'secret secret secret'}}", "no spaces"),
        ("clients: {'../a': {token: secretsecretsecret}}", "a client's name has letters"),
        ("clients: {a: {token: secretsecretsecret}, b: {token: secretsecretsecret}}", "the same token"),
        ("clients: {a: {token: secretsecretsecret}}\noperator: secretsecretsecret", "the same token"),
        ("clients: {a: {token: secretsecretsecret, budget: 0}}", "budget is 0"),
        ("clients: {a: {}}", "token is missing"),
        ("clients: [secretsecretsecret]", "must be a mapping of names"),
        ("clients: {a: secretsecretsecret}", "must be a mapping of names"),
        ("clients: {a: {tokens: secretsecretsecret}}", "unknown field 'tokens'; did you mean 'token'?"),
        ("secretsecretsecret", "is a mapping of settings"),
    ],
)
def test_a_wrong_file_of_clients_is_told_in_one_line_without_tokens(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_clients(path)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


def test_clients_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(f"clients:\n  alice: {{token: {TOKEN}, budget: 7}}\n  bob: {{token: 12345678901234567890}}\n")
    found = read_clients(path)
    assert list(found.clients) == ["alice", "bob"]
    assert found.clients["alice"].budget == 7
    assert found.clients["bob"].token.get_secret_value() == "12345678901234567890"
    assert TOKEN not in repr(found) + str(found) + found.model_dump_json()
    assert read_clients(None, {}) == Clients()
    given = read_clients(None, {"EDGERIFT_TOKEN": TOKEN, "EDGERIFT_OPERATOR_TOKEN": OPERATOR})
    assert list(given.clients) == ["default"]
    with pytest.raises(RecipeError, match="at least 16"):
        read_clients(None, {"EDGERIFT_TOKEN": "short"})


def test_an_open_server_is_for_this_machine_alone() -> None:
    require_tokens(Clients(), "127.0.0.1")
    require_tokens(two_clients(), "0.0.0.0")
    with pytest.raises(InputError, match=r"--host 0\.0\.0\.0 is open to the network, which needs tokens"):
        require_tokens(Clients(), "0.0.0.0")
    with client(service(clients=Clients()), token=None) as web:
        assert web.post(PLACE, json=as_json(images(1))).status_code == 200
        assert web.get("/metrics").status_code == 200


def test_a_service_that_was_closed_says_so() -> None:
    served = service()
    app = application(served)
    served.close()
    from fastapi.testclient import TestClient

    response = TestClient(app, raise_server_exceptions=False).get("/v2/health/ready")
    assert response.json() == {"ready": False}
