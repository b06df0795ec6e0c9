"""What a user may import, and what `import edgerift` may cost.

A name that is missing here is not part of the interface; a change here is a change for users and belongs in the
changelog.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

PUBLIC = {
    "edgerift": [
        "Fleet",
        "Pair",
        "adapt",
        "audit",
        "deploy",
        "errors",
        "evade",
        "images",
        "measure",
        "recipes",
        "report",
        "store",
        "train",
        "zoo",
    ],
    "edgerift.adapt": [
        "AdaptRecipe",
        "FinetuneRecipe",
        "GivenOriginal",
        "PtqSettings",
        "QatSettings",
        "TARGETS",
        "finetune",
        "float_weights",
        "given_original",
        "open_original",
        "ptq",
        "qat",
        "run_finetune",
        "run_qat",
        "torchao_qat",
        "torchao_qat_model",
    ],
    "edgerift.audit": [
        "Audit",
        "AuditRecipe",
        "FindingPart",
        "Measured",
        "Policy",
        "Replay",
        "attack_part",
        "comparison",
        "judge",
        "judge_baseline",
        "judged",
        "read_audit",
        "read_policy",
        "replay",
        "run_audit",
        "schema",
    ],
    "edgerift.cli": [
        "main",
    ],
    "edgerift.deploy": [
        "Arithmetic",
        "Build",
        "BuildRecipe",
        "Fidelity",
        "Fingerprint",
        "FloatWeight",
        "GivenBuild",
        "GivenProgram",
        "Operation",
        "Program",
        "Provenance",
        "RUNTIMES",
        "Runtime",
        "Target",
        "TrainableTwin",
        "Twin",
        "build",
        "feature_module",
        "fidelity",
        "find_runtime",
        "folded",
        "from_graph",
        "given_build",
        "given_program",
        "is_allowed",
        "layers",
        "multiplies",
        "open_build",
        "operator_name",
        "quiet",
        "reads_integers",
        "restored_twin",
        "trainable_twin",
        "twin",
        "twin_scores",
    ],
    "edgerift.errors": [
        "BuildError",
        "DataError",
        "EdgeriftError",
        "InputError",
        "MissingRuntimeError",
        "ModelError",
        "ProgramError",
        "QuantizationError",
        "RecipeError",
        "StoreError",
        "unknown_name",
    ],
    "edgerift.evade": [
        "Attack",
        "CrossEntropy",
        "Custom",
        "Diva",
        "Dropped",
        "Embedding",
        "EvadeRecipe",
        "Evasion",
        "Fleet",
        "FloatBuild",
        "LayerEffect",
        "Margin",
        "Objective",
        "Pair",
        "PairMargin",
        "PairSettings",
        "SelectRecipe",
        "Selection",
        "Steering",
        "TargetedDiva",
        "Victim",
        "eligible",
        "embedding",
        "float_pair",
        "is_beyond_top5",
        "is_evasive",
        "margin",
        "png_bytes",
        "preset",
        "presets",
        "random_search",
        "rank_layers",
        "read_png",
        "search",
        "search_selected",
        "select",
    ],
    "edgerift.images": [
        "Augmentation",
        "ImageSet",
        "ImagesSettings",
        "Splits",
        "ThreeWay",
        "load",
        "open_splits",
        "resolve",
        "save",
        "split",
        "to_float",
    ],
    "edgerift.measure": [
        "Latency",
        "Predict",
        "Quadrants",
        "Rate",
        "accuracy",
        "agreement",
        "fisher",
        "l1_distance",
        "l2_distance",
        "latency",
        "linf_distance",
        "mcnemar",
        "predict_all",
        "quadrants",
        "ssim",
    ],
    "edgerift.recipes": [
        "Progress",
        "Recipe",
        "Settings",
        "read",
        "silent",
    ],
    "edgerift.report": [
        "Card",
        "FidelityEntry",
        "audit_html",
        "audit_junit",
        "audit_sarif",
        "audit_text",
        "card_text",
        "make_card",
        "write_reports",
    ],
    "edgerift.store": [
        "Store",
        "default_root",
        "remove_unfinished",
        "write_whole",
    ],
    "edgerift.train": [
        "Epoch",
        "History",
        "Loss",
        "OnEpoch",
        "TrainRecipe",
        "TrainSettings",
        "Trained",
        "augment",
        "fit",
        "learning_rate",
        "plot_history",
        "run",
    ],
    "edgerift.zoo": [
        "Architecture",
        "Classifier",
        "Normalise",
        "check",
        "create",
        "from_architecture",
        "load",
        "names",
        "save",
    ],
}
#: Packages that take seconds to import; what needs one imports it when it is called.
HEAVY = ["datasets", "executorch", "matplotlib", "onnx", "onnxruntime", "scipy", "sklearn", "torchao", "torchvision"]

PROGRAM = """
import importlib, json, sys
import edgerift
answer = {"heavy": [name for name in json.loads(sys.argv[2]) if name in sys.modules], "names": {}}
for name in json.loads(sys.argv[1]):
    module = importlib.import_module(name)
    own = vars(module).items()
    if not hasattr(module, "__path__"):  # A module's imports are names too, but nobody is to import them from there.
        own = [(key, value) for key, value in own if getattr(value, "__module__", None) == name]
    answer["names"][name] = sorted(key for key, _ in own if not key.startswith("_"))
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def fresh_import() -> dict[str, Any]:
    """Import edgerift in an interpreter of its own, where no test has imported anything yet."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, json.dumps(list(PUBLIC)), json.dumps(HEAVY)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_exports_its_names_and_no_others(package: str, fresh_import: dict[str, Any]) -> None:
    assert fresh_import["names"][package] == PUBLIC[package]


def test_importing_edgerift_imports_nothing_heavy(fresh_import: dict[str, Any]) -> None:
    assert fresh_import["heavy"] == []
