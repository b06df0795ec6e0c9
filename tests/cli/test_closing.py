"""The command that would close the gap: it hardens what was audited, whatever the audit was told."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from edgerift.cli._audit import AuditCommand
from edgerift.cli._closing import closing_command
from edgerift.cli._harden import HardenCommand
from edgerift.cli._parsing import parse


def audited(*words: object) -> AuditCommand:
    command = parse(["audit", *map(str, words)])
    assert isinstance(command, AuditCommand)
    return command


def closing(*words: object) -> HardenCommand:
    audit = audited(*words)
    said = closing_command(audit, Path("audits/first"))
    name, *given = shlex.split(said)
    assert name == "edgerift"
    command = parse(given)
    assert isinstance(command, HardenCommand)
    assert command.against == "evasion"
    assert command.out == Path("audits/first-hardened")
    return command


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--data", "mnist", "--size", "28x20", "--model", "lenet", "--epochs", 3, "--seed", 4, "--compile"),
        ("--target", "server", "--adapt-epochs", 2, "--runtime", "onnxruntime", "--adversary", "trades:4"),
        ("--epsilon", 3, "--policy", "a policy.yaml", "--store", "odd store", "--steps", 7, "--attack", "pgd"),
        ("--original", "my model.safetensors", "--model", "torchvision:resnet18", "--trust"),
    ],
    ids=["plain", "training", "adapting", "attacking", "original"],
)
def test_every_option_that_both_take_is_passed_on(words: tuple[Any, ...]) -> None:
    audit, command = audited(*words), closing(*words)
    assert command.data.replace(store=None) == audit.data.replace(store=None)
    assert (command.data.store is None) is (audit.data.store is None)
    assert command.original == audit.original
    assert command.runtime == audit.runtime
    assert command.evasion.epsilon == audit.attacking.epsilon
    assert command.evasion.policy == audit.policy
    shared = set(type(command.hardening).model_fields) & set(type(audit.adapting).model_fields)
    assert {name: getattr(command.hardening, name) for name in shared} == {
        name: getattr(audit.adapting, name) for name in shared
    }
    assert command.training == audit.training
    assert command.trust is (audit.trust and audit.original is not None)


def test_the_original_of_a_folder_is_hardened_for_its_target(small_pair: Any) -> None:
    for given in (small_pair.folder, small_pair.folder / "program.safetensors"):
        command = closing("--adapted", given, "--size", 12, "--epochs", 3)
        assert command.original == small_pair.folder / "original.safetensors"
        assert command.hardening.target == "server"
        assert command.training.epochs is None


def test_the_original_of_a_foreign_build_is_hardened_for_its_runtime() -> None:
    command = closing("--original", "o.onnx", "--build", "model.onnx", "--input", "nhwc")
    assert command.original == Path("o.onnx")
    assert command.hardening.target == "server"
    assert command.training.input == "nhwc"
