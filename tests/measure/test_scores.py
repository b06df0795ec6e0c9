import math

import pytest
import torch

from edgerift.errors import InputError, ModelError
from edgerift.images import ImageSet
from edgerift.measure import Rate, accuracy, predict_all


def image_set(count):
    """Images whose first pixel is their own number."""
    images = torch.zeros(count, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(count, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    return ImageSet("numbers", images, labels, ("even", "odd"), "0")


def first_pixel(images):
    assert images.dtype == torch.uint8
    values = images[:, 0, 0, 0].double()
    return torch.stack([values, -values], 1)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_all_images_are_scored_in_order_whatever_the_batch_size(batch_size):
    sizes = []

    def predict(images):
        sizes.append(len(images))
        return first_pixel(images)

    scores = predict_all(predict, image_set(7), batch_size)
    assert scores.dtype == torch.float32
    assert torch.equal(scores[:, 0], torch.arange(7, dtype=torch.float32))
    assert max(sizes) == min(batch_size, 7)


def test_scores_carry_no_gradient():
    weight = torch.nn.Parameter(torch.ones(2))
    scores = predict_all(lambda images: first_pixel(images).float() * weight, image_set(3))
    assert not scores.requires_grad


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda images: torch.zeros(len(images) + 1, 2), r"answered 5 images with shape \[6, 2\]"),
        (lambda images: torch.zeros(len(images)), r"shape \[5\]"),
        (
            lambda images: torch.full((len(images), 2), math.nan),
            "scores of 5 of 5 images are NaN or infinite",
        ),
        (lambda images: torch.zeros(len(images), 0), r"shape \[5, 0\]"),
    ],
)
def test_answers_that_are_no_scores(predict, message):
    with pytest.raises(ModelError, match=message):
        predict_all(predict, image_set(5))


def test_nothing_to_predict():
    with pytest.raises(InputError, match="the image set 'numbers' is empty"):
        predict_all(first_pixel, image_set(3).select([]))
    with pytest.raises(InputError, match="a batch size of 0"):
        predict_all(first_pixel, image_set(3), 0)


def test_accuracy_by_hand_with_the_first_of_equal_scores():
    scores = torch.tensor([[1.0, 2.0, 0.0], [5.0, 1.0, 5.0], [0.0, 0.0, 0.0], [-3.0, -2.0, -1.0]])
    assert accuracy(scores, torch.tensor([1, 0, 1, 2])) == Rate(3, 4)


@pytest.mark.parametrize(
    ("scores", "labels", "error", "message"),
    [
        ([[0.0, math.nan], [1.0, 2.0]], [0, 1], ModelError, "scores of 1 of 2 images are NaN or infinite"),
        ([[0.0, math.inf]], [0], ModelError, "NaN or infinite"),
        (
            [[0.0, 1.0]],
            [2],
            ModelError,
            "scores 2 classes, so labels may be 0 to 1; given were labels from 2 to 2",
        ),
        ([[0.0, 1.0]], [-1], ModelError, "given were labels from -1"),
        ([[0.0, 1.0]], [0, 1], InputError, r"1 scores and labels of shape \[2\]"),
    ],
)
def test_scores_and_labels_that_do_not_fit(scores, labels, error, message):
    with pytest.raises(error, match=message):
        accuracy(torch.tensor(scores), torch.tensor(labels))


def test_no_images_have_no_accuracy():
    with pytest.raises(InputError, match="at least 1 trial"):
        accuracy(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64))
