"""The user's entry to DivQAT, and the search for a training-time defence's strength without a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from edgerift import zoo
from edgerift.adapt._allowance import Allowance
from edgerift.adapt._hardened import TrainedDefence, run_hardened
from edgerift.adapt._methods import held_out, run_qat
from edgerift.adapt._settings import QatSettings
from edgerift.adapt._tuned import Search, searched
from edgerift.adapt.defences._divqat import Divqat
from edgerift.deploy import Program, Target, folded, twin, twin_scores
from edgerift.errors import RecipeError
from edgerift.images import ImageSet
from edgerift.steps import Progress, silent


class TunedProgram(NamedTuple):
    """The program at the strongest allowed strength (the plain one if there is none), and the trials."""

    program: Program
    search: Search


def divqat(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | float | None = 0.1,
    *,
    alpha: float | Literal["auto"] | None = None,
    target: Target = "mobile",
    defence: Divqat | None = None,
    settings: QatSettings | None = None,
    allowance: Allowance | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    **divqat_fields: Any,
) -> Program:
    """Train the quantized model away from its original: quantization-aware training with the loss of DivQAT.

    `alpha` and `divqat_fields` (`cap`, `gate`, ...) are fields of :class:`Divqat` and go before those of `defence`. The
    original is frozen, in evaluation mode, and sees the same augmented images. With alpha 0 the result is that of
    :func:`qat`, bit for bit. A float `validation` holds out that share of `train`; it is only measured, not used
    for selection, unless alpha is `"auto"`, which finds the strongest setting within the `allowance`; see :func:`tune`,
    which also returns the trials. Raises what :func:`qat` raises.
    """
    chosen = settings or QatSettings()
    described = (defence or Divqat()).replace(**divqat_fields)
    if alpha == "auto":
        return tune(
            original,
            train,
            0.1 if validation is None else validation,
            target=target,
            defence=described,
            settings=chosen,
            allowance=allowance,
            progress=progress,
        ).program
    if allowance is not None:
        raise RecipeError(f'an allowance belongs to a search, and alpha is {alpha}; pass alpha="auto" or no allowance')
    train, held = held_out(train, validation, chosen.train.seed)
    return run_hardened(
        original,
        train,
        held,
        target=target,
        defence=described if alpha is None else described.replace(alpha=alpha),
        settings=chosen,
        checkpoint=checkpoint,
        progress=progress,
    ).program


def tune(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | float = 0.1,
    *,
    target: Target = "mobile",
    defence: TrainedDefence,
    settings: QatSettings | None = None,
    allowance: Allowance | None = None,
    progress: Progress = silent,
) -> TunedProgram:
    """Train a defence at several strengths and keep the strongest within the allowance on the validation images.

    The defence's own strength is ignored. Each trial is a whole training at the final learning rate and number of
    epochs, since what a strength does depends on both; :class:`TunedRecipe` does the same and keeps every trial in the
    store. A float `validation` holds out that share of `train`. Raises what :func:`qat` raises.
    """
    chosen, bounds = settings or QatSettings(), allowance or Allowance()
    train, held = held_out(train, validation, chosen.train.seed)
    assert held is not None
    programs: dict[float, Program] = {}

    def plain(shift: int) -> Program:
        moved = chosen.replace(train=chosen.train.replace(seed=chosen.train.seed + shift))
        return run_qat(original, train, held, target=target, settings=moved, progress=progress)[0]

    def answers(program: Program) -> Tensor:
        return twin_scores(twin(program), held.images).softmax(1)

    def trained(strength: float) -> Tensor:
        stronger = defence.with_strength(strength)
        made = run_hardened(original, train, held, target=target, defence=stronger, settings=chosen, progress=progress)
        programs[strength] = made.program
        return answers(made.program)

    reference = plain(0)
    search = searched(
        trained,
        plain=answers(reference),
        reseeded=answers(plain(1)),
        original=twin_scores(folded(zoo.frozen_copy(original)), held.images).softmax(1),
        labels=held.labels,
        bounds=bounds,
        progress=progress,
    )
    return TunedProgram(reference if search.chosen is None else programs[search.chosen], search)
