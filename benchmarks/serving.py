"""Load, kill and hostile requests: what `edgerift serve` answers, how fast, and whether every charge is right.

    python benchmarks/serving.py [--models resnet8 mobilenet_v2] [--seconds 60] [--clients 32]
                                 [--out benchmarks/serving.json]

Each untrained network is quantized, built for ExecuTorch and served by `edgerift serve` in processes of its own.
Clients, each with a token of its own, send batches of 16 new images with an id and repeat a request with the same id
until it is answered; they send prepared bytes over plain sockets, so that they cost little. The CPU time of
clients and server is measured by process. Then the clients repeat what they have paid for, which has to leave the
server's memory as it is. Next the server is killed (SIGKILL) in the middle and started again. At the end each
client's ledger has to hold exactly the images that the client has answers to. Then 200 hostile requests are sent, and
the server has to answer each with a 4xx and go on. Server and clients share the processors that this process may use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from serving_load import Received, Template, loaded

from edgerift import adapt, deploy, images, zoo

BATCH = 16
SHAPE = (3, 32, 32)
PLACE = "/v2/models/model/infer"
OPERATOR = "operator-token-of-the-benchmark"


class Served(NamedTuple):
    """A server: its process, its port and the command that starts it."""

    process: subprocess.Popen[bytes]
    port: int


def token(number: int) -> str:
    """Return a client's token."""
    return f"token-of-client-number-{number:03d}"


def made_build(model: str, folder: Path) -> deploy.OpenedBuild:
    """Quantize an untrained network and build it."""
    train, _ = images.load("digits")
    program = adapt.ptq(zoo.create(model, 10).eval(), train, target="mobile", calibration_images=128)
    deploy.build(program, "executorch", folder / "model.pte")
    program.save(folder / "program.safetensors")
    return deploy.open_build(folder / "model.pte", trust=True)


def bare_rate(build: deploy.OpenedBuild, batch: int, seconds: float = 3.0) -> float:
    """Measure how many images per second the build answers in this process, `batch` at a time."""
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.integers(0, 256, (batch, *SHAPE), dtype=np.uint8))
    build.predict(images)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        build.predict(images)
        count += batch
    return count / (time.perf_counter() - started)


def bare_cost(build: deploy.OpenedBuild, batch: int) -> float:
    """Measure the microseconds of CPU time that the build takes for an image in this process."""
    before = time.process_time()
    rate = bare_rate(build, batch, seconds=1.0)
    return 1e6 * (time.process_time() - before) / rate


def started_server(folder: Path, clients: int, port: int) -> Served:
    """Start the server and wait until it is ready."""
    lines = [f"  c{number:03d}: {{token: {token(number)}}}" for number in range(clients)]
    (folder / "clients.yaml").write_text("\n".join(["clients:", *lines, f"operator: {OPERATOR}"]) + "\n")
    command = [sys.executable, "-m", "edgerift", "serve", str(folder / "model.pte"), "--size", "32"]
    command += ["--ledgers", str(folder / "ledgers"), "--clients", str(folder / "clients.yaml")]
    command += ["--port", str(port), "--budget", "10000000"]
    process = subprocess.Popen(command, stderr=(folder / "log.jsonl").open("ab"))
    asyncio.run(until_ready(port, process))
    return Served(process, port)


async def until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit("the server did not start; its log is log.jsonl")
        try:
            status, _ = await exchange(port, b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if status == 200:
                return
        except OSError:
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("the server did not become ready")


async def read_reply(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one reply of a connection that stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest) if name}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(first.split()[1]), headers, body


