"""Programs as files: what comes back, and what is refused."""

import json

import pytest
import torch
from made_networks import branches, layers, residual
from safetensors.torch import save_file

from edgerift.deploy import Operation, Program, Provenance
from edgerift.deploy._encoding import decode, encode
from edgerift.deploy._operators import ALLOWED, resolve
from edgerift.errors import ProgramError


@pytest.fixture
def program(make_program):
    maker = make_program()
    return maker.program(residual(maker))


@pytest.mark.parametrize("network", [layers, residual, branches])
@pytest.mark.parametrize("target", ["mobile", "server"])
def test_a_program_comes_back_from_its_file_as_it_was(make_program, tmp_path, network, target):
    maker = make_program(target)
    program = maker.program(network(maker))
    program.save(tmp_path / "p.safetensors")
    again = Program.load(tmp_path / "p.safetensors")
    assert again.operations == program.operations
    assert (again.target, again.classes, again.size, again.provenance) == (target, 5, 16, program.provenance)
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in program.tensors.items())
    assert torch.equal(again.module()(maker.images), program.module()(maker.images))


def test_saving_twice_gives_the_same_bytes(program, tmp_path):
    for name in ("a", "b"):
        program.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_allowed_operator_exists():
    assert all(callable(resolve(name)) for name in ALLOWED)


@pytest.mark.parametrize(
    "operator", ["aten.from_file.default", "os.system", "aten.relu.default.__call__", "builtins.eval", "operator.call"]
)
def test_an_operator_that_is_not_listed_is_refused_when_the_file_is_read(program, tmp_path, operator):
    path = tmp_path / "p.safetensors"
    program.save(path)
    rewrite(path, lambda header: header["operations"][3].update(operator=operator))
    with pytest.raises(ProgramError, match="may not hold") as raised:
        Program.load(path)
    assert operator in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header["operations"].pop(2), "before it is computed"),
        (lambda header: header["operations"][2].update(arguments=[{"tensor": "gone"}]), "does not hold"),
        (lambda header: header["operations"][2].update(arguments=[{"code": "print()"}]), "not understood"),
        (lambda header: header["operations"][2].update(arguments=[{"dtype": "float8"}]), "unknown dtype"),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(program, tmp_path, change, message):
    path = tmp_path / "p.safetensors"
    program.save(path)
    rewrite(path, change)
    with pytest.raises(ProgramError, match=message):
        Program.load(path).module()


@pytest.mark.parametrize("content", [b"", b"not a program", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_file_that_is_no_program_is_refused(tmp_path, content):
    path = tmp_path / "p.safetensors"
    path.write_bytes(content)
    with pytest.raises(ProgramError):
        Program.load(path)


def test_a_truncated_program_is_refused(program, tmp_path):
    path = tmp_path / "p.safetensors"
    program.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ProgramError, match="not a readable program"):
        Program.load(path)


def test_a_missing_program_names_the_command_that_writes_one(tmp_path):
    with pytest.raises(ProgramError, match="edgerift adapt"):
        Program.load(tmp_path / "none.safetensors")


def test_an_unknown_field_or_a_newer_format_is_refused(program, tmp_path):
    path = tmp_path / "p.safetensors"
    program.save(path)
    rewrite(path, lambda header: header.update(format="edgerift-program-2"))
    with pytest.raises(ProgramError, match="edgerift-program-2"):
        Program.load(path)


@pytest.mark.parametrize(
    "value", [None, True, 3, 0.25, "mean", [1, [2, 3]], torch.int8, torch.channels_last, torch.device("cpu")]
)
def test_arguments_survive_json(value):
    text = json.dumps(encode(value, {}))
    assert decode(json.loads(text), None, None) == value


def test_an_argument_that_cannot_be_data_is_refused():
    with pytest.raises(ProgramError, match="cannot hold the argument"):
        encode(object(), {})


def test_a_program_says_where_it_came_from():
    provenance = Provenance(method="qat", settings={"epochs": 3}, original="ab")
    program = Program((Operation(name="a", operator="x", arguments=[]),), {}, "a", "mobile", 2, 8, "image", provenance)
    assert program.provenance.settings["epochs"] == 3


def rewrite(path, change):
    """Change the JSON in a program file's header."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        header = json.loads(opened.metadata()["edgerift"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(header)
    save_file(tensors, path, metadata={"edgerift": json.dumps(header)})
