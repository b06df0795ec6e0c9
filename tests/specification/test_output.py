"""What models answer, read as logits."""

import warnings
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest
import torch

from edgerift.errors import ModelError, ProbabilitiesWarning, RecipeError
from edgerift.specification import OutputSpecification, Specification, SpecifiedModule

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])


class Pair(NamedTuple):
    """A named tuple as torchvision's Inception answers it."""

    logits: torch.Tensor
    aux_logits: torch.Tensor


class Answer:
    """An object with logits among other things."""

    def __init__(self, logits):
        self.logits, self.loss = logits, None


@pytest.mark.parametrize(
    ("fields", "answer", "expected"),
    [
        ({}, LOGITS, LOGITS),
        ({}, LOGITS.half(), LOGITS),
        ({}, LOGITS.numpy(), LOGITS),
        ({}, LOGITS.reshape(2, 3, 1, 1), LOGITS),
        ({}, (LOGITS,), LOGITS),
        ({}, {"scores": LOGITS}, LOGITS),
        ({}, {"hidden": LOGITS + 1, "logits": LOGITS, "loss": None}, LOGITS),
        ({}, Answer(LOGITS), LOGITS),
        ({}, Pair(LOGITS, LOGITS + 1), LOGITS),
        ({"index": 1}, (LOGITS + 1, LOGITS), LOGITS),
        ({"index": 0}, LOGITS, LOGITS),
        ({"name": "aux_logits"}, Pair(LOGITS + 1, LOGITS), LOGITS),
        ({"name": "head"}, OrderedDict(other=LOGITS + 1, head=LOGITS), LOGITS),
        ({"background": "first"}, LOGITS, LOGITS[:, 1:]),
        ({"background": "last"}, LOGITS, LOGITS[:, :2]),
        ({"kind": "log-probabilities"}, LOGITS.log_softmax(1), LOGITS.log_softmax(1)),
        ({"kind": "probabilities"}, LOGITS.softmax(1), LOGITS.softmax(1).log()),
        ({"quantization": {"scale": 0.5, "zero_point": -3}}, np.array([[-3, -1, 0], [7, -128, 127]], np.int8), None),
    ],
)
def test_answers_are_read_as_logits(fields, answer, expected):
    if expected is None:
        expected = torch.tensor([[0.0, 1.0, 1.5], [5.0, -62.5, 65.0]])
    found = OutputSpecification(**fields).read(answer)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_without_a_background_probabilities_are_those_of_the_rest():
    kept = OutputSpecification(kind="probabilities", background="first").read(LOGITS.softmax(1))
    torch.testing.assert_close(kept.softmax(1), LOGITS[:, 1:].softmax(1))


@pytest.mark.parametrize(
    ("fields", "answer", "told"),
    [
        ({}, (LOGITS, LOGITS[:, :1]), "has 2 outputs: 0 [2, 3], 1 [2, 1]; pick the scores with index=N"),
        ({}, {"a": LOGITS, "b": LOGITS}, "has 2 outputs: a [2, 3], b [2, 3]"),
        ({}, (), "has 0 outputs: none"),
        ({"name": "heads"}, {"head": LOGITS}, "unknown output 'heads'; did you mean 'head'?"),
        ({"index": 2}, (LOGITS, LOGITS), "has outputs 0 to 1; index 2 picks none"),
        ({"index": 1}, LOGITS, "has one output; index 1 picks none"),
        ({}, torch.zeros(2, 3, 4, 4), "answers with shape [2, 3, 4, 4]; needed: scores [N, classes]"),
        ({}, "text", "answered a str"),
        ({"background": "last"}, LOGITS[:, :1], "answers with shape [2, 1]"),
    ],
)
def test_an_answer_without_scores_is_told_in_one_line(fields, answer, told):
    with pytest.raises(ModelError) as caught:
        OutputSpecification(**fields).read(answer, "net.onnx")
    assert "net.onnx" in str(caught.value)
    assert told in str(caught.value)


def test_probabilities_are_recognised_before_a_background_is_dropped():
    scores = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    with pytest.warns(ProbabilitiesWarning, match="net.onnx answers probabilities"):
        found = OutputSpecification(background="last").reader("net.onnx")(scores.softmax(1))
    torch.testing.assert_close(found.softmax(1), scores[:, :3].softmax(1))


def test_a_kind_that_is_given_is_not_looked_for():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = OutputSpecification(kind="logits").reader()(LOGITS.softmax(1).repeat(8, 1))
    assert torch.equal(found, LOGITS.softmax(1).repeat(8, 1))


def test_an_output_is_picked_once():
    with pytest.raises(RecipeError, match="one of them picks the output"):
        OutputSpecification(name="head", index=1)


class Strict(torch.nn.Module):
    """Sums each channel of batches of exactly three images in the layout NHWC."""

    def forward(self, images):
        assert tuple(images.shape) == (3, 4, 5, 3), images.shape
        return {"scores": images.sum((1, 2)), "other": images}


def test_a_module_of_another_specification_answers_images_in_01():
    given = Specification(
        input={"layout": "nhwc", "channels": "bgr", "dtype": "uint8", "batch": 3}, output={"name": "scores"}
    )
    images = torch.randint(256, (7, 3, 4, 5), generator=torch.Generator().manual_seed(1)) / 255
    images.requires_grad_()
    found = SpecifiedModule(Strict(), given)(images)
    assert torch.equal(found, (images * 255).sum((2, 3)).flip(1))
    found[:, 0].sum().backward()
    # Blue is the first score.
    assert images.grad.sum((0, 2, 3)).tolist() == [0, 0, 7 * 20 * 255]


def test_a_module_that_answers_no_scores_is_named():
    given = Specification(input={"batch": 3, "layout": "nhwc"}, output={"name": "other"})
    with pytest.raises(ModelError, match=r"net.pt2 answers with shape \[3, 4, 5, 3\]"):
        SpecifiedModule(Strict(), given, "net.pt2")(torch.zeros(1, 3, 4, 5))
