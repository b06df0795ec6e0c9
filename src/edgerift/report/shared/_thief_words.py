"""An extraction attack in a few words."""

from __future__ import annotations

from edgerift.extract import Knockoff
from edgerift.report.shared._words import percent


def thief_words(thief: Knockoff) -> str:
    """Describe an extraction attack in a few words.

    >>> thief_words(Knockoff(student="resnet8", labels="hard", top_k=3))
    'a resnet8 trained 50 epochs on labels alone; 3 highest answers'
    """
    trained_on = "labels alone" if thief.labels == "hard" else "probabilities"
    parts = [f"a {thief.student} trained {thief.training.epochs} epochs on {trained_on}"]
    parts += [f"queries of the policy '{thief.policy.type}'"] if thief.policy.type != "random" else []
    parts += [f"{thief.top_k} highest answers"] if thief.top_k is not None else []
    parts += [f"{thief.views} views of each image"] if thief.views > 1 else []
    parts += [f"smoothed by {percent(thief.smoothing)}"] if thief.smoothing else []
    parts += [f"{' and '.join(one.type for one in thief.undo)} undone{_inverted(thief)}"] if thief.undo else []
    training = thief.training
    parts += [f"images distorted at strength {training.distortion:g}"] if training.distortion else []
    parts += [f"mixup {training.mixup:g}"] if training.mixup else []
    parts += ["started from other weights"] if thief.start is not None else []
    return "; ".join(parts)


def _inverted(thief: Knockoff) -> str:
    by = " by a table" if thief.undo_by == "table" else ""
    return f"{by} with {thief.shadows} shadow models" if thief.shadows else by
