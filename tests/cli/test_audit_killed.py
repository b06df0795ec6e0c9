"""An audit that dies again and again, at moments that its files tell."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

#: Files of `store` and `out`, in the order in which an audit with a control makes them.
MOMENTS = (
    "store/.work/given-original-*/original.safetensors",
    "store/.work/select-*",
    "store/.work/evade-*/part-00000.safetensors",
    "store/.work/evade-*/part-00001.safetensors",
    "store/evade-*",
    "store/.work/audit-*/stage-fidelity.json",
    "store/.work/audit-*/stage-checks.json",
    "store/.work/audit-*/stage-reasons.json",
    "store/.work/finetune-*",
    "store/.work/audit-*/stage-control.json",
    "store/.work/extract-*/ledger.bin",
    "store/.work/extract-*/checkpoint.pt",
    "store/extract-*",
    "store/audit-*",
    ".out.*.edgerift-staged/model.onnx",
    ".out.*.edgerift-staged/findings/*.png",
    ".out.*.edgerift-staged/audit.json",
    ".out.*.edgerift-staged/report.html",
    "out/report.html",
)


def command(small_pair, folder):
    program = [sys.executable, "-c", "import sys; from edgerift.cli import main; sys.exit(main())"]
    attack = ["--attack", "default", "--attack", "pgd", "--epsilon", "12", "--control", "yes", "--adapt-epochs", "1"]
    steal = ["--budget", "200", "--student", "resnet8", "--clone-epochs", "3", "--clone-batch-size", "16"]
    places = ["--adapted", small_pair.folder, "--size", "12", "--store", folder / "store", "--out", folder / "out"]
    return [*program, "audit", *attack, *steal, *map(str, places)]


#: Two audits of the pair, each with its verdict: they share the store, and differ in every file that tells something.
KINDS = {"pass": ("default", "evasive: 1.0\nerrors: null\n"), "fail": ("pgd", "evasive: 0.0\n")}


def rewritten(small_pair, folder, verdict):
    """Audit into a folder that holds an audit of the other verdict."""
    attack, limits = KINDS[verdict]
    policy = folder / f"{verdict}.yaml"
    policy.write_text(limits)
    program = [sys.executable, "-c", "import sys; from edgerift.cli import main; sys.exit(main())"]
    attacks = ["--threats", "evasion", "--attack", attack, "--epsilon", "32", "--steps", "10", "--images", "32"]
    places = ["--adapted", small_pair.folder, "--size", "12", "--store", folder / "store", "--out", folder / "out"]
    return [*program, "audit", *attacks, *map(str, places), "--policy", str(policy)]


def told(folder):
    """The verdicts that the files of a folder tell: of one folder, whatever its name means a moment later."""

    def read(name):
        with open(name, encoding="utf-8", opener=lambda path, flags: os.open(path, flags, dir_fd=opened)) as file:
            return file.read()

    words = {
        "audit.json": r'"verdict": "(pass|fail)"',
        "report.junit.xml": r'name="verdict" value="(pass|fail)"',
        "report.sarif": r'"verdict": "(pass|fail)"',
        "report.html": "The gate (holds|fails)",
    }
    opened = os.open(folder, os.O_RDONLY)
    found = {}
    try:
        for name, pattern in words.items():
            try:
                word = re.search(pattern, read(name))[1]
            except FileNotFoundError:
                continue
            found[name] = {"holds": "pass", "fails": "fail"}.get(word, word)
        try:
            inside = os.open("findings", os.O_RDONLY, dir_fd=opened)
        except FileNotFoundError:
            return found
        attacks = {attack: verdict for verdict, (attack, _) in KINDS.items()}
        found |= {name: attacks[name.partition("-")[0]] for name in os.listdir(inside)}  # noqa: PTH208
        os.close(inside)
    finally:
        os.close(opened)
    return found


def run_until(arguments, folder, moment):
    """Run an audit and kill it as soon as a file is there; tells whether it was."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while process.poll() is None and not any(folder.glob(moment)):
            assert time.monotonic() < until, f"{moment} is not made"
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    return process.returncode == -signal.SIGKILL


