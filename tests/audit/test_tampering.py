"""The threat of tampering in an audit: a pair whose build is honest, and one in which a code was changed."""

import shutil

import pytest

from edgerift.audit import AuditRecipe, Policy, TamperingSettings, run_audit
from edgerift.deploy import Program, build, quiet
from edgerift.errors import RecipeError
from edgerift.steps import Store
from edgerift.verify import TriggerSettings

SETTINGS = TamperingSettings(triggers=None)


def pair_with(small_pair, folder, change):
    """A folder whose program has another code, or its own, and the build of it."""
    shutil.copy(small_pair.folder / "original.safetensors", folder)
    program = Program.load(small_pair.folder / "program.safetensors")
    name = next(name for name, tensor in program.tensors.items() if name.endswith(".weight"))
    codes = program.tensors[name].clone()
    codes.view(-1)[3] ^= change
    program = program.with_tensors({name: codes})
    program.save(folder / "program.safetensors")
    with quiet():
        build(program, "onnxruntime", folder / "model.onnx")
    return small_pair._replace(folder=folder)


def audited(pair, folder, policy=None):
    recipe = AuditRecipe(pair=pair.settings(), images=pair.images, tampering=SETTINGS)
    return run_audit(recipe, folder / "audit", Store(folder / "store"), policy=policy)


def test_an_honest_build_conforms_and_its_gate_holds(small_pair, tmp_path):
    audit = audited(pair_with(small_pair, tmp_path, 0), tmp_path)
    assert audit.evasion is None
    assert audit.theft is None
    told = [(check.name, check.verdict, check.text) for check in audit.tampering.checks if check.verdict != "conforms"]
    assert (audit.tampering.verdict, audit.verdict) == ("conforms", "pass"), told
    assert {check.name for check in audit.tampering.checks} >= {"rounding", "compilation", "disagreement"}
    assert "tampering" in audit.times


def test_a_changed_code_fails_the_gate(small_pair, tmp_path):
    changed = pair_with(small_pair, tmp_path, 2)
    audit = audited(changed, tmp_path)
    (failed,) = (rule for rule in audit.gate if not rule.holds)
    assert (failed.rule, failed.measured >= 1) == ("deviations", True)
    assert audit.tampering.check("rounding").verdict == "deviates"
    assert audited(changed, tmp_path, Policy(deviations=None)).verdict == "pass"


def test_an_audit_without_tampering_keeps_its_name(audit_recipe):
    assert "tampering" not in audit_recipe.canonical_json()
    assert audit_recipe.replace(tampering=SETTINGS).digest() != audit_recipe.digest()
    triggers = TamperingSettings(triggers=TriggerSettings(steps=7))
    assert audit_recipe.replace(tampering=triggers).digest() != audit_recipe.replace(tampering=SETTINGS).digest()
    with pytest.raises(RecipeError, match="no attacks, no `thefts` and no `tampering`"):
        AuditRecipe(pair=audit_recipe.pair, images=audit_recipe.images)
