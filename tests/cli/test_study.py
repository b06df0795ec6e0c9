"""The verbs of a study: what they show, what they write, and that a finished study is left alone."""

import json
import sys
from pathlib import Path

import pytest
from made_study import made_divqat
from tiny_study import STEPS, tiny_study

from edgerift.errors import InputError, StoreError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [str(tiny_study(tmp_path)), "--profile", "tiny", "--store", str(tmp_path / "store")]


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_plan_run_and_show(run, asked, tmp_path):
    before = run("study", "plan", *asked, "--json").json()
    assert (before["cells"], before["finished_cells"]) == (1, 0)
    names = {step["key"]: step["name"] for step in before["missing"]}
    assert [(step["name"], [names[key] for key in step["waits_for"]]) for step in before["missing"][:2]] == [
        ("train: digits, LeNet, seed 0", []),
        ("adapt: digits, LeNet, PTQ for server, seed 0", ["train: digits, LeNet, seed 0"]),
    ]
    shown = run("study", "plan", *asked, "--details").out
    assert "adapt: digits, LeNet, PTQ for server, seed 0\n" in shown
    assert "waits for train: digits, LeNet, seed 0" in shown

    made = run("study", "run", *asked, "--json").json()
    assert (made["finished"], made["summary"]["built"], made["summary"]["failed"]) == (1, STEPS, [])
    out = tmp_path / "tiny-tiny"
    assert {path.name for path in out.iterdir()} == {
        "figures", "records.csv", "report.html", "result.json", "tables", "tables.md",
    }  # fmt: skip

    written = contents(out)
    again = run("study", "run", *asked)
    assert again.code == 0
    assert "Nothing to do: all 1 cells of tiny, profile tiny, are finished." in again.out
    assert contents(out) == written

    assert run("study", "status", *asked, "--json").json()["missing"] == []
    shown = run("study", "show", *asked, "--result", str(out / "result.json"), "--out", str(tmp_path / "shown"))
    assert shown.code == 0
    assert (tmp_path / "shown" / "tables.md").read_text() == (out / "tables.md").read_text()


def test_a_result_of_elsewhere_is_not_made_again(run, asked, tmp_path):
    run("study", "run", *asked)
    result = tmp_path / "tiny-tiny" / "result.json"
    here = [*asked[:-1], str(tmp_path / "other"), "--known", str(result)]
    plan = run("study", "plan", *here, "--json").json()
    assert (plan["cells"], plan["finished_cells"], plan["missing"]) == (1, 1, [])
    assert "Nothing is missing" in run("study", "status", *here).out
    made = run("study", "run", *here, "--out", str(tmp_path / "again"))
    assert made.code == 0
    assert "Nothing to do" in made.out
    assert (tmp_path / "again" / "result.json").read_bytes() == result.read_bytes()
    run("study", "show", *here, "--out", str(tmp_path / "shown"))
    assert (tmp_path / "shown" / "result.json").read_bytes() == result.read_bytes()

    Path(asked[0]).write_text(Path(asked[0]).read_text().replace("epochs: ", "epochs: 1"))
    assert run("study", "plan", *here, "--json").json()["finished_cells"] == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "none.json (No such file or directory); give the result.json"),
        ("{}", "none.json is no result of a study"),
    ],
)
@pytest.mark.parametrize("option", ["--known", "--result"])
def test_a_file_that_is_no_result_is_told(run, asked, tmp_path, option, content, told):
    if content is not None:
        (tmp_path / "none.json").write_text(content)
    assert told in run("study", "show", *asked, option, str(tmp_path / "none.json")).line()


def test_the_result_of_another_study_is_not_shown_as_this_one(run, asked, tmp_path):
    other = made_divqat().model_dump_json()
    (tmp_path / "result.json").write_text(other)
    told = run("study", "show", *asked, "--result", str(tmp_path / "result.json")).line()
    assert "result.json is of the study made-divqat, profile small; " in told
    assert "tiny.yaml with --profile tiny is of tiny" in told
    assert not (tmp_path / "tiny-tiny").exists()


def test_a_server_that_is_not_there_is_told_before_anything_runs(run, asked, tmp_path):
    (tmp_path / "no.db").write_text("no database " * 99)
    told = run("study", "run", *asked, "--track-uri", f"sqlite:///{tmp_path / 'no.db'}").line()
    assert "cannot be used" in told
    assert run("study", "plan", *asked, "--json").json()["finished_cells"] == 0