async def exchange(port: int, request: bytes) -> tuple[int, bytes]:
    """Send bytes over a new connection and read the status and the body that come back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        status, _, body = await asyncio.wait_for(read_reply(reader), 30)
        return status, body
    finally:
        writer.close()


def ledger(path: Path) -> list[tuple[bytes, bytes]]:
    """Read the hashes and the answers of a ledger, as its format says."""
    content = path.read_bytes()
    head, _, rest = content.partition(b"\n")
    classes, place, found = json.loads(head)["classes"], 0, []
    while place < len(rest):
        count = int.from_bytes(rest[place : place + 4], "little")
        place += 12
        keys = [rest[place + 16 * row : place + 16 * row + 16] for row in range(count)]
        place += 16 * count
        rows = [rest[place + 4 * classes * row : place + 4 * classes * (row + 1)] for row in range(count)]
        place += 4 * classes * count
        found += zip(keys, rows, strict=True)
    return found


def family(process: int) -> list[int]:
    """List a process and all that it has started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def memory(process: subprocess.Popen[bytes]) -> float:
    """Read the memory of a process and all that it has started in MiB, what they share counted once."""
    total = 0
    for one in family(process.pid):
        text = Path(f"/proc/{one}/smaps_rollup").read_text()
        total += int(text.partition("Pss:")[2].split()[0])
    return total / 1024


def processor_seconds(process: int) -> float:
    """Read the CPU time of a process and all that it has started."""
    ticks = 0
    for one in family(process):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def templates(first: int, count: int) -> list[Template]:
    """Draw the images of some clients."""
    return [Template(PLACE, token(first + who), (BATCH, *SHAPE), 1000 + first + who) for who in range(count)]


def load(server: Served, seconds: float, sent: list[Template], clients: list[Received]) -> dict[str, Any]:
    """Let all clients work for some seconds, and look at memory and CPU time on the way."""

    def look() -> dict[str, float]:
        paid = sum(len(one.answers) for one in clients)
        return {"answered_images": paid, "mebibytes": round(memory(server.process), 1)}

    own, others, started = time.process_time(), processor_seconds(server.process.pid), time.perf_counter()
    sizes = loaded(server.port, sent, clients, seconds, min(5.0, seconds / 6), look)
    lasted = time.perf_counter() - started
    answered = BATCH * sum(len(one.seconds) for one in clients)
    return {
        "seconds": round(lasted, 1),
        "images per second": round(answered / lasted),
        "server microseconds per image": round(1e6 * (processor_seconds(server.process.pid) - others) / answered, 1),
        "clients microseconds per image": round(1e6 * (time.process_time() - own) / answered, 1),
        "memory": sizes,
    }


def killed(folder: Path, server: Served, seconds: float, clients: list[Received]) -> Served:
    """Kill the server in the middle and start it again, while the clients repeat what was not answered."""
    again: list[Served] = []

    def kill() -> None:
        time.sleep(seconds / 3)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        again.append(started_server(folder, 100 + len(clients), server.port))

    thread = threading.Thread(target=kill)
    thread.start()
    loaded(server.port, templates(100, len(clients)), clients, seconds, seconds, lambda: None)
    thread.join()
    return again[0]


def compared(folder: Path, first: int, clients: list[Received]) -> dict[str, int]:
    """Compare each ledger with what its client has."""
    totals: Counter[str] = Counter()
    for who, one in enumerate(clients, first):
        charged = ledger(folder / "ledgers" / f"c{who:03d}.ledger")
        totals["answered images"] += len(one.answers)
        totals["charged images"] += len(charged)
        totals["charged twice"] += len(charged) - len(dict(charged))
        totals["answered, not charged"] += len(one.answers.keys() - dict(charged).keys())
        totals["charged, not answered"] += len(dict(charged).keys() - one.answers.keys())
        totals["other answer than charged"] += sum(one.answers.get(key, row) != row for key, row in charged)
        totals["repeated requests"] += one.repeated
    return dict(totals)


