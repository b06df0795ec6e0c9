"""The workflows of the documentation: YAML that names files which an audit writes."""

import re
from pathlib import Path

import yaml
from made_audit import made_audit

from edgerift.report import write_reports

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
OTHERS = {"audit.json"}


def test_workflows_are_yaml() -> None:
    github, reporter, gitlab = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    steps = github["jobs"]["audit"]["steps"]
    assert all({"uses", "run"} & set(step) for step in [*steps, *reporter])
    assert github["permissions"]["security-events"] == "write"
    assert gitlab["audit"]["artifacts"]["reports"] == {"junit": "audit/report.junit.xml"}


def test_every_file_that_the_page_names_is_written(tmp_path: Path) -> None:
    write_reports(made_audit(tmp_path), tmp_path)
    named = set(re.findall(r"audit/([a-z][a-z.]+[a-z])", PAGE)) | set(re.findall(r"^\| `(\S+)` \|", PAGE, re.MULTILINE))
    assert len(named) == 5
    assert named - OTHERS <= {path.name for path in tmp_path.iterdir()}
