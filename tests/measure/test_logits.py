"""Answers read as logits: what is taken for probabilities, and what is made of it."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgerift.errors import ModelError, ProbabilitiesWarning
from edgerift.images import ImageSet
from edgerift.measure import (
    Logits,
    LogitsModule,
    LogitsReader,
    are_probabilities,
    l1_distance,
    log_probabilities,
    predict_all,
)


def logits(count: int = 40, classes: int = 10, spread: float = 4.0) -> Tensor:
    return spread * torch.randn(count, classes, generator=torch.Generator().manual_seed(classes))


def on_grid(probabilities: Tensor, step: float) -> Tensor:
    return (probabilities / step).round() * step


LABELS = torch.eye(10)[torch.arange(40) % 10]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (logits().softmax(1), True),
        (logits(classes=2).softmax(1), True),
        (logits().double().softmax(1), True),
        (logits().softmax(1).half(), True),
        (logits().softmax(1).bfloat16(), True),
        (on_grid(logits().softmax(1), 1 / 256), True),
        (on_grid(logits(classes=100).softmax(1), 1 / 256), True),
        (on_grid(logits(classes=3, spread=20).softmax(1), 1 / 256).clamp_max(255 / 256), True),
        (on_grid(logits().softmax(1), 0.01), True),
        (LABELS, True),
        (logits(), False),
        (logits().log_softmax(1), False),
        (logits().sigmoid(), False),
        (on_grid(logits().sigmoid(), 1 / 256), False),
        (logits().softmax(1) * 1.01, False),
        (logits().softmax(1) - 1e-3, False),
        (torch.zeros(40, 1000), False),
        (torch.cat([logits(39).softmax(1), logits(1)]), False),
        (torch.full((40, 10), torch.nan), False),
        (torch.ones(40, 1), False),
    ],
    ids=[
        "softmax",
        "two classes",
        "float64",
        "float16",
        "bfloat16",
        "int8 grid",
        "int8 grid of 100",
        "saturated int8 grid",
        "two decimals",
        "labels",
        "logits",
        "log-softmax",
        "sigmoid",
        "int8 sigmoid",
        "sum 1.01",
        "negative",
        "zeros",
        "one row is none",
        "nan",
        "one class",
    ],
)
def test_rows_of_probabilities_are_known(answers: Tensor, expected: bool) -> None:
    assert are_probabilities(answers) is expected


def test_logarithms_have_the_softmax_and_the_gradient_of_the_logits() -> None:
    first = logits(spread=8).requires_grad_(True)
    second = first.detach().clone().requires_grad_(True)
    read = log_probabilities(second.softmax(1))
    torch.testing.assert_close(read.softmax(1), first.softmax(1))
    labels = torch.arange(40) % 10
    for value in (
        lambda scores: nn.functional.cross_entropy(scores, labels, reduction="sum"),
        lambda scores: (scores[:, 0] - scores[:, 1]).sum(),
    ):
        (expected,) = torch.autograd.grad(value(first), first)
        (found,) = torch.autograd.grad(value(log_probabilities(second.softmax(1))), second)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_nothing_is_infinite_at_a_probability_of_zero() -> None:
    probabilities = torch.tensor([[1.0, 0.0, 0.0]])
    read = log_probabilities(probabilities)
    assert read.isfinite().all()
    torch.testing.assert_close(read.softmax(1), probabilities, atol=1e-37, rtol=0)


IMAGES = torch.randint(256, (40, 3, 2, 2), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
WEIGHT = torch.randn(12, 5, generator=torch.Generator().manual_seed(1)) / 100


def linear(images: Tensor) -> Tensor:
    return images.flatten(1).float() @ WEIGHT


def counted(answer):
    asked = []

    def predict(images):
        asked.append(len(images))
        return answer(images)

    return predict, asked


def test_logits_stay_as_they_are_and_nothing_more_is_asked() -> None:
    predict, asked = counted(linear)
    reading = Logits(predict)
    assert torch.equal(reading(IMAGES[:1]), linear(IMAGES[:1]))
    assert torch.equal(reading(IMAGES), linear(IMAGES))
    assert asked == [1, 40]
    assert not reading.are_probabilities


@pytest.mark.parametrize("answer", [lambda scores: scores, lambda scores: scores.numpy().astype(np.float64)])
def test_probabilities_are_said_once_and_read_as_logits(answer) -> None:
    predict, asked = counted(lambda images: answer(linear(images).softmax(1)))
    reading = Logits(predict, "my model")
    with pytest.warns(ProbabilitiesWarning, match="my model answers probabilities") as said:
        found = torch.cat([reading(IMAGES[:2]), reading(IMAGES[2:]), reading(IMAGES[:1])])
    assert len(said) == 1
    assert asked == [2, 6, 38, 1]
    expected = linear(torch.cat([IMAGES, IMAGES[:1]])).log_softmax(1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_one_image_that_looks_like_probabilities_decides_nothing() -> None:
    def odd(images: Tensor) -> Tensor:
        scores = linear(images)
        return scores - (scores[:, :1] - 0.5) * torch.eye(5)[0] if len(images) > 1 else torch.full((1, 5), 0.2)

    assert torch.equal(Logits(odd)(IMAGES[:1]), torch.full((1, 5), 0.2))


def test_a_first_answer_that_is_not_finite_decides_nothing() -> None:
    answers = [torch.full((40, 5), torch.nan), linear(IMAGES).softmax(1)]
    reading = Logits(lambda images: answers.pop(0))
    assert reading(IMAGES).isnan().all()
    with pytest.warns(ProbabilitiesWarning):
        torch.testing.assert_close(reading(IMAGES), linear(IMAGES).log_softmax(1), atol=1e-5, rtol=1e-5)


def test_the_first_eight_rows_decide_however_they_come() -> None:
    reader = LogitsReader("my model")
    shares, scores = linear(IMAGES).softmax(1), linear(IMAGES)
    with pytest.warns(ProbabilitiesWarning) as said:
        read = [reader(part) for part in shares.split(3)]
    assert len(said) == 1
    torch.testing.assert_close(torch.cat(read).softmax(1), shares)
    reader = LogitsReader("my model")
    with pytest.warns(ProbabilitiesWarning):
        reader(shares[:2])
    # Two rows are too few to read what is none as probabilities.
    assert torch.equal(reader(scores[2:4]), scores[2:4])
    assert torch.equal(reader(scores), scores)


def test_training_mode_decides_for_itself() -> None:
    reader = LogitsReader("my model")
    scores = linear(IMAGES)
    assert torch.equal(reader(scores, training=True), scores)
    with pytest.warns(ProbabilitiesWarning):
        torch.testing.assert_close(reader(scores.softmax(1)).softmax(1), scores.softmax(1))
    assert torch.equal(reader(scores, training=True), scores)


def test_labels_are_posteriors_already_and_decide_nothing() -> None:
    labels = torch.eye(5)[linear(IMAGES).argmax(1)]
    predict, asked = counted(lambda images: labels[: len(images)])
    reading = Logits(predict)
    assert torch.equal(reading.posteriors(IMAGES), labels)
    assert torch.equal(reading(IMAGES[:1]), log_probabilities(labels[:1]))
    assert asked == [40, 1]


def test_labels_that_come_first_have_logarithms_and_leave_the_rest_open() -> None:
    for later, is_said in ((logits(), False), (logits().softmax(1), True)):
        answers = [LABELS[:1], later]
        reading = Logits(lambda images, answers=answers: answers.pop(0))
        assert torch.equal(reading(IMAGES[:1]), log_probabilities(LABELS[:1]))
        with pytest.warns(ProbabilitiesWarning) if is_said else nullcontext():
            torch.testing.assert_close(reading(IMAGES).softmax(1), logits().softmax(1))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda images: None, "my model answered None; needed: a tensor or numpy array"),
        (lambda images: {"logits": linear(images)}, "my model answered a dict"),
        (lambda images: (linear(images), None), "my model answered a tuple"),
        (lambda images: linear(images)[:-1], r"answered 40 images with shape \[39, 5\]; needed: logits \[N, classes\]"),
        (lambda images: linear(images)[:, 0], r"with shape \[40\]"),
        (lambda images: images.astype("float32"), "my model raised AttributeError: .*; edgerift calls it with a uint8"),
        (lambda images: 1 / 0, "my model raised ZeroDivisionError: division by zero; edgerift calls it"),
    ],
    ids=["none", "dict", "tuple", "count", "shape", "not numpy", "raises"],
)
def test_what_is_no_answer_is_told_in_one_line(answer, message) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Logits(answer, "my model")(IMAGES)
    assert "\n" not in str(caught.value)


def test_lists_and_arrays_are_taken() -> None:
    for answer in (lambda images: linear(images).tolist(), lambda images: linear(images).numpy()[:, ::-1]):
        expected = torch.tensor(np.array(answer(IMAGES)))
        torch.testing.assert_close(Logits(answer)(IMAGES.numpy()), expected.float())
    backwards = IMAGES.numpy()[:, ::-1]
    torch.testing.assert_close(Logits(linear)(backwards), linear(IMAGES.flip(1)))


def test_a_whole_set_is_scored_in_logits_and_distances_agree() -> None:
    images = ImageSet("made", IMAGES, torch.zeros(40, dtype=torch.int64), tuple("abcde"), "made")
    plain = predict_all(linear, images)
    with pytest.warns(ProbabilitiesWarning):
        read = predict_all(lambda asked: linear(asked).softmax(1), images, batch_size=3)
    assert l1_distance(plain, read) == pytest.approx(0, abs=1e-6)
    with pytest.warns(ProbabilitiesWarning, match="the second of two models"):
        assert l1_distance(plain, plain.softmax(1)) == pytest.approx(0, abs=1e-6)


class Blind(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return 2 * images.flatten(1)[:, :2]


def test_a_module_without_a_gradient_is_refused_where_one_is_needed() -> None:
    blind = LogitsModule(Blind(), "the surrogate")
    assert blind(torch.rand(3, 3, 2, 2)).shape == (3, 2)
    with pytest.raises(ModelError, match=r"the surrogate has no gradient; take no_grad\(\)"):
        blind(torch.rand(3, 3, 2, 2, requires_grad=True))
