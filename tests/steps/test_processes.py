import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = [sys.executable, str(Path(__file__).with_name("processes.py"))]


def start(*arguments):
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def test_processes_that_ask_at_the_same_time_build_once(tmp_path):
    asking = [start("steps", tmp_path) for _ in range(3)]
    answers = [process.communicate(timeout=30)[0].splitlines() for process in asking]
    assert [process.returncode for process in asking] == [0, 0, 0]
    assert len({answer[-1] for answer in answers}) == 1
    assert (tmp_path / "log").read_text() == "only 0\nonly 1\n"
    assert sorted(file.name for file in Path(answers[0][-1]).iterdir()) == [
        "0",
        "1",
        "SHA256SUMS",
        "all",
        "recipe.json",
    ]


def test_a_waiting_process_goes_on_where_a_killed_one_stopped(tmp_path):
    with start("stuck", tmp_path) as first:
        assert first.stdout.readline() == "begun\n"
        with start("stuck", tmp_path) as second:
            assert second.stdout.readline() == "stuck: another process is building this; waiting for it\n"
            first.send_signal(signal.SIGKILL)
            folder = second.communicate(timeout=30)[0].strip()
    assert second.returncode == 0
    assert sorted(file.name for file in Path(folder).iterdir()) == ["SHA256SUMS", "begun", "ended", "recipe.json"]


def test_a_run_killed_anywhere_and_started_again_ends_the_same(tmp_path):
    done = subprocess.run([*PROGRAM, "kills", str(tmp_path / "kills")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
