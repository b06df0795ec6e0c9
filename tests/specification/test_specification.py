"""Specifications as values: their defaults, their files and their spelling in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgerift.errors import RecipeError
from edgerift.settings import canonical_json
from edgerift.specification import Specification, parse_specification, read_specification, sidecar, spelled

NORMALISED = {"mean": "imagenet", "std": "imagenet"}
QUANTIZED = {"scale": 0.1, "zero_point": -1}
FIELDS = {
    "input": {"layout": "nhwc", "dtype": "int8", "quantization": QUANTIZED, "mean": "imagenet"},
    "output": {"name": "head", "kind": "probabilities", "background": "first"},
}


def test_a_default_leaves_no_trace():
    assert canonical_json(Specification()) == "{}"
    assert Specification().is_default
    assert canonical_json(Specification(input={"layout": "nhwc"})) == '{"input":{"layout":"nhwc"}}'
    assert Specification.model_validate_json(canonical_json(Specification(**FIELDS))) == Specification(**FIELDS)


def test_what_is_set_goes_over_what_was_found():
    found = Specification(input={"name": "x", "layout": "nhwc", "batch": 4}, output={"kind": "logits"})
    assert parse_specification("layout=nchw,mean=0.5").over(found) == Specification(
        input={"name": "x", "mean": 0.5, "batch": 4}, output={"kind": "logits"}
    )
    with pytest.raises(RecipeError, match="quantization is for dtype uint8 or int8"):
        parse_specification("dtype=float32").over(Specification(**FIELDS))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("mean=imagenet,std=imagenet,layout=nhwc", {"input": NORMALISED | {"layout": "nhwc"}}),
        ("mean=0.1, 0.2,0.3 ,std=0.5", {"input": {"mean": (0.1, 0.2, 0.3), "std": 0.5}}),
        ("name=x,output.name=y,index=1", None),
        ("input.name=x,output.name=y", {"input": {"name": "x"}, "output": {"name": "y"}}),
        ("dtype=int8,quantization=0.1,-1", {"input": {"dtype": "int8", "quantization": QUANTIZED}}),
        ("output.quantization=0.1,-1", {"output": {"quantization": QUANTIZED}}),
        ("batch=1,background=last", {"input": {"batch": 1}, "output": {"background": "last"}}),
        ("kind=probabilities", {"output": {"kind": "probabilities"}}),
    ],
)
def test_one_line_says_it_all(text, fields):
    if fields is None:
        with pytest.raises(RecipeError, match="name is 'y' and index 1"):
            parse_specification(text)
        return
    found = parse_specification(text)
    assert found == Specification(**fields)
    assert parse_specification(spelled(found)) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("layot=nhwc", "unknown field of a specification 'layot'; did you mean 'layout'?"),
        ("nhwc", "'nhwc' does not begin with field=value; write it such as mean=imagenet,std=imagenet"),
        ("layout=nhwc,layout=nchw", "gives layout twice"),
        ("layout=nhwc,nchw", "layout is ['nhwc', 'nchw']"),
        ("dtype=int8,quantization=1,2,3", "unknown field 'third'"),
        ("mean=many", "unknown normalisation 'many'"),
        ("", "does not begin with field=value"),
    ],
)
def test_a_line_that_is_wrong_is_told(text, told):
    with pytest.raises(RecipeError) as caught:
        parse_specification(text)
    assert told in str(caught.value)


@given(
    st.tuples(*[st.floats(0, 1, width=32)] * 3),
    st.floats(1e-9, 1e9).filter(lambda value: value > 0),
    st.integers(-128, 127),
)
def test_numbers_survive_their_spelling(mean, scale, zero_point):
    numbers = Specification(
        input={"mean": mean, "dtype": "int8", "quantization": {"scale": scale, "zero_point": zero_point}}
    )
    assert parse_specification(spelled(numbers)) == numbers


def test_a_file_beside_the_model_is_read(tmp_path):
    model = tmp_path / "net.onnx"
    assert sidecar(model).is_default
    beside = tmp_path / "net.onnx.yaml"
    beside.write_text("input:\n  layout: nhwc\n  mean: imagenet\noutput: {background: last}\n", encoding="utf-8")
    assert sidecar(model) == Specification(input={"layout": "nhwc", "mean": "imagenet"}, output={"background": "last"})
    beside.write_text("input:\n  layout: nhwc\n  chanels: bgr\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        sidecar(model)
    assert f"{beside}:3:" in str(caught.value)
    assert "did you mean 'channels'?" in str(caught.value)


def test_a_file_that_is_missing_or_no_mapping_is_told(tmp_path):
    with pytest.raises(RecipeError, match="cannot read the specification"):
        read_specification(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- nhwc\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"list.yaml:1: a specification is a mapping .* for example `input:"):
        read_specification(tmp_path / "list.yaml")
