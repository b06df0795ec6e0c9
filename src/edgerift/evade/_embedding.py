"""Penultimate features of the original and of the build, clean and attacked, in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

from edgerift.errors import InputError

Group = tuple[Literal["original", "build"], Literal["clean", "attacked"]]

_GROUPS: Final[tuple[Group, ...]] = (
    ("original", "clean"),
    ("original", "attacked"),
    ("build", "clean"),
    ("build", "attacked"),
)
#: The perplexity of t-SNE where there are enough points.
_PERPLEXITY: Final = 30.0


@dataclass(frozen=True)
class Embedding:
    """Points float32 `[M,2]`; for each its label (`[M]`), its model and its image's condition.

    `explained` are the shares of variance that the two axes of a PCA explain, in [0, 1]; None for t-SNE.
    """

    method: Literal["pca", "tsne"]
    points: Tensor
    labels: Tensor
    models: tuple[Literal["original", "build"], ...]
    conditions: tuple[Literal["clean", "attacked"], ...]
    explained: tuple[float, float] | None


def embedding(
    features: Mapping[Group, Tensor], labels: Tensor, method: Literal["pca", "tsne"], seed: int = 0
) -> Embedding:
    """Embed features in two dimensions, all groups together.

    `features` gives for (model, condition) the features `[N,D]` of the same N images, whose labels are `labels` (int64
    `[N]`). Each feature is standardised to mean 0 and deviation 1 over all groups; constant ones are left out.

    - `"pca"`: the two axes of greatest variance. Each one's largest coefficient is positive, so that the picture is not
      mirrored between machines.
    - `"tsne"`: t-SNE (van der Maaten and Hinton, JMLR 2008) of scikit-learn, started from the PCA, with perplexity
      min(30, (M - 1) / 3); `seed` decides its random choices.

    Raises :class:`~edgerift.errors.InputError` for groups that are unknown or whose shapes do not fit, for fewer than
    3 points, and for features that are not finite or all constant.
    """
    groups = _checked(features, labels)
    pooled = _standardised(torch.cat([features[group].detach().cpu().double().flatten(1) for group in groups]))
    if method == "pca":
        points, explained = _pca(pooled)
    elif method == "tsne":
        points, explained = _tsne(pooled, seed), None
    else:
        raise InputError(f"unknown method '{method}'; known: pca, tsne")
    repeated = [group for group in groups for _ in labels]
    return Embedding(
        method=method,
        points=points.float(),
        labels=labels.detach().cpu().repeat(len(groups)),
        models=tuple(model for model, _ in repeated),
        conditions=tuple(condition for _, condition in repeated),
        explained=explained,
    )


def _checked(features: Mapping[Group, Tensor], labels: Tensor) -> list[Group]:
    unknown = [group for group in features if group not in _GROUPS]
    if unknown or not features:
        known = ", ".join(f"({model}, {condition})" for model, condition in _GROUPS)
        raise InputError(f"features of {unknown or 'no group'}; known groups: {known}")
    groups = [group for group in _GROUPS if group in features]
    shapes = [list(features[group].shape) for group in groups]
    if any(shape != shapes[0] or len(shape) != 2 or shape[0] != len(labels) for shape in shapes):
        given = " and ".join(map(str, shapes))
        raise InputError(f"features of shapes {given} with {len(labels)} labels; all need one shape [{len(labels)}, D]")
    if len(groups) * len(labels) < 3:
        raise InputError(f"{len(groups) * len(labels)} points cannot be embedded; at least 3 are needed")
    return groups


def _standardised(values: Tensor) -> Tensor:
    if not values.isfinite().all():
        raise InputError("the features hold NaN or infinity; check the model's weights")
    centred = values - values.mean(0)
    deviation = centred.square().mean(0).sqrt()
    # A constant column leaves a residue of rounding.
    varies = deviation > 1e-9 * values.abs().amax(0)
    if not varies.any():
        raise InputError("every feature is the same for all images; there is nothing to embed")
    return centred[:, varies] / deviation[varies]


def _pca(values: Tensor) -> tuple[Tensor, tuple[float, float]]:
    _, strengths, axes = torch.linalg.svd(values, full_matrices=False)
    if len(axes) == 1:  # One feature has no second axis.
        strengths, axes = torch.cat([strengths, strengths.new_zeros(1)]), torch.cat([axes, torch.zeros_like(axes)])
    axes = axes[:2]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    shares = (strengths.square() / strengths.square().sum())[:2].tolist()
    return values @ (axes * largest.sign()).T, (shares[0], shares[1])


def _tsne(values: Tensor, seed: int) -> Tensor:
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(values) - 1) / 3)
    started, _ = _pca(values)
    # As scikit-learn scales its own start; it refuses one where there is a single feature.
    started = started / started[:, 0].std(correction=0) * 1e-4
    model = TSNE(n_components=2, init=started.float().numpy(), perplexity=perplexity, random_state=seed)
    return torch.from_numpy(model.fit_transform(values.float().numpy()))