def test_a_server_that_is_lost_on_the_way_does_not_swallow_what_was_done(run, asked, monkeypatch):
    calls = []

    def track(*given):
        calls.append(given)
        if len(calls) == 2:
            raise StoreError("the server is gone")
        return 0

    monkeypatch.setattr("edgerift.track.track", track)
    done = run("study", "run", *asked, "--track")
    assert done.code == 2
    assert "1 of 1 cells are finished" in " ".join(done.out.split())
    assert "the server is gone" in done.err


def test_a_damaged_cell_is_told_and_the_report_is_written(run, asked, tmp_path):
    run("study", "run", *asked)
    for file in ("pair.json", "recipe.json"):
        (path,) = (tmp_path / "store").glob(f"pair-*/{file}")
        path.unlink()
        told = run("study", "run", *asked)
        assert told.code == 1
        (cell,) = json.loads((tmp_path / "tiny-tiny" / "result.json").read_text())["missing"]
        assert str(path.parent) in cell["error"]
        assert "Nothing to do" not in told.out
        assert "0 of 1 cells are finished" in " ".join(told.out.split())
        shown = (tmp_path / "tiny-tiny" / "tables.md").read_text().replace("\\", "")
        assert cell["error"] in " ".join(shown.split())


def test_a_cell_that_fails_is_told_and_the_exit_code_says_so(run, asked, tmp_path):
    path = Path(asked[0])
    path.write_text(path.read_text().replace("model: lenet", "model: 'json:make'"))
    failed = run("study", "run", *asked, "--trust")
    assert failed.code == 1
    assert "0 of 1 cells are finished" in " ".join(failed.out.split())
    assert "Failed: train: digits, LeNet, seed 0: unknown factory of module json 'make'" in " ".join(failed.out.split())
    result = json.loads((tmp_path / "tiny-tiny" / "result.json").read_text())
    assert [cell["name"] for cell in result["missing"]] == ["digits, LeNet, ptq, seed 0"]


@pytest.mark.parametrize(
    ("profiles", "chosen"),
    [
        ("{only: {}}", "only"),
        ("{large: {}, small: {seeds: [0, 1]}}", "small"),
        ("{large: {}, larger: {}}", None),
    ],
)
def test_the_profile_that_nobody_named(run, asked, profiles, chosen):
    path = Path(asked[0])
    head, _ = path.read_text().split("profiles:")
    path.write_text(f"{head}profiles: {profiles}\n")
    planned = run("study", "plan", path, *asked[3:], "--json")
    if chosen is None:
        assert "has the profiles large, larger; choose one with --profile" in planned.line()
    else:
        assert planned.json()["profile"] == chosen


@pytest.mark.parametrize(
    ("replaced", "options", "text"),
    [
        (("model: lenet", "model: lenett"), [], "tiny.yaml:7: originals.LeNet.model"),
        (("epochs: 3", "epoch: 3"), [], "tiny.yaml:8: "),
        (("epochs: 3", "epoch: 3"), [], "did you mean 'epochs'?"),
        (("preset: default", "preset: defalt"), [], "tiny.yaml:14: "),
        (("", ""), ["--profile", "tini"], "unknown profile 'tini'; did you mean 'tiny'?"),
        (("", ""), ["--on", "mars"], "--on is 'mars'; it must be here, processes, ray"),
        (("", ""), ["--workers", "2"], "--workers 2 needs --on processes; here steps run one by one"),
        (("", ""), ["--workers", "2", "--on", "ray"], "--workers 2 needs --on processes; Ray starts as many as fit"),
        (
            ("model: lenet", "model: 'nowhere:make'"),
            [],
            "tiny.yaml:7: originals.LeNet.model is 'nowhere:make'; there is",
        ),
        (("{digits: {}}", "{diggits: {}}"), [], "tiny.yaml:6: data.diggits: unknown image set 'diggits'; did you mean"),
        (("pictured: []", "classes: [1, 10]"), [], "tiny.yaml:18: evasion.classes[1]: there is no class 10"),
        (("", ""), ["--cpus", "2"], "--cpus 2 needs --on ray or a cluster's address; it has no effect with --on here"),
        (("", ""), ["--on", "processes", "--gpus", "0.5"], "--gpus 0.5 needs --on ray or a cluster's address"),
        (("", ""), ["--mirror", "nowhere"], "nowhere"),
        (("", ""), ["--data-root", "missing"], "missing"),
    ],
)
def test_a_users_mistake_is_one_line(run, asked, replaced, options, text):
    path = Path(asked[0])
    path.write_text(path.read_text().replace(*replaced) if replaced[0] else path.read_text())
    assert text in run("study", "run", *asked, *options).line()


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("  students: ['nowhere:make']\n", "theft.students[0]"),
        ("  attack: {student: 'nowhere:make'}\n", "theft.attack.student"),
        ("  data_free: {attacks: {dfme: {student: 'nowhere:make'}}}\n", "theft.data_free.attacks.dfme.student"),
    ],
)
def test_a_network_that_is_not_there_is_told_before_anything_runs(run, asked, verb, field, name):
    path = Path(asked[0])
    path.write_text(path.read_text().replace("profiles:", f"theft:\n  rows: [qat]\n{field}profiles:"))
    assert f"tiny.yaml:21: {name} is 'nowhere:make'; there is no 'nowhere' here" in run("study", verb, *asked).line()


