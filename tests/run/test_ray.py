"""Steps as tasks of a real Ray: a cluster of two nodes with a core each, or one that is started for the run."""

import importlib
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_steps import (
    Deadly,
    Failing,
    Growing,
    Parent,
    Surroundings,
    Tiny,
    is_alive,
    results,
    said,
    surroundings,
    wait_for,
)
from tiny_study import STEPS, kill_workers, leftovers, run_here, tiny_goals

from edgerift import images
from edgerift.audit import AuditRecipe, run_audit
from edgerift.errors import InputError, MissingRuntimeError, StoreError
from edgerift.evade import preset
from edgerift.images import ImagesSettings
from edgerift.run import Here, OnRay, Place, Records, key_of, run_steps
from edgerift.run import _ray as ray_module
from edgerift.steps import Store

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")

#: With the least memory that Ray takes.
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module", autouse=True)
def guarded():
    """Let no other machine use the tests' Ray, which looks at these variables when it is imported first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture
def ray():
    return importlib.import_module("ray")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def place(store):
    return Place(store=store.root)


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    return [tmp_path_factory.mktemp(f"home-{number}") for number in range(2)]


@pytest.fixture(scope="module")
def cluster(guarded, homes):
    """Two nodes with a core and a home each."""
    from ray.cluster_utils import Cluster

    one, other = ({**NODE, "env_vars": {"HOME": str(home)}} for home in homes)
    made = Cluster(initialize_head=True, head_node_args={**one, "include_dashboard": False})
    try:
        made.add_node(**other)
        yield made
    finally:
        made.shutdown()


def test_a_whole_graph_on_two_nodes(cluster, store, place, tmp_path, ray):
    first = Tiny(name="ab")
    growing = Growing(first=first, meeting=tmp_path / "meeting")
    goals = [growing, Tiny(name="top", starts=(first,)), Failing(), Surroundings()]
    workers = OnRay(place, cluster.address)
    assert workers.capacity == 3, "both nodes, and one step that waits"
    summary = run_steps(goals, store, workers)
    assert not ray.is_initialized()
    assert summary.built == 7
    began = said(store.root, "began")
    assert len(began) == len(set(began))
    (failed,) = summary.failed
    assert failed.error == "ValueError: this step fails"
    assert Path(failed.log).read_text().startswith("said in Python\nsaid in C\n")
    files = results(store.root)
    found = files.pop(f"{key_of(Surroundings())}/found.json")
    assert (found["threads"], found["variables"]["OMP_NUM_THREADS"]) == (1, "1")
    other = Store(tmp_path / "other")
    run_steps(goals[:2], other, Here(Place(store=other.root)))
    assert results(other.root).items() <= files.items()
    assert {Records(store).read(key).state for key in (key_of(growing), key_of(first))} == {"finished"}
    grown = growing.more(store)
    assert len(grown) == 3
    assert len({Records(store).read(key_of(step)).process for step in grown}) > 1, "a node has one core"


def many_digits(path: Path, count: int) -> ImagesSettings:
    """Write so many test images: the digits again and again, each time with other noise."""
    splits = images.load("digits", size=12)
    draws = torch.Generator().manual_seed(0)
    rows = torch.arange(count) % len(splits.train)
    noise = torch.randint(-6, 7, (count, 1, 12, 12), generator=draws)
    noisy = (splits.train.images[rows].int() + noise).clamp(0, 255).byte()
    arrays = {"images": splits.test.images, "labels": splits.test.labels}
    arrays |= {"test_images": noisy, "test_labels": splits.train.labels[rows]}
    np.savez(path, classes=np.array(splits.train.classes), **{name: part.numpy() for name, part in arrays.items()})
    return images.resolve(ImagesSettings(source=str(path)))


@pytest.mark.parametrize("count", [260, pytest.param(10_000, marks=pytest.mark.slow)])
def test_an_audit_in_shards_is_the_one_of_one_process(cluster, small_pair, tmp_path, count):
    described = small_pair.images if count < 300 else many_digits(tmp_path / "digits.npz", count + 2000)
    attacks = {"default": preset("default", 16, 2).replace(stop="never")}
    recipe = AuditRecipe(
        pair=small_pair.settings(), images=described, attacks=attacks, main="default", count=count, draw=1
    )
    alone, shared = Store(tmp_path / "alone"), Store(tmp_path / "shared")
    whole = run_audit(recipe, tmp_path / "whole", alone)
    place = Place(store=shared.root, threads=1)
    cut = recipe.replace(shard=128 if count < 300 else 1024)
    found = run_audit(cut, tmp_path / "cut", shared, workers=lambda _: OnRay(place, cluster.address))
    assert cut.digest() == recipe.digest()
    assert found.replace(times=whole.times) == whole
    assert found.evasion.attacked == count
    shards = [path.name for path in shared.root.glob("evade-shard-*")]
    assert len(shards) == -(-count // cut.shard)
    assert not list(alone.root.glob("evade-shard-*"))
    # This process put the parts of the folder together, and computed none of them.
    assert os.getpid() not in {Records(shared).read(name).process for name in shards}
    files = {path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.png")} | {
        Path("samples.jsonl")
    }
    assert all((tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in files)


def test_a_step_of_an_audit_that_fails_elsewhere_is_one_line(small_pair, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("it fails")

    monkeypatch.setattr(AuditRecipe, "produce", fail)
    attacks = {"pgd": preset("pgd", 16, 1)}
    recipe = AuditRecipe(
        pair=small_pair.settings(), images=small_pair.images, attacks=attacks, main="pgd", count=4, draw=1
    )
    with pytest.raises(StoreError, match=r"a step of the audit, audit-.*, failed: ValueError: it fails; its log"):
        run_audit(
            recipe, tmp_path / "out", Store(tmp_path / "store"), workers=lambda store: Here(Place(store=store.root))
        )


def test_without_ray_there_is_a_line_about_it(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingRuntimeError, match=r"Ray is not installed; run `pip install edgerift\[ray\]`"):
        OnRay(place)


def test_without_grpc_there_is_a_line_about_it(place, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingRuntimeError, match=r"gRPC, .*`pip install edgerift\[ray\]`"):
        OnRay(place, "ray://127.0.0.1:1")


@pytest.mark.parametrize(("cpus", "gpus"), [(0, 0), (-1, 0), (1, -0.5)])
def test_needs_below_nothing_are_refused(place, cpus, gpus):
    with pytest.raises(InputError, match="give cpus above 0 and gpus from 0"):
        OnRay(place, cpus=cpus, gpus=gpus)


def test_a_cluster_that_is_not_there_is_told_at_once(place):
    began = time.monotonic()
    before = dict(os.environ)
    with pytest.raises(InputError, match=r"127\.0\.0\.1:1 cannot be reached: Connection refused"):
        OnRay(place, "127.0.0.1:1")
    assert time.monotonic() - began < 5
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle(cluster, store, place, capfd):
    goals = [Deadly(), Deadly(name="often", times=9), *(Tiny(name=str(number), seconds=0.5) for number in range(4))]
    summary = run_steps(goals, store, OnRay(place, cluster.address))
    (failed,) = summary.failed
    assert failed.key == key_of(goals[1])
    assert failed.error == "its worker on Ray died 3 times (WorkerCrashedError); does it have enough memory?"
    assert summary.built == 5
    assert len(said(store.root, "deaths-often")) == 3
    record = Records(store).read(failed.key)
    assert (record.state, record.error) == ("failed", failed.error)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_study_on_two_nodes_with_workers_that_are_killed_is_the_same(cluster, tmp_path):
    whole, root = tmp_path / "whole", tmp_path / "ray"
    goals = tiny_goals(tmp_path)
    run_here(goals, whole)
    killed = kill_workers(root, ["train", "evade-shard"])
    summary = run_steps(goals, Store(root), OnRay(Place(store=root, threads=1), cluster.address))
    assert (summary.built, summary.failed) == (STEPS, ())
    assert killed == ["train", "evade-shard"]
    assert results(root) == results(whole)
    assert leftovers(root) == []


@pytest.mark.slow
def test_a_node_that_comes_and_is_lost_in_the_middle(cluster, store, place):
    workers = OnRay(place, cluster.address)
    assert workers.capacity == 3
    lost = cluster.add_node(**NODE)
    wait_for(lambda: workers.capacity == 4)

    def lose():
        wait_for(lambda: len(said(store.root, "began")) == 3)
        cluster.remove_node(lost, allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    summary = run_steps([Tiny(name=str(number), seconds=6.0) for number in range(4)], store, workers)
    losing.join()
    assert (summary.built, summary.failed) == (4, ())
    assert len(said(store.root, "began")) > 4, "one step ran twice"
    workers = OnRay(place, cluster.address)
    wait_for(lambda: workers.capacity == 3)
    workers.close()


@pytest.mark.slow
def test_a_client_of_a_cluster_is_enough(homes, store, place, tmp_path):
    """Ray's client has the driver outside of the cluster; it needs gRPC on both sides."""
    pytest.importorskip("grpc")
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    program = [sys.executable, "-c", CLIENT, store.root, str(port)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300, env=surroundings())
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "2"]


