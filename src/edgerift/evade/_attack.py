"""How to search: one frozen description that is the API, the command line, the report and the cache key at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, Union

from pydantic import Field, PositiveFloat, model_validator

from edgerift.evade._grey_levels import GreyLevels, meant
from edgerift.evade._objective import OBJECTIVES, Custom, ObjectiveSettings
from edgerift.evade._own_attack import OwnAttack
from edgerift.evade.objectives._pair_margin import PairMargin
from edgerift.settings import Seed, Settings, Times, TimesOrNone, is_none

if TYPE_CHECKING:
    NamedObjective: TypeAlias = ObjectiveSettings
else:
    NamedObjective = Annotated[Union[(*OBJECTIVES.parts(), Custom)], Field(discriminator="type")]

#: Gradient calls for each image; a report has a figure for each.
MOST_CALLS: Final = 1_000_000

#: The ensembles, and the gradient calls and queries that their members may spend on an image together.
ENSEMBLES: Final = {"pair-attack-1": 380}

#: How sure a steering original has to be of the label, where the attacker stops on belief (Hao et al. 2022).
_SURE: Final = 0.6

#: Steps smaller than this, and too few of them, mean that the sizes were given as shares of 255.
_TINY_STEP: Final = 0.1


class Attack(Settings):
    """A search: an objective, a step rule, a start, a stop rule.

    Sizes are in grey levels: `epsilon` (0 to 255) bounds how far any pixel may move, `step` how far one gradient call
    moves it (for `apgd`, the first ones). `steps` counts the gradient calls from each start.

    - `rule`: `sign` (Madry et al., 2018), `momentum` (MI-FGSM, Dong et al., 2018, with `decay`), `apgd` (Croce and
      Hein, 2020) or `balance`, which follows the two sides of a pair margin separately: it widens their gap while it
      brings their mean to zero, where the models disagree. `square` takes no gradients: each step queries the build
      once about an image of which a square was moved (Andriushchenko et al., 2020).
    - `schedule`: whether steps keep their size or shrink to zero over the search; `apgd` has its own.
    - `start`: `clean`, `random` (anywhere in the box, on whole grey levels) or `random-sign` (each pixel half the
      epsilon up or down). `restarts` counts the starts; those after the first are random in any case.
    - `goal`: what counts as success besides the original being right: `wrong` (the build answers another class),
      `top5` (the build's answer is not in the original's top 5) or `abstain` (the build's guard gives no answer).
    - `stop`: a sample leaves the search at `goal`, once the build is wrong (`fooled`), or `never` before its budget is
      spent, which alone gives the rate at the last iterate. An attacker who has not got the models to judge by stops
      where they are `believed` to differ: the steering original gives the label with a probability of `confidence` or
      more, every other steering model something else. Each judge is then asked once, about that image.
    - `ask`: the build judges each iterate (`always`), or only those where its twin is wrong or nearly so (`near`) and
      the last.
    - `precision`: that of the gradients. `bfloat16` steers by copies of the models with fewer bits, `auto` does so on
      a CPU that multiplies bfloat16 in hardware; the models that judge are never changed. A search that has to
      repeat exactly on other processors names it.
    - `runner_up`: the wrong class to aim at, the one with the n-th highest score of the build's before the attack; any
      wrong answer remains a success. By default the best one wherever the search is.
    - `ensemble`: a fixed list of attacks, each on the images that those before it did not evade; all that may be chosen
      is `epsilon`, `goal`, `seed` and `precision`.
    - `own`: a user's own function searches instead, see :func:`own_attack`; objective, rule and start are unused.
    """

    objective: NamedObjective = Field(default_factory=PairMargin)
    epsilon: GreyLevels = 8
    step: PositiveFloat = 1.0
    steps: TimesOrNone = 20
    rule: Literal["sign", "momentum", "apgd", "balance", "square"] = "sign"
    decay: Annotated[float, Field(ge=0)] = 1.0
    schedule: Literal["constant", "linear"] = "constant"
    start: Literal["clean", "random", "random-sign"] = "clean"
    restarts: Times = 1
    goal: Literal["wrong", "top5", "abstain"] = "wrong"
    stop: Literal["goal", "fooled", "never", "believed"] = "goal"
    confidence: float = Field(default=_SURE, ge=0, le=1, exclude_if=lambda value: value == _SURE)
    ask: Literal["always", "near"] = "always"
    seed: Seed = 0
    precision: Literal["auto", "float32", "bfloat16"] = Field(default="auto", exclude_if=lambda value: value == "auto")
    runner_up: Annotated[int, Field(ge=1, le=1000)] | None = Field(default=None, exclude_if=is_none)
    ensemble: Literal["pair-attack-1"] | None = Field(default=None, exclude_if=is_none)
    own: OwnAttack | None = Field(default=None, exclude_if=is_none)

    @property
    def target(self) -> int | None:
        """The class that the build has to answer, where the objective names one."""
        return self.objective.wanted

    @property
    def reads_original(self) -> bool:
        """Return whether the objective needs the original's logits."""
        return self.objective.reads_original

    @model_validator(mode="after")
    def _check(self) -> Attack:
        if self.steps * self.restarts > MOST_CALLS:
            raise ValueError(f"steps {self.steps} times restarts {self.restarts} may be at most {MOST_CALLS:,}")
        if self.step < _TINY_STEP and 0 < self.step * self.steps < self.epsilon:
            raise ValueError(
                f"{self.steps} steps of {self.step:g} grey levels do not reach an epsilon of {self.epsilon}; a step is "
                f"in grey levels of 255: did you mean {meant(self.step)}?"
            )
        if self.rule == "apgd" and self.schedule != "constant":
            raise ValueError("rule 'apgd' has its own schedule; leave schedule at 'constant'")
        if self.rule == "balance" and not self.objective.has_sides:
            fitting = " or ".join(name for name, one in OBJECTIVES.items() if one.has_sides)
            raise ValueError(f"rule 'balance' follows both margins; choose the objective {fitting}, or another rule")
        if self.rule == "square" and (self.restarts > 1 or self.runner_up is not None):
            raise ValueError("rule 'square' has one start and takes any wrong class; leave restarts at 1, no runner_up")
        if self.stop == "believed" and (self.rule == "square" or self.own or self.ensemble or self.goal == "abstain"):
            raise ValueError("stop 'believed' is for searches by gradients for a wrong answer; choose another stop")
        self._check_ensemble()
        if self.goal != "wrong" and self.target is not None:
            raise ValueError(f"goal '{self.goal}' does not go with a target class; leave goal at 'wrong'")
        if self.runner_up is not None and (self.goal == "abstain" or self.target is not None):
            raise ValueError("runner_up aims at a wrong class; leave goal at 'wrong' or 'top5', and out the target")
        return self

    def _check_ensemble(self) -> None:
        if self.ensemble is None:
            return
        chosen = {"ensemble", "epsilon", "goal", "precision", "seed", "stop", "steps"}
        others = [name for name, field in type(self).model_fields.items() if name not in chosen]
        changed = [name for name in others if getattr(self, name) != getattr(_DEFAULT, name)]
        if changed or self.steps != ENSEMBLES[self.ensemble]:
            named = ", ".join(changed) or "steps"
            raise ValueError(f"'{self.ensemble}' fixes all but epsilon, goal, seed and precision; leave out {named}")


_DEFAULT: Final = Attack()