def test_a_library_that_is_not_there_is_told_before_anything_runs(run, asked, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    path = Path(asked[0])
    path.write_text(path.read_text().replace("model: lenet", "model: 'timm:mobilenetv1_100'"))
    told = run("study", "run", *asked).line()
    assert "is 'timm:mobilenetv1_100'; there is no 'timm' here: pip install 'edgerift[timm]'" in told


def test_looking_for_a_network_runs_none_of_its_code(run, asked, tmp_path, monkeypatch):
    (tmp_path / "loud_networks").mkdir()
    (tmp_path / "loud_networks" / "__init__.py").write_text("raise SystemExit('this code ran')\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = Path(asked[0])
    path.write_text(path.read_text().replace("model: lenet", "model: 'loud_networks.small:make'"))
    assert run("study", "plan", *asked).code == 0


@pytest.mark.parametrize(
    ("replaced", "name"),
    [
        (("model: lenet", "model: 'json:make'"), "tiny.yaml:7: originals.LeNet.model"),
        (("profiles:", "theft:\n  rows: [qat]\n  attack: {student: 'json:make'}\nprofiles:"), "theft.attack.student"),
        (("preset: default", "preset: 'json:make'"), "tiny.yaml:14: evasion.attacks.default.preset"),
    ],
)
def test_code_that_a_study_names_runs_with_trust_alone(run, asked, replaced, name, tmp_path):
    path = Path(asked[0])
    path.write_text(path.read_text().replace(*replaced))
    refused = run("study", "run", *asked).line()
    assert name in refused
    assert "asks to import and run 'json:make'; pass --trust" in refused
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("options", "address", "needs"),
    [
        (["--on", "ray"], None, {"cpus": 1, "gpus": 0}),
        (["--on", "auto", "--cpus", "4"], "auto", {"cpus": 4, "gpus": 0}),
        (["--on", "ray://host:1", "--cpus", "0.5", "--gpus", "0.25"], "ray://host:1", {"cpus": 0.5, "gpus": 0.25}),
    ],
)
def test_steps_take_their_shares_on_ray(run, asked, monkeypatch, options, address, needs):
    asked_for = []

    def ray(place, address, **needs):
        asked_for.append((address, needs))
        raise InputError("no cluster here")

    monkeypatch.setattr("edgerift.run.OnRay", ray)
    assert "no cluster here" in run("study", "run", *asked, *options).line()
    assert asked_for == [(address, needs)]


@pytest.mark.slow
def test_an_attack_of_ones_own_runs_through_a_whole_study(run, asked, tmp_path):
    own = ROOT / "tests" / "helpers" / "own_attacks.py"
    mine = f'{{preset: default, steps: 4}}, mine: {{preset: "{own}:pursue", steps: 4}}'
    file = Path(asked[0])
    file.write_text(file.read_text().replace("{preset: default, steps: 4}", mine))
    assert "pass --trust" in run("study", "run", *asked).line()

    made = run("study", "run", *asked, "--trust", "--json").json()
    assert (made["finished"], made["summary"]["failed"]) == (1, [])
    assert "mine" in (tmp_path / "tiny-tiny" / "tables" / "success.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["diva", "divqat"])
def test_the_smoke_profiles_of_both_papers(run, name, tmp_path):
    made = run(
        "study", "run", str(ROOT / "studies" / f"{name}.yaml"), "--profile", "smoke", "--on", "processes",
        "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"), "--json",
    ).json()  # fmt: skip
    assert made["summary"]["failed"] == []
    assert made["finished"] == made["cells"]
    assert (tmp_path / "out" / "report.html").is_file()
    assert len(list((tmp_path / "out" / "tables").glob("*.tex"))) >= 5
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) >= 4
    if name == "diva":
        tables = {path.stem: path.read_text() for path in (tmp_path / "out" / "tables").glob("*.csv")}
        assert {"success", "knowledge", "weights", "flips", "differences"} <= set(tables)
        robust = {name: sum("Robust" in row for row in text.splitlines()) for name, text in tables.items()}
        others = {name: sum("ResNet" in row for row in text.splitlines()) for name, text in tables.items()}
        assert robust == others
