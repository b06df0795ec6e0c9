"""Why it happens: which layer's quantization opens the rift, and what the features of both models show."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor

from edgerift.adapt import float_weights
from edgerift.audit._document_evasion import EmbeddingPart, LayerPart
from edgerift.deploy import feature_module, twin, twin_scores
from edgerift.errors import InputError
from edgerift.evade import Evasion, Pair, embedding, rank_layers
from edgerift.measure import interval
from edgerift.steps import Progress

#: Enough images to rank layers by, and enough points to see clusters in.
_RANKED: Final = 512
_SHOWN: Final = 150

_Group: TypeAlias = tuple[Literal["original", "build"], Literal["clean", "attacked"]]


def layer_parts(pair: Pair, found: Evasion, progress: Progress) -> tuple[LayerPart, ...]:
    """Rank the layers of the pair's program by the evasive images that are fixed when they are restored to float.

    A build of another tool has no program whose layers could be restored.
    """
    hits = found.select(found.evasive.nonzero()[:_RANKED, 0])
    if pair.program is None or len(hits) == 0:
        return ()
    # What quantization-aware training rounded is not known any more; there only the rounding of values is left out.
    weights = float_weights(pair.original, pair.program) if pair.program.provenance.method == "ptq" else None
    ranked = rank_layers(pair.program, hits.images, hits.labels, weights, progress=progress)
    return tuple(LayerPart(layer=effect.layer, healed=interval(effect.healed)) for effect in ranked)


def embedding_parts(pair: Pair, found: Evasion, classes: tuple[int, ...]) -> tuple[EmbeddingPart, ...]:
    """Show both models' penultimate features, clean and attacked, of the evasive images of some classes, or of all.

    There is nothing to show of fewer than three images, or of models that have no penultimate features.
    """
    kept = found.evasive
    if classes:
        kept = kept & torch.isin(found.labels, torch.tensor(classes))
    return embedded(pair, found.select(kept.nonzero()[:_SHOWN, 0]))


def embedded(pair: Pair, hits: Evasion) -> tuple[EmbeddingPart, ...]:
    """Show both models' penultimate features, clean and attacked, of all images of a search, by PCA and by t-SNE.

    There is nothing to show of fewer than three images, of models that have no penultimate features, or without a
    program.
    """
    if pair.program is None or len(hits) < 3:
        return ()
    try:
        modules = {"original": feature_module(pair.original), "build": feature_module(twin(pair.program))}
        features: dict[_Group, Tensor] = {
            ("original", "clean"): twin_scores(modules["original"], hits.clean),
            ("build", "clean"): twin_scores(modules["build"], hits.clean),
            ("original", "attacked"): twin_scores(modules["original"], hits.images),
            ("build", "attacked"): twin_scores(modules["build"], hits.images),
        }
        answers: dict[_Group, Tensor] = {
            ("original", "clean"): hits.clean_original,
            ("build", "clean"): hits.clean_build,
            ("original", "attacked"): hits.original,
            ("build", "attacked"): hits.build,
        }
        methods: tuple[Literal["pca", "tsne"], ...] = ("pca", "tsne")
        return tuple(_part(features, answers, hits.labels, method) for method in methods)
    except InputError:
        return ()


def _part(
    features: dict[_Group, Tensor],
    answers: dict[_Group, Tensor],
    labels: Tensor,
    method: Literal["pca", "tsne"],
) -> EmbeddingPart:
    shown = embedding(features, labels, method)
    groups = dict.fromkeys(zip(shown.models, shown.conditions, strict=True))
    return EmbeddingPart(
        method=method,
        classes=tuple(sorted(set(labels.tolist()))),
        points=tuple((round(float(x), 4), round(float(y), 4)) for x, y in shown.points),
        label=tuple(shown.labels.tolist()),
        model=shown.models,
        condition=shown.conditions,
        taken=tuple(int(label) for group in groups for label in answers[group].argmax(1)),
        explained=shown.explained,
    )
