"""Turn the result of a search into the figures of a report."""

from __future__ import annotations

import torch
from torch import Tensor

from edgerift.audit._distances import distances
from edgerift.audit._document_evasion import AttackPart, ClassPart, ComparisonPart
from edgerift.audit._document_pair import DataPart
from edgerift.evade import Evasion
from edgerift.images import ImageSet, ImagesSettings
from edgerift.measure import Interval, Rate, interval, mcnemar


def attack_part(found: Evasion) -> AttackPart:
    """Measure one attack; what one of a user's own asked and differentiated is not known."""
    hits = found.select(found.evasive)
    counted = hits if found.attack.own is None else hits.select(torch.arange(0))
    apart = distances(hits) if len(hits) else None
    return AttackPart(
        attack=found.attack,
        evasive=interval(found.rate),
        evasive_last=_optional(found.rate_last),
        evasive_top5=_optional(found.rate_top5),
        fooled=interval(found.fooled_rate),
        original_fooled=interval(found.original_fooled_rate),
        confidence_delta=found.confidence_delta(),
        clean_confidence_delta=found.confidence_delta(clean=True),
        void=int(found.void.sum()),
        steps=_mean(counted.first),
        gradient_calls=_per_success(found.gradient_calls, counted),
        build_questions=_per_success(found.build_questions, counted),
        original_questions=_per_success(found.original_questions, counted),
        linf=None if apart is None else _mean(apart.linf),
        l2=None if apart is None else _mean(apart.l2),
        ssim=None if apart is None else _mean(apart.ssim),
        by_class=_by_class(found),
        cumulative=found.cumulative(),
        evasive_answered=None if found.guard is None else _optional(found.rate_answered),
        members=found.by_member,
        precision=found.precision,
    )


def comparison(first_name: str, first: Evasion, second_name: str, second: Evasion) -> ComparisonPart:
    """Compare two attacks on the same images."""
    only_first = int((first.evasive & ~second.evasive).sum())
    only_second = int((second.evasive & ~first.evasive).sum())
    return ComparisonPart(
        first=first_name,
        second=second_name,
        only_first=only_first,
        only_second=only_second,
        p=mcnemar(only_first, only_second),
    )


def data_part(described: ImagesSettings, test: ImageSet) -> DataPart:
    """Describe the test images."""
    return DataPart(
        name=test.name,
        source=described.source,
        size=test.shape.size,
        seed=described.seed,
        fingerprint=test.fingerprint,
        classes=test.classes,
        images=len(test),
        grey=test.grey,
    )


def _by_class(found: Evasion) -> tuple[ClassPart, ...]:
    count = len(found.classes)
    attacked = torch.bincount(found.labels, minlength=count)
    evasive = torch.bincount(found.labels[found.evasive], minlength=count)
    return tuple(
        ClassPart(name=name, attacked=int(attacked[number]), evasive=int(evasive[number]))
        for number, name in enumerate(found.classes)
    )


def _optional(rate: Rate | None) -> Interval | None:
    return None if rate is None else interval(rate)


def _mean(values: Tensor) -> float | None:
    return float(values.double().mean()) if len(values) else None


def _per_success(counts: Tensor, hits: Evasion) -> float | None:
    """Divide the total cost over all images, successes or not, by the number of successes."""
    return int(counts.sum()) / len(hits) if len(hits) else None
