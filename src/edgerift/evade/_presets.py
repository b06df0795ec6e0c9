"""Named attacks: the paper's setting, its baselines, and the strongest one known here."""

from __future__ import annotations

from edgerift.errors import RecipeError, unknown_name
from edgerift.evade._attack import ENSEMBLES, Attack
from edgerift.evade.objectives._build_alone import CrossEntropy, Margin
from edgerift.evade.objectives._diva import Diva
from edgerift.evade.objectives._pair_margin import PairMargin


def presets(epsilon: int = 8, steps: int = 20) -> dict[str, Attack]:
    """Describe the named attacks for an epsilon in grey levels and `steps` gradient calls; `fgsm`, `r-fgsm` use one.

    - `default`: the strongest known here, the pair margin with the balance rule and shrinking steps, the first of them
      1 grey level, or more where needed for a total of two and a half times epsilon.
    - `diva-2022`: the setting of the paper; `diva-apgd`, `pair-margin`, `pair-margin-apgd`, `pair-margin-shrinking`:
      its objective and the clamped margin with other steps.
    - `square`: a search without gradients, of ten queries per step.
    - `pair-attack-1`: the ensemble of fixed members and budgets whose union a defence is judged by; no `steps` count.
    - `pgd`, `mi-fgsm`, `cw`, `apgd`, `fgsm`, `r-fgsm`: baselines that use the build alone.
    """
    common = Attack(epsilon=epsilon, steps=steps)
    whole = float(max(common.epsilon, 1))
    crossing = max(1.0, 5 * common.epsilon / (common.steps + 1))
    build_only = CrossEntropy()
    return {
        "default": common.replace(objective=PairMargin(), rule="balance", step=crossing, schedule="linear"),
        "diva-2022": common.replace(objective=Diva(c=1.0)),
        "diva-apgd": common.replace(objective=Diva(c=1.0), rule="apgd", step=2 * whole),
        "pair-margin": common.replace(objective=PairMargin()),
        "pair-margin-apgd": common.replace(objective=PairMargin(), rule="apgd", step=2 * whole),
        "pair-margin-shrinking": common.replace(objective=PairMargin(), step=max(2.0, crossing), schedule="linear"),
        "square": common.replace(rule="square", steps=10 * common.steps),
        "pair-attack-1": Attack(ensemble="pair-attack-1", epsilon=epsilon, steps=ENSEMBLES["pair-attack-1"]),
        "pgd": common.replace(objective=build_only),
        "mi-fgsm": common.replace(objective=build_only, rule="momentum"),
        "cw": common.replace(objective=Margin()),
        "apgd": common.replace(objective=build_only, rule="apgd", step=2 * whole),
        "fgsm": common.replace(objective=build_only, step=whole, steps=1),
        "r-fgsm": common.replace(objective=build_only, step=whole / 2, steps=1, start="random-sign"),
    }


def preset(name: str, epsilon: int = 8, steps: int = 20) -> Attack:
    """Look a named attack up; raises :class:`~edgerift.errors.RecipeError` for an unknown name."""
    known = presets(epsilon, steps)
    if name not in known:
        raise RecipeError(unknown_name("attack", name, known))
    return known[name]
