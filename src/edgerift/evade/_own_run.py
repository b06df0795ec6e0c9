"""Running an attack of a user's own: what its function is given, and the checks of what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from edgerift import zoo
from edgerift.errors import InputError, users_code
from edgerift.evade._attack import Attack
from edgerift.evade._engine import Trace, device_of
from edgerift.evade._judge import Judge
from edgerift.evade._own_attack import CALL, OwnAttack, describe_own
from edgerift.evade._pair import Steering, Victim
from edgerift.evade._whole_levels import require_box, whole_levels
from edgerift.images import to_float


@final
@dataclass(frozen=True)
class Attacked:
    """The models that an attack of a user's own is given.

    `original` and each of `twins`, one for each build, are differentiable: float32 images `[N,C,H,W]` in `[0,1]` to
    logits `[N,K]`. `build_scores(images, labels)` asks the build itself: uint8 images `[N,C,H,W]` and labels int64
    `[N]` to logits `[N,K]`, on the CPU.
    """

    original: nn.Module
    twins: tuple[nn.Module, ...]
    build_scores: Callable[[Tensor, Tensor], Tensor]

    @property
    def twin(self) -> nn.Module:
        """The twin of the build, or of the first one of a fleet."""
        return self.twins[0]


def own_attack(name: str, *, trust: bool = False, **fields: Any) -> Attack:
    """Describe an attack of your own, `module:function` or `path/file.py:function`; `fields` are those of `Attack`.

    Of these count `epsilon`, `steps`, `seed`, `goal` and `stop`. Its function is called with batches as

    `attack(models, images, labels, *, epsilon, steps, seed)`

    `models` is :class:`Attacked`, `images` float32 `[N,C,H,W]` in `[0,1]` on the models' device, `labels` int64 `[N]`,
    `epsilon` whole grey levels, `steps` the budget of gradient calls and `seed` the attack's; torch's random numbers
    start from the seed in every batch. It answers the attacked images as a tensor or numpy array, uint8 or float in
    `[0,1]`, which are rounded to whole grey levels, have to be within epsilon, and are judged as any other attack's.
    What it asks and differentiates is not counted.

    Raises :class:`~edgerift.errors.InputError` for a name without a file. With `trust` the function is imported, and
    what is wrong there is raised too; without it only a search that needs no new run can use the description.
    """
    own = describe_own(name, trust=trust)
    if trust:
        _function(own)
    return Attack(own=own, **fields)


def own_trace(
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    own: OwnAttack,
    *,
    victim: Victim,
    steering: Steering,
    batch_size: int,
    told: Callable[[int], None],
) -> Trace:
    """Let a user's function attack uint8 images `[N,C,H,W]`, and judge what it answers.

    An image counts as found when the whole budget is spent, since nothing is known of the way there.
    """
    if not own.trusted:
        raise InputError(
            f"attack '{own.name}' is code that would be imported and run; pass trust=True (--trust) if you know it"
        )
    function = _function(own)
    models = Attacked(steering.original, steering.adapted, victim.build_scores)
    parts = []
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        parts.append(_answered(function, own.name, models, images[rows], labels[rows], attack, device_of(steering)))
        told(min(start + batch_size, len(images)))
    found = torch.cat(parts) if parts else images.clone()
    return _trace(found, labels, attack, Judge(victim, attack))


def _function(own: OwnAttack) -> Callable[..., object]:
    if describe_own(own.name, trust=True).sha256 != own.sha256:
        raise InputError(f"the file of attack '{own.name}' has changed since the attack was described; start again")
    return zoo.find_function(own.name, "attack", CALL)


def _answered(
    function: Callable[..., object],
    name: str,
    models: Attacked,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    device: torch.device,
) -> Tensor:
    whose = f"attack '{name}'"
    pixels, classes = to_float(images).to(device), labels.to(device)
    with users_code(whose, f"as {CALL}", InputError), torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(attack.seed)
        answer = function(models, pixels, classes, epsilon=attack.epsilon, steps=attack.steps, seed=attack.seed)
    if isinstance(answer, np.ndarray) and answer.dtype in ("uint8", "float16", "float32", "float64"):
        answer = torch.from_numpy(np.ascontiguousarray(answer))
    if not isinstance(answer, Tensor) or answer.shape != images.shape:
        given = f"shape {list(answer.shape)}" if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
        needed = f"the attacked images {list(images.shape)}, uint8 or float in [0,1]"
        raise InputError(f"{whose} answered {given}; needed: {needed}")
    made = whole_levels(answer, f"the images of {whose}").images
    require_box(made, images, attack.epsilon, f"the images of {whose}")
    return made


def _trace(found: Tensor, labels: Tensor, attack: Attack, judge: Judge) -> Trace:
    count = len(found)
    counts = torch.zeros(4, count, dtype=torch.int64)
    first, fooled = torch.full((count,), -1), torch.zeros(count, dtype=torch.bool)
    if count:
        verdicts = judge.ask(found, labels)
        first[verdicts.evasive] = attack.steps * attack.restarts
        fooled = verdicts.fooled
        counts[1], counts[2] = 1, verdicts.asked_original.long()
    return Trace(found, found.clone(), first, fooled, counts[0], counts[1], counts[2], counts[3])
