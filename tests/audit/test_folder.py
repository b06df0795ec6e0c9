"""The audit's folder: what is written, its schema, and a second judgement of the same measurement."""

import hashlib
import json
import time
from pathlib import Path

import jsonschema
import pytest

from edgerift.audit import Audit, Policy, read_audit, run_audit, schema
from edgerift.errors import InputError, StoreError
from edgerift.evade import PairSettings
from edgerift.steps import Store

DOCS = Path(__file__).parents[2] / "docs"


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_everything_but_the_reports_is_written(audited):
    assert names(audited.folder) == {
        ".edgerift-files",
        "audit.json",
        "audit.schema.json",
        "samples.jsonl",
        "findings",
        "original.safetensors",
        "program.safetensors",
        "model.onnx",
    }
    parts = audited.audit.evasion.findings
    expected = {f"{part.id}.{kind}" for part in parts for kind in ("json", "clean.png", "attacked.png")}
    assert names(audited.folder / "findings") == expected
    for part in parts:
        assert (audited.folder / part.clean_png).is_file()
        assert (audited.folder / part.attacked_png).is_file()


def test_the_file_is_the_result(audited):
    assert read_audit(audited.folder) == audited.audit
    assert json.loads((audited.folder / "audit.json").read_text())["type"] == "audit"


def test_the_models_are_those_that_were_audited(audited):
    pair = audited.audit.pair
    for name, digest in (
        ("original.safetensors", pair.original_sha256),
        ("program.safetensors", pair.program_sha256),
        ("model.onnx", pair.fingerprint.sha256),
    ):
        assert hashlib.sha256((audited.folder / name).read_bytes()).hexdigest() == digest, name


def test_there_is_one_line_for_each_attacked_image(audited):
    lines = [json.loads(line) for line in (audited.folder / "samples.jsonl").read_text().splitlines()]
    assert len(lines) == audited.audit.evasion.attacked == 24
    evasive = {line["index"] for line in lines if line["evasive"]}
    assert evasive == {part.index for part in audited.audit.evasion.findings}


def test_the_result_keeps_to_its_schema(audited):
    written = json.loads((audited.folder / "audit.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(written)
    validator = jsonschema.Draft202012Validator(written)
    document = json.loads((audited.folder / "audit.json").read_text())
    validator.validate(document)
    for damage in ({"verdict": "maybe"}, {"version": 1}, {"unknown": 1}, {"gate": [{}]}):
        assert not validator.is_valid({**document, **damage}), damage
    assert not validator.is_valid({key: value for key, value in document.items() if key != "verdict"})


def test_the_published_schema_is_the_present_one():
    """After a change of the document: `python -c "from edgerift import audit; print(audit.schema(), end='')"`."""
    assert (DOCS / "audit.schema.json").read_text() == schema()


def test_another_policy_judges_again_and_measures_nothing(audited, tmp_path):
    told = []
    for limit, verdict in ((1.0, "pass"), (0.0, "fail")):
        policy = Policy(evasive=limit)
        result = run_audit(
            audited.recipe, tmp_path, audited.store, policy=policy, progress=lambda *progress: told.append(progress)
        )
        assert (result.verdict, result.gate[0].limit) == (verdict, limit)
        assert read_audit(tmp_path) == result
        same = {name: getattr(audited.audit, name) for name in Audit.model_fields if name not in ("gate", "verdict")}
        assert {name: getattr(result, name) for name in same} == same
    assert told == []


def test_the_same_audit_again_is_the_same_bytes(audited, tmp_path):
    run_audit(audited.recipe, tmp_path / "made" / "here", audited.store)
    for path in audited.folder.rglob("*"):
        if path.is_file():
            other = tmp_path / "made" / "here" / path.relative_to(audited.folder)
            assert other.read_bytes() == path.read_bytes(), path.name


def test_what_a_killed_run_left_goes(audited, tmp_path):
    run_audit(audited.recipe, tmp_path, audited.store)
    (tmp_path / ".0123.edgerift-part").write_text("half")
    (tmp_path / "findings" / ".4567.edgerift-part").write_text("half")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / ".89.edgerift-part").write_text("another program's")
    run_audit(audited.recipe, tmp_path, audited.store)
    assert names(tmp_path) == names(audited.folder) | {"notes"}
    assert names(tmp_path / "notes") == {".89.edgerift-part"}
    assert names(tmp_path / "findings") == names(audited.folder / "findings")


def test_what_the_user_keeps_in_the_folder_stays(audited, tmp_path):
    kept = ("notes.txt", "findings/default-999999.json", "findings/mine.attacked.png", "old/audit.json")
    run_audit(audited.recipe, tmp_path, audited.store)
    for name in kept:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    theirs = audited.recipe.replace(main="pgd")
    run_audit(theirs, tmp_path, audited.store)
    run_audit(theirs, tmp_path, audited.store, policy=Policy(evasive=1.0))
    assert {name: (tmp_path / name).read_text() for name in kept} == dict.fromkeys(kept, "mine")
    found = {path.name.split(".")[0] for path in (tmp_path / "findings").iterdir()} - {"default-999999", "mine"}
    assert found == {part.id for part in read_audit(tmp_path).evasion.findings}


def test_the_folder_of_a_version_that_kept_no_list_is_taken_over(audited, tmp_path):
    run_audit(audited.recipe, tmp_path, audited.store)
    (tmp_path / ".edgerift-files").unlink()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "report.html").write_text("an earlier report")
    run_audit(audited.recipe.replace(main="pgd"), tmp_path, audited.store)
    own = names(audited.folder) - {"findings"} | {"notes.txt"}
    assert names(tmp_path) - {"findings"} == own
    assert not list(tmp_path.glob("findings/default-*"))


