import itertools

import numpy as np
import pytest
import torch

from edgerift.errors import InputError
from edgerift.evade import embedding

GROUPS = tuple(itertools.product(["original", "build"], ["clean", "attacked"]))


def made(count=12, width=6, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return {group: torch.randn(count, width, generator=draws) + index for index, group in enumerate(GROUPS)}


def labels(count=12):
    return torch.arange(count) % 3


def test_two_correlated_features_have_their_diagonals_as_axes():
    """For standardised x and y with correlation r the axes are (1, 1) and (1, -1), their shares (1 +- r) / 2."""
    x = torch.tensor([-3.0, -1.0, 1.0, 3.0, 0.5, -0.5])
    y = 2 * x + torch.tensor([1.0, -1.0, 1.0, -1.0, 0.0, 0.0])
    found = embedding({("original", "clean"): torch.stack([x, y], 1)}, labels(6), "pca")
    one, two = ((values - values.mean()) / values.std(correction=0) for values in (x, y))
    correlation = float((one * two).mean())
    assert found.explained == pytest.approx(((1 + correlation) / 2, (1 - correlation) / 2), abs=1e-6)
    assert torch.allclose(found.points[:, 0], (one + two) / 2**0.5, atol=1e-5)
    assert torch.allclose(found.points[:, 1].abs(), ((one - two) / 2**0.5).abs(), atol=1e-5)


def test_pca_against_the_eigenvectors_of_the_correlation_matrix():
    features = made()
    pooled = torch.cat([features[group] for group in GROUPS]).double().numpy()
    values = (pooled - pooled.mean(0)) / pooled.std(0)
    shares, axes = np.linalg.eigh(np.corrcoef(pooled, rowvar=False))
    expected = axes[:, ::-1][:, :2]
    expected = expected * np.sign(expected[np.abs(expected).argmax(0), [0, 1]])
    found = embedding(features, labels(), "pca")
    assert np.allclose(found.points.numpy(), values @ expected, atol=1e-4)
    assert found.explained == pytest.approx(tuple(shares[::-1][:2] / 6))


def test_points_come_with_their_labels_models_and_conditions_in_a_fixed_order():
    features = made()
    found = embedding(dict(reversed(features.items())), labels(), "pca")
    assert torch.equal(found.labels, labels().repeat(4))
    assert tuple(zip(found.models, found.conditions, strict=True)) == tuple(
        group for group in GROUPS for _ in range(12)
    )
    assert torch.equal(found.points, embedding(features, labels(), "pca").points)
    assert found.points.dtype == torch.float32
    # Later groups were made to lie further along every feature.
    means = found.points[:, 0].view(4, 12).mean(1)
    assert torch.equal(means.argsort(), torch.arange(4))


def test_scales_shifts_and_constant_features_do_not_count():
    features = made()
    factors = torch.tensor([1.0, 1e-3, 50.0, 2.0, 1e4, 1.0])
    changed = {
        group: torch.cat([values * factors + 7, torch.full((12, 2), 0.1)], 1) for group, values in features.items()
    }
    first, second = embedding(features, labels(), "pca"), embedding(changed, labels(), "pca")
    assert torch.allclose(first.points, second.points, atol=1e-3)
    assert first.explained == pytest.approx(second.explained, abs=1e-5)


@pytest.mark.parametrize("count", [12, 1])
def test_tsne_keeps_clusters_together_and_the_seed_decides(count):
    features = {group: values + 40 * index for index, (group, values) in enumerate(made(count).items())}
    found, again = (embedding(features, labels(count), "tsne", seed=3) for _ in range(2))
    assert torch.equal(found.points, again.points)
    assert found.points.isfinite().all()
    assert found.points.shape == (4 * count, 2)
    assert found.explained is None
    if count > 1:
        distances = torch.cdist(found.points, found.points).fill_diagonal_(float("inf"))
        nearest = distances.argmin(1)
        assert all(found.models[near] == found.models[own] for own, near in enumerate(nearest.tolist()))


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_one_feature_lies_on_a_line(method):
    found = embedding({("build", "clean"): torch.arange(8.0)[:, None]}, labels(8), method)
    assert found.points.shape == (8, 2)
    assert found.points.isfinite().all()
    if method == "pca":
        assert found.explained == (1.0, 0.0)
        assert torch.allclose(found.points[:, 0], (torch.arange(8.0) - 3.5) / 5.25**0.5)


NAN = torch.full((12, 6), float("nan"))


@pytest.mark.parametrize(
    ("features", "method", "message"),
    [
        ({}, "pca", r"no group; known groups: \(original, clean\)"),
        ({("twin", "clean"): torch.rand(12, 6)}, "pca", "'twin', 'clean'"),
        ({**made(), ("build", "clean"): torch.rand(12, 5)}, "pca", r"\[12, 6\] and .*\[12, 5\].*one shape \[12, D\]"),
        ({("build", "clean"): torch.rand(11, 6)}, "pca", r"shapes \[11, 6\] with 12 labels"),
        ({("build", "clean"): NAN}, "tsne", "NaN or infinity"),
        ({("build", "clean"): torch.ones(12, 6) / 3}, "pca", "nothing to embed"),
        (made(), "umap", "unknown method 'umap'; known: pca, tsne"),
    ],
)
def test_features_that_cannot_be_embedded(features, method, message):
    with pytest.raises(InputError, match=message):
        embedding(features, labels(), method)


def test_two_points_are_too_few():
    with pytest.raises(InputError, match="2 points cannot be embedded; at least 3"):
        embedding({("build", "clean"): torch.rand(2, 6)}, labels(2), "pca")
