"""What several files of the repository say of the same thing agrees."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOME = PROJECT["project"]["urls"]["Homepage"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))


def layers() -> list[str]:
    """List the packages from the top down; what has no public name is no package."""
    first = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    return [name for layer in first for name in layer.split(" | ") if not name.startswith("_")]


def test_every_address_of_the_project_is_below_its_home() -> None:
    fancy = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    (links,) = fancy["substitutions"]
    addresses = [*PROJECT["project"]["urls"].values(), CITATION["repository-code"], links["replacement"][2:]]
    assert [address for address in addresses if not f"{address}/".startswith(f"{HOME}/")] == []


def test_links_of_the_readme_are_absolute_on_a_package_index() -> None:
    (links,) = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    text = re.sub(links["pattern"], links["replacement"], (ROOT / "README.md").read_text(encoding="utf-8"))
    found = re.findall(r"\]\(([^)]+)\)", text)
    assert found
    assert [link for link in found if not link.startswith("https://")] == []
    inside = [link.removeprefix(f"{HOME}/blob/main/") for link in found if link.startswith(HOME)]
    assert [path for path in inside if not (ROOT / path.partition("#")[0]).exists()] == []


def test_the_citation_is_of_this_project_and_version() -> None:
    project = PROJECT["project"]
    kept = {name: CITATION[name] for name in ("title", "abstract", "version", "license", "keywords")}
    assert kept == {
        **{name: project[name] for name in ("version", "license", "keywords")},
        "title": project["name"],
        "abstract": project["description"],
    }
    assert [author["name"] for author in CITATION["authors"]] == [author["name"] for author in project["authors"]]


def test_hooks_run_what_make_check_runs() -> None:
    commands = re.findall(r"^\t\$\(BIN\)/(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    checks = {command.split()[0] for command in commands} & {"ruff", "mypy", "lint-imports"}
    (local,) = HOOKS["repos"]
    assert local["repo"] == "local"
    assert {hook["entry"].split()[0] for hook in local["hooks"]} == {f".venv/bin/{name}" for name in checks}
    assert len(checks) == 3


def test_the_workflow_tries_the_pythons_of_the_classifiers() -> None:
    named = [text.rpartition(" ")[2] for text in PROJECT["project"]["classifiers"] if "Python :: 3." in text]
    assert set(named) <= set(WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"])
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"
    assert {"run": ".ci/run"} in WORKFLOW["jobs"]["test"]["steps"]


def test_the_layers_are_told_in_their_order() -> None:
    drawn = (ROOT / "docs" / "pictures" / "layers.svg").read_text(encoding="utf-8")
    assert re.findall(r'class="package"[^>]*>(\w+)<', drawn) == layers()
    style = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = style.partition("architecture.md): ")[2].partition(".")[0]
    assert re.split(r"; | and ", " ".join(told.split())) == layers()


def test_no_page_of_a_study_is_kept() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "docs/studies/*/report.html" in ignored
    pages = [ROOT / "docs" / "results.md", *(ROOT / "docs" / "studies").glob("*/tables.md")]
    assert [str(page) for page in pages if "report.html)" in page.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize(
    ("lines", "nested", "told"),
    [
        (50, False, []),
        (51, False, ["module.py:2 long: 51 lines, at most 50"]),
        (299, False, ["module.py: 301 lines, at most 300", "module.py:2 long: 299 lines, at most 50"]),
        (60, True, ["module.py:2 long: 60 lines, at most 50", "module.py:3 inner: 59 lines, at most 50"]),
    ],
)
def test_sizes_lists_what_is_too_long(lines: int, nested: bool, told: list[str], tmp_path: Path) -> None:
    head = ["def short(): ...", "def long():", *(["    def inner():"] if nested else [])]
    inner = "        x = 1" if nested else "    x = 1"
    body = [*head, *[inner] * (lines + 1 - len(head)), *([""] if lines == 299 else [])]
    (tmp_path / "module.py").write_text("\n".join(body) + "\n", encoding="utf-8")
    call = [sys.executable, str(ROOT / "tools" / "sizes.py"), str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    listed = [line.removeprefix(f"{tmp_path}/") for line in done.stdout.splitlines()[2:]]
    assert sorted(listed) == sorted(told), json.dumps(done.stdout)
    assert done.returncode == (1 if told else 0), done.stderr


def test_contributing_counts_what_an_addition_touches() -> None:
    """The table is what `tools/additions.py` prints, with a column for 0.1 between."""
    script = ROOT / "tools" / "additions.py"
    printed = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout
    counted = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()[2:]]
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for addition, now in counted:
        assert re.search(rf"^\| {re.escape(addition)} \| \d+ \| {now} \|$", text, flags=re.MULTILINE)


def test_scripts_import_what_there_is() -> None:
    scripts = [
        path for folder in ("benchmarks", "studies", "tools", "examples") for path in (ROOT / folder).glob("*.py")
    ]
    missing = []
    for path in scripts:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "edgerift":
                module = import_module(str(node.module))
                missing += [(path.name, alias.name) for alias in node.names if not hasattr(module, alias.name)]
    assert len(scripts) > 30
    assert missing == []