def test_a_file_that_no_audit_wrote_is_not_replaced(audited, tmp_path):
    (tmp_path / "original.safetensors").write_text("another model")
    with pytest.raises(StoreError, match=r"original\.safetensors is not what was written there before"):
        run_audit(audited.recipe, tmp_path, audited.store)
    assert names(tmp_path) == {"original.safetensors"}


@pytest.mark.parametrize("name", ["audit.json", "model.onnx", "samples.jsonl", "summary.md", "findings"])
def test_a_file_in_the_way_is_told_before_the_work(audited, tmp_path, name):
    """A model of another content is; the same one, which `edgerift adapt` may have put there, is not."""
    out, told = tmp_path / "out", []
    out.mkdir()
    (out / name).write_text("mine")
    (out / "original.safetensors").write_bytes((audited.folder / "original.safetensors").read_bytes())
    with pytest.raises(StoreError, match=f"{name}.* is not what was written there before"):
        run_audit(
            audited.recipe,
            out,
            Store(tmp_path / "store"),
            reports=lambda *_: None,
            progress=lambda *one: told.append(one),
        )
    assert told == []
    assert not (tmp_path / "store").exists()
    assert (out / name).read_text() == "mine"
    assert names(out) == {name, "original.safetensors"}


def test_the_time_of_the_pair_is_that_of_making_it(audited, tmp_path, monkeypatch):
    """The checks make it, before the audit's own step opens it again."""
    opens, true = [], PairSettings.open

    def slow(self, *given):
        opens.append(len(opens))
        if len(opens) == 1:
            time.sleep(0.7)
        return true(self, *given)

    monkeypatch.setattr(PairSettings, "open", slow)
    recipe = audited.recipe.replace(attacks={"pgd": audited.recipe.attacks["pgd"]}, main="pgd", classes=(0,))
    calls = []
    result = run_audit(recipe, tmp_path, audited.store, before=lambda: calls.append(len(opens)))
    assert result.times["pair"] > 0.7
    assert len(opens) > 1
    assert calls == [1]


def test_the_reports_appear_with_the_audit(audited, tmp_path):
    """A report that fails leaves the folder as it was, of the earlier verdict."""

    def report(audit, folder):
        assert names(folder) >= {"audit.json", "findings", "samples.jsonl"}
        assert read_audit(folder) == audit
        (folder / "report.html").write_text(audit.verdict)

    def fail(audit, folder):
        (folder / "report.html").write_text("half")
        raise KeyError

    def told():
        return read_audit(tmp_path).verdict, (tmp_path / "report.html").read_text()

    for limit, verdict in ((1.0, "pass"), (0.0, "fail"), (1.0, "pass")):
        policy = Policy(evasive=limit)
        run_audit(audited.recipe, tmp_path, audited.store, policy=policy, reports=report)
        assert told() == (verdict, verdict)
    with pytest.raises(KeyError):
        run_audit(audited.recipe, tmp_path, audited.store, policy=Policy(evasive=0.0), reports=fail)
    assert told() == ("pass", "pass")


def test_two_audits_into_one_folder_are_one_too_many(audited, tmp_path):
    def again(audit, folder):
        run_audit(audited.recipe, tmp_path, audited.store)

    with pytest.raises(StoreError, match="another process is writing into"):
        run_audit(audited.recipe, tmp_path, audited.store, reports=again)
    run_audit(audited.recipe, tmp_path, audited.store)


def test_a_baseline_is_a_rule_of_the_gate(audited, tmp_path):
    policy = Policy(evasive=None)
    result = run_audit(audited.recipe, tmp_path, audited.store, policy=policy, baseline=audited.folder)
    assert [(part.rule, part.holds) for part in result.gate] == [("errors", True), ("baseline", True)]
    assert result.verdict == "pass"
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / "audit.json").write_bytes((audited.folder / "audit.json").read_bytes())
    lines = [json.loads(line) for line in (audited.folder / "samples.jsonl").read_text().splitlines()]
    none = "".join(json.dumps({**line, "evasive": False}) + "\n" for line in lines)
    (earlier / "samples.jsonl").write_text(none)
    result = run_audit(audited.recipe, tmp_path, audited.store, policy=policy, baseline=earlier)
    assert (result.gate[-1].rule, result.gate[-1].holds, result.verdict) == ("baseline", False, "fail")


def test_an_audit_may_be_its_own_baseline(audited, tmp_path):
    run_audit(audited.recipe, tmp_path, audited.store)
    result = run_audit(audited.recipe, tmp_path, audited.store, baseline=tmp_path)
    assert result.gate[-1].measured == 1.0


REFUSED = {
    "missing": "cannot read",
    "other": "other settings \\(steps\\)",
    "large": "samples .* has more than 67,108,864 bytes",
}


@pytest.mark.parametrize("change", REFUSED)
def test_a_baseline_that_cannot_be_compared_is_refused_before_the_work(audited, tmp_path, change):
    recipe = audited.recipe
    attacks = recipe.attacks
    if change == "other":
        attacks = {**attacks, "default": attacks["default"].replace(steps=5)}
    baseline = tmp_path / "none" if change == "missing" else audited.folder
    if change == "large":
        baseline = tmp_path / "earlier"
        baseline.mkdir()
        (baseline / "audit.json").write_bytes((audited.folder / "audit.json").read_bytes())
        with (baseline / "samples.jsonl").open("wb") as file:
            file.truncate(2**26 + 1)
    told, out = [], tmp_path / "out"
    with pytest.raises(InputError, match=REFUSED[change]):
        run_audit(
            recipe.replace(attacks=attacks),
            out,
            Store(tmp_path / "store"),
            baseline=baseline,
            progress=lambda *progress: told.append(progress),
        )
    assert told == []
    assert not out.exists()
    assert not (tmp_path / "store").exists()
