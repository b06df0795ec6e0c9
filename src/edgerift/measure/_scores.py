"""Scores of a whole image set, and their accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgerift.errors import InputError, ModelError
from edgerift.measure._logits import Logits, Predict
from edgerift.measure._rate import Rate

if TYPE_CHECKING:
    from edgerift.images import ImageSet


@torch.no_grad()
def predict_all(predict: Predict, image_set: ImageSet, batch_size: int = 256) -> Tensor:
    """Score every image of a set, in its order: logits float32 `[N,K]` on the CPU; see :class:`Logits`.

    Raises `ModelError` when an answer is not one finite score for each image and class, or `predict` raises,
    `InputError` for an empty set or a batch size below 1.
    """
    if batch_size < 1:
        raise InputError(f"a batch size of {batch_size}; allowed: 1 or more")
    if len(image_set) == 0:
        raise InputError(f"the image set '{image_set.name}' is empty; at least 1 image is needed")
    logits = Logits(predict)
    return check_scores(torch.cat([logits(images).detach().cpu() for images, _ in image_set.batches(batch_size)]))


def accuracy(scores: Tensor, labels: Tensor) -> Rate:
    """Count the images whose highest score `[N,K]` is at their label (int64 `[N]`).

    The first of equal highest scores counts. Raises as `right` does.
    """
    found = right(scores, labels)
    return Rate(int(found.sum()), len(found))


def right(scores: Tensor, labels: Tensor) -> Tensor:
    """Return for each image whether its highest score is at its label: bool `[N]`.

    Raises `ModelError` for scores that are not finite or lack a label's class, `InputError` for lengths that
    differ.
    """
    check_scores(scores)
    if labels.shape != scores.shape[:1]:
        raise InputError(f"{len(scores)} scores and labels of shape {list(labels.shape)}; one label each is needed")
    classes = scores.shape[1]
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise ModelError(
            f"the model scores {classes} classes, so labels may be 0 to {classes - 1}; "
            f"given were labels from {int(labels.min())} to {int(labels.max())}"
        )
    return scores.argmax(1) == labels


def check_scores(scores: Tensor) -> Tensor:
    """Return `scores` when they are finite and of shape `[N,K]`; raises `ModelError` when not."""
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ModelError(f"scores have shape {list(scores.shape)}; needed: [N, classes]")
    broken = int((~scores.isfinite().all(1)).sum())
    if broken:
        raise ModelError(
            f"the scores of {broken} of {len(scores)} images are NaN or infinite; check the model's weights"
        )
    return scores
