"""Which specification explains a low accuracy: the true one is hidden, and has to be found by the answers alone."""

import pytest
import torch

from edgerift.errors import ModelError
from edgerift.images import to_float
from edgerift.specification import Specification, explain, parse_specification, spelled

PIXELS = torch.randint(256, (200, 3, 6, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
IMAGES = to_float(PIXELS) * torch.tensor([0.2, 0.6, 1.0]).reshape(1, 3, 1, 1)


def network(meant, classes=10, flipped=0.0):
    """Label images by a random network that is fed as `meant`; returns what asks it, and the labels."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(IMAGES[0].numel(), classes, generator=generator)
    # Centred, so that every class occurs; saturated, so that the range matters.
    centre = meant.input.prepare(IMAGES).reshape(200, -1).mean(0)

    def ask(by):
        fed = by.input.prepare(IMAGES)
        if fed.shape != meant.input.prepare(IMAGES).shape:
            raise ModelError("another shape")
        hidden = torch.tanh(fed.reshape(200, -1) - centre)
        return by.output.read(hidden @ weights)

    labels = ask(meant).argmax(1)
    noise = torch.rand(200, generator=generator) < flipped
    return ask, torch.where(noise, (labels + 1) % ask(meant).shape[1], labels)


@pytest.mark.parametrize(
    ("meant", "used"),
    [
        ("mean=imagenet,std=imagenet", ""),
        ("mean=inception,std=inception", ""),
        ("scale=1", ""),
        ("offset=-128", "mean=imagenet,std=imagenet"),
        ("channels=bgr", ""),
        ("channels=bgr,scale=1", "mean=imagenet,std=imagenet"),
        ("layout=nhwc,scale=1", ""),
        ("background=first", ""),
        ("mean=imagenet,std=imagenet,background=first", "mean=imagenet,std=imagenet"),
        ("dtype=uint8,channels=bgr", "dtype=uint8"),
    ],
)
def test_the_true_specification_is_found(meant, used):
    given = parse_specification(used) if used else Specification()
    ask, labels = network(parse_specification(meant), flipped=0.1)
    found = explain(ask, labels, given)
    assert found is not None
    assert spelled(found.specification) == spelled(parse_specification(meant))
    assert found.accuracy.value > 0.85
    assert found.given is None or found.given.value < 0.6
    assert f"with {spelled(found.specification)} the accuracy is {100 * found.accuracy.value:.0f} %" in str(found)


def test_nothing_is_named_where_none_is_clearly_better():
    ask, labels = network(Specification())
    assert explain(ask, labels) is None
    shuffled = labels[torch.randperm(200, generator=torch.Generator().manual_seed(2))]
    assert explain(ask, shuffled) is None


def test_few_images_are_no_evidence():
    ask, labels = network(parse_specification("scale=1"))
    assert explain(lambda by: ask(by)[:6], labels[:6]) is None


def test_a_model_that_refuses_everything_is_not_explained():
    def refuse(by):
        raise ModelError("no")

    assert explain(refuse, torch.zeros(200, dtype=torch.long)) is None


def test_what_the_model_refused_has_no_accuracy():
    ask, labels = network(parse_specification("layout=nhwc"))
    found = explain(ask, labels)
    assert found is not None
    assert str(found) == "with layout=nhwc the accuracy is 100 %"


def test_of_those_that_are_alike_the_most_usual_is_named():
    ask, labels = network(parse_specification("mean=imagenet,std=imagenet"))
    tried = {}

    def nearly(by):
        scores = ask(by)
        tried[spelled(by)] = scores
        if spelled(by) == "mean=imagenet,std=imagenet":  # One image less than the best.
            scores = scores.clone()
            scores[0] = -scores[0]
        return torch.nn.functional.one_hot(labels, 10).float() if spelled(by) == "mean=cifar10,std=cifar10" else scores

    found = explain(nearly, labels)
    assert found is not None
    assert spelled(found.specification) == "mean=imagenet,std=imagenet"
    assert "mean=cifar10,std=cifar10" in tried