def hostile_requests() -> list[bytes]:
    """Write 200 requests that no server should answer with 200 or fall over."""
    good = json.dumps(
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, *SHAPE], "data": [0] * 3072}]}
    ).encode()
    fields: list[tuple[str, list[Any]]] = [
        ("name", [None, "", "images", 7, [], {}, "\u0000", "x" * 9999, "..%2f..%2f", True]),
        ("datatype", [None, "FP32", "BYTES", "INT8", "uint8", 3, [], {}, "BOOL", "FP64"]),
        ("shape", [None, [], [1], "1", [1, 3, 32], [1, 3, 32, 33], [0, 3, 32, 32], [-1, 3, 32, 32], [2, 3, 32, 32],
                   [10**40, 3, 32, 32], [1.0, 3, 32, 32], [True, 3, 32, 32], [1, 3, 32, 32, 1], [2048, 3, 32, 32],
                   {"0": 1}]),
        ("data", [None, [], [0], "0" * 3072, [256] * 3072, [-1] * 3072, [0.5] * 3072, ["0"] * 3072, [None] * 3072,
                  [[0] * 3072] * 2, [[[0] * 32] * 32] * 3, [[[[0] * 32] * 32] * 2], {"a": 1}, [1e99] * 3072]),
        ("parameters", [None, 3, [], {"binary_data_size": 3072}, {"binary_data_size": -1}, "x",
                        {"binary_data_size": 2**63}, {"binary_data_size": "3072"}]),
    ]  # fmt: skip
    bodies = []
    for name, values in fields:
        for value in values:
            changed = json.loads(good)
            changed["inputs"][0][name] = value
            bodies.append(json.dumps(changed).encode())
    for name, values in (
        ("id", [7, None, [], "x" * 200, "a\nb"]),
        ("inputs", [None, [], {}, "image", [1], [[]], [{}], [{}, {}]]),
        ("outputs", [None, 3, {}, "x", [1], [{}], [{"name": "logits"}], [{}, {}]]),
        ("parameters", [None, 3, [], {"binary_data_output": 1}, {"binary_data_output": "true"}]),
    ):
        for value in values:
            bodies.append(json.dumps({**json.loads(good), name: value}).encode())
    raw = [b"", b"{", b"[]", b"null", b"1", b'"x"', b"\x00" * 64, b"\xff" * 64, b"[" * 100_000, b'{"a":' * 50_000,
           b"NaN", good[:-1], good + b"0", good * 2, b'{"inputs": NaN}', b'{"id": "\\ud800"}']  # fmt: skip
    requests = [request(PLACE, body) for body in [*bodies, *raw]]
    bomb = gzip.compress(b"0" * 40_000_000)
    for body, extra in (
        (bomb, "Content-Encoding: gzip"),
        (good, "Content-Encoding: gzip"),
        (gzip.compress(good)[:-5], "Content-Encoding: gzip"),
        (gzip.compress(good) * 2, "Content-Encoding: gzip"),
        (good, "Content-Encoding: br"),
        (good, "Content-Encoding: deflate"),
        *((good, f"Inference-Header-Content-Length: {value}") for value in ("-1", "0", "x", "9" * 50, "1e3", "99999")),
        (good, "Inference-Header-Content-Length: 5"),
    ):
        requests.append(request(PLACE, body, extra))
    places = ["/v2/models/other/infer", "/v2/models/model/versions/2/infer", "/v2/models/%2e%2e/infer", "/nothing",
              "/v2/models//infer", "/v2/models/model/infer/x", "/v2/models/" + "x" * 5000 + "/infer"]  # fmt: skip
    requests += [request(place, good) for place in places]
    for given in ("", "Bearer", "Bearer x", f"Basic {token(0)}", f"Bearer {token(0)} x", f"Bearer {OPERATOR}",
                  "Bearer " + "x" * 8000, "Bearer \u00e9\u00e9", f"bearer{token(0)}"):  # fmt: skip
        requests.append(request(PLACE, good, who=given))
    requests.append(request(PLACE, b"x", "Content-Length: 99999999999"))
    requests.append(b"POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    return [*requests, *damaged(good, 200 - len(requests))]


def damaged(good: bytes, count: int) -> list[bytes]:
    """Damage good requests at random, each so that it is none any more: syntax, lengths that lie, packed bytes."""
    draw, tensor = random.Random(0), bytes(3072)
    marks = [place for place, mark in enumerate(good) if mark in b'{}[]:,"']
    found = []
    for number in range(count):
        off = draw.choice([-3000, -17, -1, 1, 17, 3000])
        if number % 5 < 2:
            place = draw.choice(marks)
            found.append(request(PLACE, good[:place] + good[place + 1 :]))
        elif number % 5 == 2:
            packed = bytearray(gzip.compress(good))
            packed[draw.randrange(10, len(packed))] ^= 1 << draw.randrange(8)
            found.append(request(PLACE, bytes(packed), "Content-Encoding: gzip"))
        else:
            said, sent = (3072 + off, 3072) if number % 5 == 3 else (3072, 3072 + off)
            told = {
                "name": "image",
                "datatype": "UINT8",
                "shape": [1, *SHAPE],
                "parameters": {"binary_data_size": said},
            }
            head = json.dumps({"id": f"damaged-{number}", "inputs": [told]}).encode()
            body = (head + tensor + bytes(3000))[: len(head) + sent]
            found.append(request(PLACE, body, f"Inference-Header-Content-Length: {len(head)}"))
    return found


def request(place: str, body: bytes, extra: str = "", who: str | None = None) -> bytes:
    """Write a request of a client, with one more header."""
    given = f"Bearer {token(0)}" if who is None else who
    lines = [f"POST {place} HTTP/1.1", "Host: x", f"Authorization: {given}", *([extra] if extra else [])]
    if not extra.startswith("Content-Length"):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def hostile(port: int) -> dict[str, Any]:
    """Send the hostile requests, and then a good one."""
    statuses: Counter[int] = Counter()
    unclear = 0
    for sent in hostile_requests():
        status, body = await exchange(port, sent)
        statuses[status] += 1
        text = body.decode("utf-8", "replace")
        unclear += "Traceback" in text or "/" in text.replace("/openapi.json", "") or "\n" in text or not text
    good = Template(PLACE, token(0), (BATCH, *SHAPE), 7)
    status, _ = await exchange(port, bytes(good.data))
    shown = {str(number): count for number, count in sorted(statuses.items())}
    return {"requests": sum(statuses.values()), "statuses": shown, "unclear": unclear, "good request after": status}


def percentile(seconds: list[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    return round(1000 * float(np.quantile(seconds, share)), 2)


def measure(model: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Do all of it for one network."""
    build, batches = made_build(model, folder), (BATCH, BATCH * arguments.clients)
    before = [bare_rate(build, batch) for batch in batches]
    server = started_server(folder, arguments.clients, arguments.port)
    clients, sent = [Received() for _ in range(arguments.clients)], templates(0, arguments.clients)
    paid = load(server, arguments.seconds, sent, clients)
    # On a machine that others use too, the faster of two measures is nearer to what the build can do.
    bare = [max(earlier, bare_rate(build, batch)) for earlier, batch in zip(before, batches, strict=True)]
    seconds = [each for one in clients for each in one.seconds]
    found = {
        "model": model,
        "bare images per second": {str(batch): round(rate) for batch, rate in zip(batches, bare, strict=True)},
        "share of bare": {
            str(batch): round(paid["images per second"] / rate, 3) for batch, rate in zip(batches, bare, strict=True)
        },
        "bare microseconds per image": round(bare_cost(build, BATCH), 1),
        "milliseconds": {"p50": percentile(seconds, 0.5), "p99": percentile(seconds, 0.99)},
        "mean milliseconds": round(1000 * statistics.mean(seconds), 2),
        "new images": paid,
    }
    repeated = [Received() for _ in clients]
    for template in sent:
        template.restart()
    found["known images"] = load(server, arguments.seconds / 4, sent, repeated)
    found["load"] = compared(folder, 0, clients)
    again = [Received() for _ in range(arguments.clients)]
    server.process.send_signal(signal.SIGTERM)
    found["exit code after SIGTERM"] = server.process.wait(60)
    server = started_server(folder, 100 + arguments.clients, arguments.port)
    server = killed(folder, server, arguments.seconds / 2, again)
    found["kill"] = compared(folder, 100, again)
    found["hostile"] = asyncio.run(hostile(server.port))
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    return found


def main() -> None:
    """Print the figures and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["resnet8", "mobilenet_v2"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as place:
            rows.append(measure(model, arguments, Path(place)))
    found = {
        "processors": len(os.sched_getaffinity(0)),
        "clients": arguments.clients,
        "images per request": BATCH,
        "networks": rows,
    }
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
