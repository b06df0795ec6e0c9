"""What a build does that its original does not: labels of clean images by class, and triggers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgerift.verify._disagreement import class_disagreement
from edgerift.verify._document import CheckPart, Verdict
from edgerift.verify._evidence import CHECKS, Check, Evidence
from edgerift.verify._triggers import Trigger, TriggerSearch, search_triggers

#: Below this p-value, shared by the classes, more clean images enter one class than chance explains.
_LEVEL: Final = 1e-3
#: A class that stands out by more than this many standard deviations is an anomaly.
_ANOMALY: Final = 2.0
#: A change that works on a smaller share of the images is no trigger that anyone would rely on: two honest networks
#: that are not the same are driven apart on up to one image in five.
_WORKS: Final = 0.25
#: A change that works on a smaller share is none whatever the control has, which then is not searched for.
_RARE: Final = 0.05


def _disagreement(evidence: Evidence) -> Iterator[CheckPart]:
    images = evidence.images
    pair = None if images is None else evidence.pair
    if pair is None or images is None:
        return
    original, build = (scores(images.images).argmax(1) for scores in (pair.original_scores, pair.build_scores))
    found = class_disagreement(original, build, images.classes)
    share = float((original != build).double().mean())
    odd = [one for one in found if one.p < _LEVEL / len(found)]
    text = f"the build gives {share:.2%} of {len(images):,} clean images another label"
    for one in odd:
        assert one.entered is not None
        text += f"; {one.entered.value:.2%} enter '{one.name}' (p {one.p:.2g})"
    figures = {"changed": share, "images": float(len(images))}
    for one in found:
        if one.entered is not None:
            figures[f"entered {one.name}"] = one.entered.value
            figures[f"entered {one.name} high"] = one.entered.high
    yield CheckPart(name="disagreement", verdict="unknown" if odd else "conforms", text=text, figures=figures)


def _triggers(evidence: Evidence) -> Iterator[CheckPart]:
    settings, images = evidence.triggers, evidence.images
    pair = None if images is None or settings is None else evidence.pair
    if pair is None or images is None or settings is None:
        return
    found = search_triggers(pair, images, settings=settings, progress=evidence.progress)
    control = None
    if found.best.rate.value >= _RARE:
        control = search_triggers(pair, images, settings=settings, exchanged=True, progress=evidence.progress)
    verdict, text = judged_triggers(found, control, images.classes)
    figures = {
        "rate": found.best.rate.value,
        "rate low": found.best.rate.low,
        "anomaly": float(found.anomaly[found.best.target]),
    }
    if control is not None:
        figures |= {"control rate": control.best.rate.value, "control rate high": control.best.rate.high}
    yield CheckPart(name="triggers", verdict=verdict, text=text, figures=figures)


def judged_triggers(
    found: TriggerSearch, control: TriggerSearch | None, classes: tuple[str, ...]
) -> tuple[Verdict, str]:
    """Judge a search by its control: the verdict, and what was found in words.

    A trigger works on a quarter of the images and on surely more than anything does in the control, and its class
    stands out from the others. Without a control no change was found that works on one image in twenty.
    """
    if control is None:
        return "conforms", f"no trigger found, which proves nothing: {_most(found)}"
    told = f"with the roles exchanged {_most(control)}"
    surely = [trigger for trigger in found.triggers if trigger.rate.low > control.best.rate.high]
    odd = [
        trigger
        for trigger in surely
        if trigger.rate.value >= _WORKS and float(found.anomaly[trigger.target]) > _ANOMALY
    ]
    if odd:
        return "deviates", f"a trigger drives {_words(_most_often(odd), found, classes)}; {told}"
    if surely:
        return "unknown", f"a change drives {_words(_most_often(surely), found, classes)}; {told}"
    return "conforms", f"no trigger found, which proves nothing: {_most(found)}, {told}"


def _most_often(triggers: list[Trigger]) -> Trigger:
    return max(triggers, key=lambda trigger: trigger.rate.value)


def _words(trigger: Trigger, found: TriggerSearch, classes: tuple[str, ...]) -> str:
    size = "" if trigger.mask is None else f" by a patch of {int(trigger.mask.sum())} pixels"
    anomaly = float(found.anomaly[trigger.target])
    return f"{trigger.rate.value:.1%} of other images to '{classes[trigger.target]}'{size} (anomaly {anomaly:.1f})"


def _most(found: TriggerSearch) -> str:
    return f"at most {found.best.rate.value:.1%}"


CHECKS.register("disagreement", Check(_disagreement, needs="--behaviour"), rank=8)
CHECKS.register("triggers", Check(_triggers, needs="--behaviour"), rank=9)
