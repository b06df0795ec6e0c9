"""What the command line imports before it answers: neither PyTorch nor a runtime."""

import json
import subprocess
import sys

import pytest

from edgerift.cli._verbs import VERBS, Family, Verb

#: What takes long to import; what comes with pydantic and tyro is not in it.
HEAVY = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "sklearn",
    "matplotlib",
    "pyarrow",
    "datasets",
    "PIL",
    "torchvision",
    "torchao",
    "timm",
    "onnx",
    "onnxruntime",
    "executorch",
    "ai_edge_litert",
    "ray",
    "mlflow",
)
#: Whether they need the settings of a verb, or its name alone.
ANSWERS = {
    "--version": False,
    "--help": False,
    "adit": False,
    "study --help": False,
    "store": False,
    "audit --epoch 3": True,
    "defend --out x --l1-budget many": True,
    **{f"{name} --help": True for name, verb in VERBS.items() if isinstance(verb, Verb)},
    **{
        f"{name} {below} --help-all": True
        for name, verb in VERBS.items()
        if isinstance(verb, Family)
        for below in verb.verbs
    },
}
PROGRAM = """
import contextlib, io, json, sys
from edgerift.__main__ import main
found = {}
for line in json.loads(sys.argv[1]):
    sys.argv[1:] = line.split()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main()
    found[line] = [code, said.getvalue(), list(sys.modules)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answers():
    """Answer all in one process, so that the lightest have to come first."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(list(ANSWERS))]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return json.loads(told)


@pytest.mark.parametrize("line", ANSWERS)
def test_help_and_refusals_import_neither_pytorch_nor_a_runtime(answers, line):
    code, said, modules = answers[line]
    assert code == (0 if "help" in line or line == "--version" else 2)
    assert said
    assert sorted(set(HEAVY) & set(modules)) == []
    if not ANSWERS[line]:
        assert "pydantic" not in modules


def test_a_stored_recipe_of_any_kind_is_known_without_the_run_that_made_it():
    program = (
        "import importlib, pkgutil; import edgerift; from edgerift.cli._store import _known_recipes as known; "
        "first = set(known()); "
        "[importlib.import_module(one.name) for one in pkgutil.walk_packages(edgerift.__path__, 'edgerift.') "
        "if not one.name.endswith(('_opening', '__main__'))]; print(len(first), first == set(known()))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    count, is_same = told.split()
    assert int(count) > 10
    assert is_same == "True"


def test_registries_name_their_parts_without_pytorch():
    """Every module that registers a part is imported for its name; what computes in it waits."""
    program = (
        "import sys; from edgerift import defend, deploy, extract, harden, zoo; "
        "parts = [deploy.RUNTIMES, defend.DEFENCES, extract.DATA_FREE, harden.VARIANTS, harden.MEANS]; "
        "assert all(registry.names() for registry in parts) and zoo.names(); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told == "False\n"
