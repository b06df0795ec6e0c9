"""Program files that contradict themselves: each is refused in one line, before anything of it is computed."""

import json
import math
import resource

import pytest
import torch
from made_networks import residual
from safetensors import safe_open
from safetensors.torch import save_file

from edgerift.deploy import Program
from edgerift.errors import ProgramError

QUANTIZE = "quantized_decomposed.quantize_per_tensor.default"
CHANNELS = "quantized_decomposed.dequantize_per_channel.default"


@pytest.fixture(scope="module")
def written(make_program, tmp_path_factory):
    maker = make_program()
    path = tmp_path_factory.mktemp("written") / "program.safetensors"
    maker.program(residual(maker)).save(path)
    return path


def parts(path):
    with safe_open(path, framework="pt") as opened:
        return json.loads(opened.metadata()["edgerift"]), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def load(path, header, tensors):
    save_file(tensors, path, metadata={"edgerift": json.dumps(header)})
    return Program.load(path)


def first(header, operator):
    return next(operation for operation in header["operations"] if operation["operator"] == operator)


def argument(operator, place, value):
    """Put a value in the place of an argument of the first operation of a kind."""
    return lambda header, _: first(header, operator)["arguments"].__setitem__(place, value)


def scales(value):
    """Give the first channel of the first scales another value."""

    def change(header, tensors):
        name = first(header, CHANNELS)["arguments"][1]["tensor"]
        tensors[name] = tensors[name].clone().index_fill_(0, torch.tensor(0), value)

    return change


def points(value):
    def change(header, tensors):
        name = first(header, CHANNELS)["arguments"][2]["tensor"]
        tensors[name] = torch.full_like(tensors[name], value)

    return change


def weight(change):
    def changed(header, tensors):
        name = first(header, CHANNELS)["arguments"][0]["tensor"]
        tensors[name] = change(tensors[name])

    return changed


def appended(operator, *arguments):
    """Compute something more, from the scores, and answer that."""

    def change(header, _):
        given = [{"node": header["output"]} if argument == "scores" else argument for argument in arguments]
        header["operations"].append({"name": "more", "operator": operator, "arguments": given, "keywords": {}})
        header["output"] = "more"

    return change


def output(name):
    return lambda header, _: header.update(output=name)


SENSELESS = {
    "classes that the output does not have": (lambda header, _: header.update(classes=511), "not [2, 511]"),
    "very many classes": (lambda header, _: header.update(classes=10**12), "is for 1000000000000 classes"),
    "no classes": (lambda header, _: header.update(classes=0), "is for 0 classes"),
    "a size of nothing": (lambda header, _: header.update(shape=[3, 0, 8]), "images of 3x0x8"),
    "a size that takes all memory": (lambda header, _: header.update(shape=[3, 10**9, 8]), "images of 3x1000000000x8"),
    "an output that is an image": (output("image"), "has the shape"),
    "a scale of zero": (argument(QUANTIZE, 1, 0.0), "scale that is not a positive number"),
    "a negative scale": (argument(QUANTIZE, 1, -0.1), "scale that is not a positive number"),
    "a scale of 400 digits": (argument(QUANTIZE, 1, 10**400), "scale that is not a positive number"),
    "a zero point of 400 digits": (argument(QUANTIZE, 2, 10**400), "zero point outside"),
    "a bound of 400 digits": (argument(QUANTIZE, 4, 10**400), "quantizes to"),
    "a scale that is text": (argument(QUANTIZE, 1, "1"), "scale that is not a positive number"),
    "a zero point outside its type": (argument(QUANTIZE, 2, 4000), "zero point outside -128 to 127"),
    "a zero point between two levels": (argument(QUANTIZE, 2, 0.5), "zero point outside"),
    "a bound outside its type": (argument(QUANTIZE, 4, 300), "quantizes to"),
    "bounds in the wrong order": (argument(QUANTIZE, 3, 127), "quantizes to"),
    "another type": (argument(QUANTIZE, 5, {"dtype": "float32"}), "quantizes to"),
    "no arguments": (lambda header, _: first(header, QUANTIZE).update(arguments=[]), "quantizes to"),
    "scales with a zero": (scales(0.0), "scale that is not a positive number"),
    "scales with NaN": (scales(math.nan), "NaN or infinity"),
    "scales with infinity": (scales(math.inf), "NaN or infinity"),
    "a negative scale among them": (scales(-1.0), "scale that is not a positive number"),
    "zero points outside their type": (points(200), "zero point outside -127 to 127"),
    "a weight of another type": (weight(lambda tensor: tensor.to(torch.uint8)), "cannot be computed"),
    "a weight of another shape": (weight(lambda tensor: tensor[:, :1].contiguous()), "cannot be computed"),
    "a weight that no program has": (weight(lambda tensor: tensor.to(torch.float16)), "as float16"),
    "a weight of nothing": (weight(lambda tensor: tensor[:0].contiguous()), "it is damaged"),
    "a tensor that nothing uses": (lambda _, tensors: tensors.update(spare=torch.zeros(1)), "which nothing uses"),
    "a convolution without arguments": (
        lambda header, _: first(header, "aten.conv2d.default").update(arguments=[]),
        "cannot be computed",
    ),
    "a sum that takes text": (appended("operator.add", "a", "b"), "takes"),
    "text that takes all memory": (appended("operator.mul", "a", 10**10), "takes"),
    "a number too large": (appended("operator.mul", 2**31, 2**31), "gives more than"),
    "a copy that takes all memory": (appended("aten.expand.default", "scores", [10**9, 2, 512]), "gives more than"),
    "an edge that takes all memory": (
        appended("aten.constant_pad_nd.default", "scores", [10**12, 0], 0.0),
        "gives more than",
    ),
    "scores that are no numbers": (appended("operator.getitem", "scores", "a"), "takes"),
    "a keyword of another operator": (
        lambda header, _: first(header, "aten.conv2d.default").update(keywords={"alpha": 1}),
        "unknown keyword 'alpha'",
    ),
}


@pytest.mark.parametrize(("change", "told"), SENSELESS.values(), ids=SENSELESS)
def test_a_program_that_contradicts_itself_is_refused_when_it_is_read(written, tmp_path, change, told):
    header, tensors = parts(written)
    change(header, tensors)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ProgramError) as caught:
        load(tmp_path / "p.safetensors", header, tensors)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    # In kilobytes on Linux, in bytes on a Mac: either way far from what the hostile ones ask for.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**30


def test_what_was_not_changed_is_taken(written, tmp_path):
    header, tensors = parts(written)
    assert load(tmp_path / "p.safetensors", header, tensors).classes == header["classes"]