def finished(folder):
    """What is done: results in the store, parts of searches and stages, each with the time when it was written."""
    patterns = ("store/[!.]*/*", "store/.work/*/part-*", "store/.work/*/stage-*")
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in folder.glob(pattern)}


def without_times(path):
    return {name: value for name, value in json.loads(path.read_text()).items() if name not in ("times", "made")}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_an_audit_that_is_killed_over_and_over_ends_the_same(small_pair, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    done = subprocess.run(command(small_pair, whole), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    deaths = 0
    before = {}
    for moment in MOMENTS:
        if any(killed.glob(moment)):
            continue
        deaths += run_until(command(small_pair, killed), killed, moment)
        after = finished(killed)
        for path, written in before.items():
            # A finished work folder moves to its own place as a whole, and then its parts and stages may go.
            moved = killed / "store" / path.parent.name / path.name
            if path in after or moved in after:
                assert after.get(path, after.get(moved)) == written, f"{path} was made again before {moment}"
            else:
                assert path.name.startswith(("part-", "stage-")), f"{path} has gone"
        before = after
    assert deaths >= 10
    again = subprocess.run(command(small_pair, killed), capture_output=True, text=True, timeout=300)
    assert again.returncode == 1, again.stderr
    assert "epoch" not in again.stderr
    assert without_times(killed / "out" / "audit.json") == without_times(whole / "out" / "audit.json")

    def files(folder):
        return {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}

    one, other = files(whole / "out"), files(killed / "out")
    assert one.keys() == other.keys()
    timed = {"audit.json", "report.html", "report.junit.xml"}
    for name in one.keys() - {path for path in one if path.name in timed}:
        assert one[name].read_bytes() == other[name].read_bytes(), name
    assert {path.name for path in files(killed / "store") if "edgerift-part" in path.name} == set()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_the_files_of_a_folder_tell_one_verdict_at_every_moment(small_pair, tmp_path):
    """Kill an audit over one of the other verdict at 20 late moments, and look while it runs and after."""
    draws, took = random.Random(5), 0.0
    for verdict, code in (("pass", 0), ("fail", 1), ("pass", 0)):
        began = time.monotonic()
        done = subprocess.run(rewritten(small_pair, tmp_path, verdict), capture_output=True, text=True, timeout=300)
        took = time.monotonic() - began
        assert done.returncode == code, done.stderr
        assert set(told(tmp_path / "out").values()) == {verdict}
        assert verdict == "fail" or any(name.endswith(".attacked.png") for name in told(tmp_path / "out"))
    now = "pass"
    for _ in range(20):
        other = "fail" if now == "pass" else "pass"
        # Where something is written: a staged folder is there, and then a random moment passes.
        process = subprocess.Popen(
            rewritten(small_pair, tmp_path, other), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until, deadline = None, time.monotonic() + 10 * took + 60
        try:
            while process.poll() is None:
                assert time.monotonic() < deadline
                assert len(set(told(tmp_path / "out").values())) == 1
                time.sleep(0.001)
                if until is None and any(tmp_path.glob(".out.*.edgerift-staged")):
                    until = time.monotonic() + draws.uniform(0, 0.05 * took)
                if until is not None and time.monotonic() >= until:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
        finally:
            process.kill()
            process.wait()
        found = told(tmp_path / "out")
        assert len(set(found.values())) == 1
        assert found.keys() >= {"audit.json", "report.junit.xml", "report.sarif", "report.html"}
        (now,) = set(found.values())
    done = subprocess.run(rewritten(small_pair, tmp_path, "pass"), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert set(told(tmp_path / "out").values()) == {"pass"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "store", "pass.yaml", "fail.yaml"}
