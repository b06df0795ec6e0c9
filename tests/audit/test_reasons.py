"""Why it happens: layers and embeddings of what was found, as far as there is anything to show."""

import pytest
import torch

from edgerift.audit._reasons import embedding_parts, layer_parts
from edgerift.deploy import twin, twin_scores
from edgerift.evade import Pair
from edgerift.steps import silent


@pytest.fixture(scope="module")
def opened(audited):
    return audited.recipe.pair.open(audited.store, silent)[0]


@pytest.fixture(scope="module")
def result(audited):
    return audited.recipe.searching("default").open(audited.store, silent)


def test_layers_are_ranked_on_the_evasive_images(opened, result):
    told = []
    parts = layer_parts(opened, result, lambda *progress: told.append(progress))
    hits = result.select(result.evasive)
    wrong = int((twin_scores(twin(opened.program), hits.images).argmax(1) != hits.labels).sum())
    assert [part.healed.trials for part in parts] == [wrong] * 5
    healed = [part.healed.successes for part in parts]
    assert healed == sorted(healed, reverse=True)
    assert max(healed) > 0
    assert {progress[0] for progress in told} == {"rank layers"}


def test_without_finds_there_is_nothing_to_rank_or_show(opened, result):
    none = result.select(~result.evasive)
    assert layer_parts(opened, none, silent) == ()
    assert embedding_parts(opened, none, ()) == ()
    two = result.select(result.evasive.nonzero()[:2, 0])
    assert embedding_parts(opened, two, ()) == ()
    assert len(layer_parts(opened, two, silent)) == 5


def test_both_pictures_show_both_models_before_and_after(opened, result):
    pca, tsne = embedding_parts(opened, result, ())
    hits = result.select(result.evasive)
    count = len(hits)
    for part in (pca, tsne):
        assert len(part.points) == len(part.label) == len(part.model) == len(part.condition) == 4 * count
        assert part.classes == tuple(sorted(set(hits.labels.tolist())))
        for model in ("original", "build"):
            for condition in ("clean", "attacked"):
                rows = [row for row in range(4 * count) if (part.model[row], part.condition[row]) == (model, condition)]
                assert [part.label[row] for row in rows] == hits.labels.tolist()
    assert (pca.method, tsne.method, tsne.explained) == ("pca", "tsne", None)
    first, second = pca.explained
    assert 1 > first >= second > 0


def test_points_are_those_of_the_features(opened, result):
    """Of two images with equal features the points are equal: the same image twice."""
    row = int(result.evasive.nonzero()[0, 0])
    rows = torch.cat([torch.tensor([row, row]), result.evasive.nonzero()[1:4, 0]])
    pca, _ = embedding_parts(opened, result.select(rows), ())
    for group in range(0, 20, 5):
        assert pca.points[group] == pca.points[group + 1] != pca.points[group + 2]


def test_chosen_classes_alone_are_shown(opened, result):
    hits = result.select(result.evasive)
    counts = torch.bincount(hits.labels, minlength=10)
    chosen = counts.argsort(descending=True)[:2].tolist()
    parts = embedding_parts(opened, result, tuple(chosen))
    expected = int(counts[chosen].sum())
    assert expected >= 3
    for part in parts:
        assert len(part.points) == 4 * expected
        assert set(part.label) <= set(chosen)


def test_a_model_without_penultimate_features_has_no_picture(opened, result):
    """It ends in a convolution: the audit goes on without the embedding."""
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 10, 12), torch.nn.Flatten())
    pair = Pair(network, opened.program, opened.build)
    assert embedding_parts(pair, result, ()) == ()
