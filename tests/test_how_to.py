"""The pages on adding parts: whoever follows one has the part in options, schemas and reports, by its files alone."""

from typing import Any

import pytest
from followed_page import files_of, follow

PAGES = ("add-a-runtime.md", "add-a-defence.md", "add-an-attack.md", "add-an-architecture.md", "add-a-figure.md")

PROBE = """
from pydantic import TypeAdapter
from rich.console import Console
from made_hardening import made_hardening
from edgerift import zoo
from edgerift.adapt import HardenedRecipe
from edgerift.defend import Defence, with_strength
from edgerift.deploy import BuildRecipe, runtimes_for
from edgerift.evade import Attack
from edgerift.harden import Hardening, HardenRecipe
from edgerift.report import hardening_text, write_hardening
from edgerift.report.shared._plots import looks

hardening = made_hardening(("qat", "flat", "flat+uniform"), search=False, alphas=False, sweeps=False)
joint = hardening.victim["flat+uniform"].replace(defences=(with_strength("uniform", 0.25),), strength=0.5)
hardening = hardening.replace(victim={**hardening.victim, "flat+uniform": joint})
(root / "out").mkdir()
write_hardening(hardening, root / "out")
console = Console(width=200, record=True, file=io.StringIO())
console.print(hardening_text(Hardening.model_validate_json((root / "out" / "harden.json").read_text())))

def kinds(schema):
    return list(schema["discriminator"]["mapping"])

print(json.dumps({
    "help": {verb: help_of(verb) for verb in ("train", "adapt", "defend", "extract", "harden")},
    "runtimes": BuildRecipe.model_json_schema()["properties"]["runtime"]["enum"],
    "server": runtimes_for("server"),
    "defences": kinds(TypeAdapter(Defence).json_schema()),
    "trainings": kinds(HardenedRecipe.model_json_schema()["properties"]["defence"]),
    "objectives": kinds(Attack.model_json_schema()["properties"]["objective"]),
    "variants": HardenRecipe.model_json_schema()["properties"]["rows"]["items"]["enum"],
    "networks": zoo.names(),
    "reports": [console.export_text(), *((root / "out" / name).read_text() for name in ("tables.md", "report.html"))],
    "look": looks(["flat"])["flat"],
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return follow(PAGES, tmp_path_factory.mktemp("followed"), PROBE)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_a_module_and_its_test(page: str) -> None:
    names = files_of(page)
    assert any(name.startswith("src/") for name in names)
    assert any(name.startswith("tests/") for name in names)


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("defend", "uniform"),
        ("extract", "uniform"),
        ("harden", "flat"),
        ("harden", "flat+uniform"),
        ("train", "two-layers"),
        ("adapt", "reference"),
    ],
)
def test_what_a_page_adds_stands_in_the_help(found: Any, verb: str, name: str) -> None:
    words = (
        found["help"][verb]
        .replace("│", " ")
        .replace(",", " ")
        .replace(";", " ")
        .replace(")", " ")
        .replace("{", " ")
        .replace("}", " ")
        .split()
    )
    assert name in words


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("defences", ["uniform"]),
        ("trainings", ["flat"]),
        ("objectives", ["log-ratio"]),
        ("variants", ["flat", "flat+uniform"]),
        ("networks", ["two-layers"]),
        ("runtimes", ["reference"]),
        ("server", ["reference"]),
    ],
)
def test_what_a_page_adds_stands_in_the_schemas(found: Any, schema: str, names: list[str]) -> None:
    assert set(names) <= set(found[schema])


def test_a_variant_that_a_page_adds_stands_in_reports_with_its_look(found: Any) -> None:
    assert found["variants"][-2:] == ["flat", "flat+uniform"]
    assert found["look"] == ["#a05195", "8"]
    for report in found["reports"]:
        assert "Entropy bonus + uniform mixture" in report
        assert "share 0.25" in report
