"""A client that is watched: what follows an alarm, and what a restart remembers."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from served import (
    OPERATOR,
    OTHER,
    PLACE,
    SHAPE,
    SumsBuild,
    answers_in,
    as_json,
    client,
    images,
    service,
    two_clients,
)

from edgerift.defend import Fingerprints, LabelOnly
from edgerift.errors import StoreError
from edgerift.serve import ServeSettings, Service, server_log

MONITOR = Fingerprints(window=10, share=0.4, length=4, matches=20)
#: Each image almost repeats the first.
ALIKE = images(1).repeat(30, 1, 1, 1)
ALIKE[:, 0, 0, 0] = torch.arange(30, dtype=torch.uint8)


def ask(web: Any, first: int, last: int, **fields: Any) -> Any:
    return web.post(PLACE, json=as_json(ALIKE[first:last]), **fields)


def test_an_alarm_is_told_and_changes_no_answer() -> None:
    log = io.StringIO()
    settings = ServeSettings(monitor=MONITOR)
    served = Service(SumsBuild(), SHAPE, clients=two_clients(), settings=settings, log=server_log(log))
    with client(served) as web:
        answers = [answers_in(ask(web, first, first + 5)) for first in (0, 5, 10)]
        theirs = web.post(PLACE, json=as_json(images(20, seed=5)), headers={"Authorization": f"Bearer {OTHER}"})
        assert theirs.status_code == 200
        lines = web.get("/metrics", headers={"Authorization": f"Bearer {OPERATOR}"}).text.splitlines()
    assert torch.equal(torch.cat(answers), SumsBuild().predict(ALIKE[:15]).softmax(1))
    assert 'edgerift_monitor_alarm{client="alice"} 1.0' in lines
    assert 'edgerift_monitor_alarm{client="bob"} 0.0' in lines
    told = [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == "alarm"]
    assert [(line["client"], line["images"], line["reaction"]) for line in told] == [("alice", 10, "report")]


def test_a_client_that_is_refused_stays_refused(tmp_path: Path) -> None:
    for _ in range(2):
        with client(service(folder=tmp_path, monitor=MONITOR, reaction="refuse")) as web:
            ask(web, 0, 12)
            refused = ask(web, 12, 15)
            assert refused.status_code == 403
            assert refused.json()["error"].startswith("this client is blocked")
            assert ask(web, 12, 15, headers={"Authorization": f"Bearer {OTHER}"}).status_code == 200
            assert web.get("/client").json()["spent"] == 12


def test_after_an_alarm_new_images_have_labels_alone() -> None:
    with client(service(monitor=MONITOR, reaction="coarsen")) as web:
        before = answers_in(ask(web, 0, 12))
        after = answers_in(ask(web, 10, 15))
    clean = SumsBuild().predict(ALIKE).softmax(1)
    assert torch.equal(before, clean[:12])
    assert torch.equal(after[:2], clean[10:12])
    assert torch.equal(after[2:], LabelOnly()(clean[12:15]))


def test_what_was_paid_for_is_not_seen_again() -> None:
    with client(service(monitor=Fingerprints(window=10, share=0.01, length=4))) as web:
        for _ in range(5):
            web.post(PLACE, json=as_json(images(4)))
        assert web.app.state.service.accounts["alice"].watching.verdict.asked == 4


def test_a_restart_remembers_what_was_seen(tmp_path: Path) -> None:
    with client(service(folder=tmp_path, monitor=MONITOR)) as web:
        ask(web, 0, 9)
    with client(service(folder=tmp_path, monitor=MONITOR)) as web:
        ask(web, 9, 10)
        assert web.app.state.service.accounts["alice"].watching.verdict.alarm_at == 10
    (tmp_path / "alice.monitor").write_bytes(b"no state")
    with pytest.raises(StoreError, match="delete it to begin again"):
        service(folder=tmp_path, monitor=MONITOR)