@pytest.mark.slow
def test_nodes_without_a_shared_folder_share_a_mirror(cluster, homes, store, tmp_path):
    """Every node has a store below its own home, and the driver has another one."""
    mirror = f"file://{tmp_path}/mirror"
    here = Store(store.root, mirror)
    place = Place(store="~/store", mirror=mirror)
    first = Tiny(name="abc")
    growing = Growing(first=first, meeting=tmp_path / "meeting")
    wrong = Failing(starts=(first,))
    top = Tiny(name="top", starts=(growing, first))
    summary = run_steps([top, wrong], here, OnRay(place, cluster.address))
    assert summary.built == 7
    built = [said(home / "store", "began") for home in homes]
    assert all(any(name.startswith("growing-") for name in names) for names in built), "both nodes built of what grew"
    assert sorted(built[0] + built[1]) == sorted(
        {"abc", "failing", "growing", "top", *(f"growing-{n}" for n in range(4))}
    )
    alone = Store(tmp_path / "alone")
    run_steps([top], alone, Here(Place(store=alone.root)))
    assert (here.get(top) / "text").read_bytes() == (alone.get(top) / "text").read_bytes()
    (failed,) = summary.failed
    assert "ValueError: this step fails" in Path(failed.log).read_text()
    assert Records(here).read(key_of(first)).state == "finished"


