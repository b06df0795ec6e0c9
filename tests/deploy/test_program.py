"""Programs as files: what comes back, and what is refused."""

import dataclasses
import json

import pytest
import torch
from made_networks import branches, layers, residual
from safetensors.torch import save_file

from edgerift.deploy import Operation, Program, Provenance, from_graph
from edgerift.deploy.program._encoding import decode, encode
from edgerift.deploy.program._operators import ALLOWED, resolve
from edgerift.errors import ProgramError
from edgerift.images import ImageShape


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
    assert (again.target, again.classes, again.shape, again.provenance) == (
        target,
        program.classes,
        (3, 16, 16),
        program.provenance,
    )
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in program.tensors.items())
    assert torch.equal(again.module()(maker.images), program.module()(maker.images))


def test_saving_twice_gives_the_same_bytes(program, tmp_path):
    for name in ("a", "b"):
        program.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def from_constants(scale, weight=None, unused=None):
    """A program of a graph that multiplies the images by a constant and sums them with weights."""
    root, graph = torch.nn.Module(), torch.fx.Graph()
    root.register_buffer("scale", scale)
    root.register_buffer("weight", torch.ones(5, 48) if weight is None else weight)
    if unused is not None:
        root.register_buffer("unused", unused)
        graph.get_attr("unused")
    scaled = graph.call_function(torch.ops.aten.mul.Tensor, (graph.placeholder("image"), graph.get_attr("scale")))
    flat = graph.call_function(torch.ops.aten.flatten.using_ints, (scaled, 1))
    graph.output(graph.call_function(torch.ops.aten.linear.default, (flat, graph.get_attr("weight"))))
    module = torch.fx.GraphModule(root, graph)
    return from_graph(
        module, target="mobile", classes=5, shape=ImageShape(3, 4, 4), provenance=Provenance(method="made"), names={}
    )


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_constants_of_another_float_type_are_stored_as_float32(tmp_path, kind):
    program = from_constants(torch.full((1, 3, 4, 4), 0.1, dtype=kind), unused=torch.ones(1))
    assert {name: tensor.dtype for name, tensor in program.tensors.items()} == dict.fromkeys(
        ("scale", "weight"), torch.float32
    )
    expected = torch.full((2, 5), 48 * float(torch.tensor(0.1, dtype=kind)))
    assert torch.allclose(program.module()(torch.ones(2, 3, 4, 4)), expected, rtol=1e-6)
    program.save(tmp_path / "p.safetensors")
    assert Program.load(tmp_path / "p.safetensors").operations == program.operations


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scale": torch.tensor(float("-inf"))}, "the model makes no program: .*'scale' holds NaN or infinity; write"),
        ({"scale": torch.ones(1), "weight": torch.full((5, 48), torch.nan)}, "'weight' holds NaN or infinity"),
        ({"scale": torch.tensor(1e300, dtype=torch.float64)}, "'scale' holds NaN or infinity"),
        ({"scale": torch.ones(1, dtype=torch.complex64)}, "'scale' as complex64"),
        ({"scale": torch.ones(1), "weight": torch.ones(4, 48)}, r"shape \[2, 4\] for 2 images, not \[2, 5\]"),
    ],
)
def test_what_no_file_could_be_read_with_is_told_when_a_program_is_made(given, message):
    with pytest.raises(ProgramError, match=message) as raised:
        from_constants(**given)
    assert "damaged" not in str(raised.value)
    assert "\n" not in str(raised.value)


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
        (lambda header: header["operations"][2].update(arguments=[{"dtype": ["int8"]}]), "not understood"),
        (lambda header: header["operations"][2].update(arguments=[{}]), "not understood"),
        (lambda header: header["operations"].append(header["operations"][1]), "twice"),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(program, tmp_path, change, message):
    path = tmp_path / "p.safetensors"
    program.save(path)
    rewrite(path, change)
    with pytest.raises(ProgramError, match=message):
        Program.load(path).module()


NOT_PLAIN = {
    "a blank": "two words",
    "a newline": "two\nlines",
    "a keyword": "lambda",
    "a bracket": "call()",
    "a comma": "a, b",
    "a digit first": "1a",
    "nothing": "",
    "another script": "имя",
    "a width that Python folds": "ａ",
    "201 letters": "a" * 201,
}


