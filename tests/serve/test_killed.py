"""A server that is killed in the middle: the clients' retries end with exactly one charge for each image."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

import pytest
import torch
from small_pair import SmallPair

from edgerift.deploy import open_build
from edgerift.extract import posteriors

BATCH, REQUESTS = 5, 60


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def started(build: Path, ledgers: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgerift", "serve", str(build), "--ledgers", str(ledgers), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert '"event": "serving"' in process.stderr.readline()
    threading.Thread(target=drained, args=(process.stderr,), daemon=True).start()
    return process


def drained(log: IO[str]) -> None:
    """Read a log to its end, so that the server never waits for a reader."""
    with log:
        log.read()


def images(number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(number)
    return torch.randint(256, (BATCH, 3, 12, 12), dtype=torch.uint8, generator=generator)


def asked(port: int, number: int) -> torch.Tensor:
    """Send a request until it is answered."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": [BATCH, 3, 12, 12]}
    body = json.dumps({"id": f"q{number}", "inputs": [{**tensor, "data": images(number).flatten().tolist()}]}).encode()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/model/infer", body, timeout=60) as reply:
                return torch.tensor(json.loads(reply.read())["outputs"][0]["data"]).reshape(BATCH, -1)
        except urllib.error.HTTPError:
            raise
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)


@pytest.mark.slow
def test_retries_after_a_kill_are_charged_once_and_answered_the_same(small_pair: SmallPair, tmp_path: Path) -> None:
    build, port = small_pair.folder / "model.onnx", free_port()
    process = started(build, tmp_path, port)
    answers: dict[int, torch.Tensor] = {}
    places = iter(range(REQUESTS))
    lock, halfway = threading.Lock(), threading.Event()

    def work() -> None:
        while True:
            with lock:
                number = next(places, None)
            if number is None:
                return
            if number == REQUESTS // 2:
                halfway.set()
            answers[number] = asked(port, number)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    assert halfway.wait(60)
    process.kill()
    process.wait()
    process = started(build, tmp_path, port)
    try:
        for worker in workers:
            worker.join(120)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/client", timeout=10) as reply:
            assert json.loads(reply.read())["spent"] == BATCH * REQUESTS
        assert sorted(answers) == list(range(REQUESTS))
        # The answers again cost nothing, and are those of the build.
        clean = open_build(build)
        for number in (0, REQUESTS // 2, REQUESTS - 1):
            assert torch.equal(asked(port, number), answers[number])
            assert torch.equal(answers[number], posteriors(clean, images(number)))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/client", timeout=10) as reply:
            assert json.loads(reply.read())["spent"] == BATCH * REQUESTS
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    content = (tmp_path / "default.ledger").read_bytes()
    assert re.match(rb'\{"format": "edgerift-ledger-1", "classes": 10', content)