@pytest.mark.slow
def test_nodes_without_a_shared_folder_and_without_a_mirror_are_told(cluster, store, monkeypatch, ray):
    monkeypatch.setattr("edgerift.run._running._PATIENCE", 1.0)
    with pytest.raises(StoreError, match="give a store that all machines share, or a mirror"):
        run_steps([Tiny(name="lost")], store, OnRay(Place(store="~/lost"), cluster.address))
    assert not ray.is_initialized()


@pytest.mark.slow
def test_a_connection_that_is_there_is_used_and_kept(cluster, store, place, ray):
    ray.init(cluster.address, log_to_driver=False)
    try:
        summary = run_steps([Tiny(name="a")], store, OnRay(place, cluster.address))
        assert summary.built == 1
        assert ray.is_initialized()
        workers = OnRay(place, cluster.address)
        workers.start("parent", Parent())
        wait_for(lambda: said(store.root, "processes"))
        worker, _ = map(int, said(store.root, "processes")[0].split())
        workers.close()
        wait_for(lambda: not is_alive(worker))
        assert ray.is_initialized()
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_a_ray_of_its_own_leaves_nothing_behind(store, place, monkeypatch, tmp_path, capfd, ray):
    monkeypatch.setenv("HOME", str(tmp_path))
    before = (dict(os.environ), signal.getsignal(signal.SIGTERM), sys.stdout, threading.active_count())
    workers = OnRay(place)
    assert workers.capacity == os.cpu_count()
    summary = run_steps([Tiny(name="a"), Deadly()], store, workers)
    assert (summary.built, summary.failed) == (2, ())
    assert not ray.is_initialized()
    assert (dict(os.environ), signal.getsignal(signal.SIGTERM), sys.stdout, threading.active_count()) == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("needs", [{"cpus": 1000}, {"gpus": 64}])
def test_needs_that_this_machine_cannot_meet_are_refused(place, needs, ray):
    with pytest.raises(InputError, match="this machine has no"):
        OnRay(place, **needs)
    assert not ray.is_initialized()


@pytest.mark.slow
def test_needs_that_no_node_of_a_cluster_meets_fail_after_a_while(cluster, store, place, monkeypatch, ray):
    monkeypatch.setattr(ray_module, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(ray_module, "_LOOK_SECONDS", 0.2)
    summary = run_steps([Tiny(name="a"), Tiny(name="b")], store, OnRay(place, cluster.address, gpus=1))
    assert summary.built == 0
    assert {failed.error for failed in summary.failed} == {
        "no node of the Ray cluster has had 1 CPUs and 1 GPUs for a step for 0.0166667 minutes; give less with --cpus "
        "and --gpus, or add such a node"
    }
    assert run_steps([Tiny(name="a")], store, OnRay(place, cluster.address)).built == 1


#: In a process of its own: a process is a client or a driver once for all.
CLIENT = """
import socket, sys
from pathlib import Path
from ray.cluster_utils import Cluster
from tiny_steps import Tiny, wait_for
from edgerift.errors import InputError
from edgerift.steps import Store
from edgerift.run import OnRay, Place, run_steps

root, port = Path(sys.argv[1]), int(sys.argv[2])
node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args={**node, "ray_client_server_port": port})
wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
for left in (2, 1, 0):
    try:
        workers = OnRay(Place(store=root), f"ray://127.0.0.1:{port}")
        break
    except InputError:
        # Ray's server forks below gRPC's threads, which fails now and then.
        if not left:
            raise
print(workers.capacity)
summary = run_steps([Tiny(name="b", starts=(Tiny(name="a"),))], Store(root), workers)
print(summary.built)
cluster.shutdown()
"""

DRIVER = """
import sys
from tiny_steps import Parent
from edgerift.steps import Store
from edgerift.run import OnRay, Place, run_steps

root = sys.argv[1]
try:
    run_steps([Parent()], Store(root), OnRay(Place(store=root)))
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_worker_of_ray_outlives_the_process_that_started_it(store, tmp_path, sent, code):
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, store.root],
        env=surroundings() | {"HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: said(store.root, "processes"))
    worker, _ = map(int, said(store.root, "processes")[0].split())
    os.killpg(process.pid, sent)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, "")
    wait_for(lambda: not is_alive(worker))