def _renamed(value, was, name):
    """Give a node or the input another name wherever a header names it."""
    if isinstance(value, dict):
        return {key: _renamed(item, was, name) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, was, name) for item in value]
    return name if value == was else value


RENAMED = {
    "the input": lambda header, name: header.update(_renamed(header, header["image"], name)),
    "a node": lambda header, name: header.update(_renamed(header, header["operations"][2]["name"], name)),
    "the output": lambda header, name: header.update(output=name),
    "a keyword": lambda header, name: header["operations"][2].update(keywords={name: 1}),
}


@pytest.mark.parametrize("name", NOT_PLAIN.values(), ids=NOT_PLAIN)
@pytest.mark.parametrize("rename", RENAMED.values(), ids=RENAMED)
def test_a_name_that_is_no_plain_identifier_is_refused_when_the_file_is_read(program, tmp_path, rename, name):
    path = tmp_path / "p.safetensors"
    program.save(path)
    rewrite(path, lambda header: rename(header, name))
    with pytest.raises(ProgramError, match="a plain name is") as raised:
        Program.load(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["two words", "two\nlines", "call()", "", "a..b", ".a", "имя", "a" * 401])
def test_a_tensor_by_another_kind_of_name_is_refused_when_the_file_is_read(program, tmp_path, name):
    path = tmp_path / "p.safetensors"
    program.save(path)
    rewrite(path, lambda header: None, {name: torch.zeros(1)})
    with pytest.raises(ProgramError, match="may not hold a tensor") as raised:
        Program.load(path)
    assert "\n" not in str(raised.value)


def test_a_keyword_that_the_operator_does_not_have_is_refused(program, tmp_path):
    path = tmp_path / "p.safetensors"
    program.save(path)
    rewrite(path, lambda header: header["operations"][2].update(keywords={"alpa": 1}))
    with pytest.raises(ProgramError, match="unknown keyword 'alpa'"):
        Program.load(path).module()


@pytest.mark.parametrize("name", ["max", "input", "device", "self", "torch"])
def test_a_name_with_a_meaning_in_generated_code_is_no_nodes(program, name):
    was = program.operations[2].name
    renamed = [Operation(**_renamed(operation.model_dump(), was, name)) for operation in program.operations]
    with pytest.raises(ProgramError, match="has a meaning of its own"):
        dataclasses.replace(program, operations=tuple(renamed)).module()


@pytest.mark.parametrize("name", ["max", "input", "self", "torch"])
def test_the_name_of_the_input_changes_nothing(program, name):
    renamed = [Operation(**_renamed(operation.model_dump(), program.image, name)) for operation in program.operations]
    changed = dataclasses.replace(program, image=name, operations=tuple(renamed))
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(changed.module()(images), program.module()(images))


def test_no_name_of_a_program_that_was_made_by_hand_becomes_code(program):
    for changed in (
        dataclasses.replace(program, image="two words"),
        dataclasses.replace(program, image=program.operations[0].name),
        dataclasses.replace(program, operations=program.operations + program.operations[:1]),
    ):
        with pytest.raises(ProgramError):
            changed.module()


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
    rewrite(path, lambda header: header.update(format="edgerift-program-3"))
    with pytest.raises(ProgramError, match="edgerift-program-3"):
        Program.load(path)


def test_a_file_of_the_first_format_is_read(program, tmp_path):
    """It has the side of a square in the place of the shape."""
    path = tmp_path / "p.safetensors"
    program.save(path)

    def aged(header):
        side = header.pop("shape")[1]
        header.update(format="edgerift-program-1", size=side)

    rewrite(path, aged)
    assert Program.load(path).shape == program.shape == (3, 16, 16)


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
    program = Program(
        (Operation(name="a", operator="x", arguments=[]),),
        {},
        "a",
        "mobile",
        2,
        ImageShape(3, 8, 8),
        "image",
        provenance,
    )
    assert program.provenance.settings["epochs"] == 3


def rewrite(path, change, further=None):
    """Change the JSON in a program file's header, and add further tensors."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as opened:
        header = json.loads(opened.metadata()["edgerift"])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    change(header)
    save_file(tensors | (further or {}), path, metadata={"edgerift": json.dumps(header)})
