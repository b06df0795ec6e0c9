"""The search as a user calls it: choose the images that can be evaded, search, judge every success from its file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from edgerift.adapt import require_repeatable
from edgerift.deploy import twin_scores
from edgerift.errors import InputError, ModelError, RecipeError
from edgerift.evade._aim import Aim, rivals
from edgerift.evade._attack import Attack
from edgerift.evade._engine import Engine, Trace, device_of
from edgerift.evade._ensemble import ensemble_found
from edgerift.evade._evasion import Dropped, Evasion
from edgerift.evade._judge import Judge, finite, guard_of, is_evasive
from edgerift.evade._objective import Custom, Objective, guarded, name_of
from edgerift.evade._own_run import own_trace
from edgerift.evade._pair import Fleet, Steering, Victim
from edgerift.evade._precision import steering_for
from edgerift.evade._presets import preset
from edgerift.evade._selection import Selection, eligible
from edgerift.evade._square import square_trace
from edgerift.evade._verification import verified
from edgerift.images import ImageSet, batch_of, to_float
from edgerift.measure import predict_all
from edgerift.settings import Settings
from edgerift.steps import Progress, silent
from edgerift.zoo import taking

#: With how many images the original is queried twice.
_REPEATED: Final = 4
#: How many clean images tell how far a twin may be from its runtime.
_SLACK_IMAGES: Final = 64
#: How many images are searched at once.
_BATCH: Final = 64


def search(
    victim: Victim,
    image_set: ImageSet,
    attack: Attack | str | None = None,
    *,
    objective: Objective | None = None,
    steering: Steering | None = None,
    eligible_only: bool = True,
    batch_size: int | None = None,
    progress: Progress = silent,
    **changes: Any,
) -> Evasion:
    """Search each image's box for one that the original gets right and the build gets wrong.

    `attack` is a description or the name of a preset, the strongest by default; `changes` replace fields of it, such
    as `epsilon=4`. `objective` replaces its objective and may be any callable (see :data:`Objective`); with it alone
    the steps are the paper's. `steering` says which modules the gradients come from, by default those of the white box,
    on the CPU. Unless `eligible_only` is false only images that both models label correctly are attacked. Images of a
    grey set have one channel, and so stay grey. A build with a guard is fooled only if it answers. A batch size changes
    speed and memory, not the result: by default 64, and on a CPU fewer of more than 64 x 64 pixels.

    Raises :class:`~edgerift.errors.RecipeError` for a preset or field that does not exist,
    :class:`~edgerift.errors.InputError` for an empty image set and :class:`~edgerift.errors.ModelError` for scores or
    gradients that are not finite.
    """
    described = _described(attack, objective, changes)
    chosen = select(victim, image_set, eligible_only=eligible_only)
    return search_selected(
        victim,
        image_set,
        chosen,
        described,
        objective=None if objective is None or isinstance(objective, Settings) else guarded(objective),
        steering=steering or victim.white_box(),
        batch_size=batch_size,
        progress=progress,
    )


def _described(attack: Attack | str | None, objective: Objective | None, changes: dict[str, Any]) -> Attack:
    if attack is None:
        attack = "default" if objective is None else Attack()
    if isinstance(attack, str):
        attack = preset(attack, changes.get("epsilon", 8), changes.get("steps", 20))
    if isinstance(objective, Settings):
        changes = {**changes, "objective": objective}
    elif objective is not None:
        changes = {**changes, "objective": Custom(name=name_of(objective))}
    return attack.replace(**changes) if changes else attack


def select(victim: Victim, image_set: ImageSet, *, eligible_only: bool = True) -> Selection:
    """Choose the images that both models label correctly, or all of them, and count the others by who is wrong."""
    labels = image_set.labels
    if len(labels):
        asked = to_float(image_set.images[:_REPEATED].contiguous())
        require_repeatable(taking(victim.original, image_set.shape), asked)
    original = predict_all(victim.original_scores, image_set)
    build = finite(victim.build_scores(image_set.images, labels), "build")
    if original.shape != build.shape:
        raise ModelError(
            f"the original scores {original.shape[1]} classes and the build {build.shape[1]}; they are no pair, unless "
            "one of the classes is a background, which background=first or last says"
        )
    if not eligible_only:
        return Selection(torch.arange(len(labels)), original, build, Dropped())
    return eligible(original, build, labels)


def search_selected(
    victim: Victim,
    image_set: ImageSet,
    chosen: Selection,
    attack: Attack,
    *,
    steering: Steering,
    objective: Objective | None = None,
    batch_size: int | None = None,
    progress: Progress = silent,
) -> Evasion:
    """Search the images of a selection; see :func:`search`."""
    if batch_size is not None and batch_size < 1:
        raise InputError(f"a batch size of {batch_size}; allowed: 1 or more")
    if objective is None:
        if isinstance(attack.objective, Custom):
            raise RecipeError(f"objective '{attack.objective.name}' is a function; pass it as objective=")
        objective = attack.objective
    images, labels = image_set.images[chosen.index], image_set.labels[chosen.index]
    require_target(attack, len(image_set.classes))
    _require_guard(attack, victim)
    batch_size = batch_size or _batch(image_set, steering)

    def told(done: int) -> None:
        progress("search", done, len(images))

    if attack.ensemble is not None:

        def run(member: Attack, rows: Tensor) -> Evasion:
            part = chosen.rows(rows)
            return search_selected(victim, image_set, part, member, steering=steering, batch_size=batch_size)

        return ensemble_found(attack, len(images), run, told)
    chosen_steering = steering_for(attack, steering, victim)
    steering = chosen_steering.steering.taking(image_set.shape).on_logits()
    search = _Search(victim, chosen, attack, steering, batch_size, told, chosen_steering.is_corrected)
    trace = search.trace(images, labels, objective)
    return verified(victim, image_set, chosen, attack, trace, precision=steering.precision)


class _Search(NamedTuple):
    """One search of selected images, by an attack that is no ensemble."""

    victim: Victim
    chosen: Selection
    attack: Attack
    steering: Steering
    batch_size: int
    told: Callable[[int], None]
    is_corrected: bool

    def trace(self, images: Tensor, labels: Tensor, objective: Objective) -> Trace:
        """Search uint8 images `[N,C,H,W]` with labels `[N]`."""
        victim, attack, steering, size, told = self.victim, self.attack, self.steering, self.batch_size, self.told
        if attack.own is not None:
            return own_trace(
                images, labels, attack, attack.own, victim=victim, steering=steering, batch_size=size, told=told
            )
        if attack.rule == "square":
            return square_trace(images, labels, attack, victim=victim, steering=steering, batch_size=size, told=told)
        guard, clean = guard_of(victim), self.chosen.build
        engine = Engine(
            images,
            labels,
            attack,
            objective,
            steering,
            Judge(victim, attack),
            evasive=is_evasive(self.chosen.original, clean, labels, attack, guard),
            slack=_slack(self.chosen, steering, images) if attack.ask == "near" else 0.0,
            batch_size=size,
            aim=Aim.of(attack, guard),
            rivals=None if attack.runner_up is None else self._rivals(images, labels, attack.runner_up),
            original=self.chosen.original if self.is_corrected else None,
        )
        for done in engine.run():
            told(done)
        return engine.trace

    def _rivals(self, images: Tensor, labels: Tensor, runner_up: int) -> Tensor:
        """Choose the wrong class of each image: by the build, or by its stand-in where only that may be asked."""
        believed = self.attack.stop == "believed"
        return rivals(self._believed(images) if believed else self.chosen.build, labels, runner_up)

    def _believed(self, images: Tensor) -> Tensor:
        return twin_scores(self.steering.adapted[0], images.to(device_of(self.steering))).cpu()


def _batch(image_set: ImageSet, steering: Steering) -> int:
    return batch_of(image_set.shape, _BATCH) if device_of(steering).type == "cpu" else _BATCH


def _slack(chosen: Selection, steering: Steering, images: Tensor) -> float:
    """How far below it a twin's margin has the build asked: twice the largest difference seen on clean images.

    These are chosen by their content, so that the order of the images makes no difference.
    """
    contents = [image.numpy().tobytes() for image in images.contiguous()]
    order = sorted(range(len(images)), key=lambda row: hashlib.blake2b(contents[row]).digest())
    rows = torch.tensor(order[:_SLACK_IMAGES], dtype=torch.int64)
    if len(rows) == 0:
        return 0.0
    few = images[rows].to(device_of(steering))
    answers = [twin_scores(module, few).cpu() for module in steering.adapted]
    return 2 * float(torch.stack([(scores - chosen.build[rows]).abs().max() for scores in answers]).min())


def _require_guard(attack: Attack, victim: Victim) -> None:
    if attack.goal != "abstain":
        return
    if guard_of(victim) is None:
        raise RecipeError("goal 'abstain' is for a build with a guard; give the pair one with guard=")
    if isinstance(victim, Fleet):
        raise RecipeError("goal 'abstain' is for one build; attack the members of a fleet one by one")


def require_target(attack: Attack, classes: int) -> None:
    """Raise `RecipeError` for a target class beyond the classes."""
    if attack.target is not None and attack.target >= classes:
        raise RecipeError(f"target class {attack.target} does not exist; allowed: 0 to {classes - 1}")
