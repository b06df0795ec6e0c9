"""Defences at the same price: each made as strong as costs its owner the same accuracy, then stolen from.

    EDGERIFT_DATA=DIR python studies/price.py --store STORE [--seeds 0 1 2] [--profile slope]

The victims are those of a profile of `studies/divqat.yaml` on its first data set. For each seed a defence's strength is
bisected until its error on the validation images lies within `TOLERANCE` of `PRICE` above that of plain
quantization-aware training; a defence that jumps over it is named with both sides of the jump and not stolen from.
`result.json` and `price.md` are written into the folder `--out` after each victim, so that a run that was stopped shows
what it has; started again with the same store it resumes.
"""

from __future__ import annotations

import argparse
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from torch import Tensor

from edgerift.adapt import AdaptRecipe, Divqat, HardenedRecipe, LabelSmoothing, TrainedDefence
from edgerift.defend import Defence, GaussianNoise, defended
from edgerift.deploy import Program, twin, twin_scores
from edgerift.errors import DivergedError
from edgerift.extract import open_victim, posteriors
from edgerift.harden import VARIANTS, HardenRecipe, MadeVariant, VariantMaker
from edgerift.images import ImageSet, class_names, open_splits
from edgerift.measure import accuracy, posterior_l1, spread
from edgerift.settings import Settings
from edgerift.steps import Store, write_whole
from edgerift.study import open_study

HERE: Final = Path(__file__).resolve().parent
OUT: Final = HERE.parent / "docs" / "studies" / "divqat-slope" / "price"
PROGRAM, RESULT, PAGE = "program.safetensors", "result.json", "price.md"
#: What a defence adds to its owner's error on the validation images, and how near that has to be met.
PRICE: Final = 0.02
TOLERANCE: Final = 0.003
#: The most strengths that are tried of one defence.
TRIALS: Final = 9


class Contender(NamedTuple):
    """A defence of the training or of the answers, and the greatest strength to try."""

    title: str
    highest: float
    training: TrainedDefence | None = None
    answers: Callable[[float], Defence] | None = None


CONTENDERS: Final = {
    "divqat": Contender("DivQAT", 2.0, Divqat()),
    "reversed": Contender("consistency reversed: KL of the original from the build", 2.0, Divqat(direction="reverse")),
    "held": Contender("DivQAT held by a hinge", 1.2, VARIANTS["held"].training),
    "smoothing": Contender("label smoothing", 0.9, LabelSmoothing()),
    "noise": Contender("Gaussian noise on the answers", 1.0, answers=lambda sigma: GaussianNoise(sigma=sigma)),
}


class Trial(Settings):
    """A strength and what it adds to the error on the validation images; None for a training that diverged."""

    strength: float
    price: float | None

    @property
    def paid(self) -> float:
        """The price, above every other for a training that diverged."""
        return math.inf if self.price is None else self.price


class Robbed(Settings):
    """What is measured of a victim on the test images; errors are shares."""

    owner: float
    l1: float
    soft: float
    hard: float


class Outcome(Settings):
    """What was tried of a defence for one seed, and what was measured of the strength that has the price, if any."""

    trials: tuple[Trial, ...]
    robbed: Robbed | None


class Prices(Settings):
    """All outcomes by seed and defence; `plain` holds the undefended victims, `guessing` the error of who guesses."""

    profile: str
    data: str
    price: float
    tolerance: float
    budget: int
    guessing: float
    plain: dict[int, Robbed]
    found: dict[str, dict[int, Outcome]]


def search(price: Callable[[float], float | None], highest: float) -> tuple[Trial, ...]:
    """Bisect from strength 0, which costs nothing, to the greatest one, until a trial has the price.

    The last trial has it, or none does.
    """
    low, high, trials = 0.0, highest, list[Trial]()
    while len(trials) < TRIALS:
        strength = highest if not trials else round((low + high) / 2, 6)
        trials.append(Trial(strength=strength, price=price(strength)))
        if _fits(trials[-1]) or (strength == highest and trials[-1].paid < PRICE):
            break
        low, high = (strength, high) if trials[-1].paid < PRICE else (low, strength)
    return tuple(trials)


def _fits(trial: Trial) -> bool:
    return abs(trial.paid - PRICE) <= TOLERANCE


class Seed:
    """One seed's victims: what they cost on the validation images, and what is stolen of them."""

    def __init__(self, recipe: HardenRecipe, store: Store) -> None:
        """Make the plain victim."""
        self.recipe, self.store = recipe, store
        self.maker: VariantMaker = recipe.victims
        self.splits = open_splits(recipe.images)
        self.plain = self.maker.adapted("qat")
        self.reference = self._answers(self.plain, self.splits.validation)
        self.error = accuracy(self.reference, self.splits.validation.labels).complement.value

    def outcome(self, contender: Contender) -> Outcome:
        """Search for the strength that has the price, and steal from it."""
        trials = search(lambda strength: self._price(contender, strength), contender.highest)
        robbed = self.robbed(contender, trials[-1].strength) if _fits(trials[-1]) else None
        return Outcome(trials=trials, robbed=robbed)

    def _price(self, contender: Contender, strength: float) -> float | None:
        validation = self.splits.validation
        if contender.answers is not None:
            given = defended(self.reference, (contender.answers(strength),), validation.images)
        else:
            try:
                given = self._answers(self._trained(contender, strength), validation)
            except DivergedError:
                return None
        return accuracy(given, validation.labels).complement.value - self.error

    def _trained(self, contender: Contender, strength: float) -> AdaptRecipe | HardenedRecipe:
        if contender.training is None or strength == 0:
            return self.plain
        return self.maker.hardened(contender.training.with_strength(strength))

    def robbed(self, contender: Contender | None, strength: float) -> Robbed:
        """Steal with soft and with hard labels, and measure on the test images."""
        step = self.plain if contender is None else self._trained(contender, strength)
        answers = None if contender is None else contender.answers
        defences = () if answers is None else (answers(strength),)
        variant = MadeVariant(
            name="qat", title="", victim=self.maker.build(step), defences=defences, keeps_labels=not defences
        )
        soft, hard = (self.recipe.stealing(variant, labels).theft(self.store, tell) for labels in ("soft", "hard"))
        test = self.splits.test.images
        own, plain = (
            posteriors(open_victim(self.maker.build(one), self.store, tell), test) for one in (step, self.plain)
        )
        return Robbed(
            owner=soft.defender_error.value,
            l1=posterior_l1(defended(own, defences, test), plain).value,
            soft=soft.adversary_error.value,
            hard=hard.adversary_error.value,
        )

    def _answers(self, step: AdaptRecipe | HardenedRecipe, images: ImageSet) -> Tensor:
        return twin_scores(twin(Program.load(self.store.get(step, tell) / PROGRAM)), images.images).softmax(1)


def page(found: Prices) -> str:
    """Write the table as Markdown."""
    lines = [
        ["Defence", "strengths", "owner's error", "l1", "attacker's error, soft labels", "hard labels"],
        ["---", "--:", "--:", "--:", "--:", "--:"],
        ["none", "-", *_columns(found.plain.values())],
        *(_row(CONTENDERS[name].title, outcomes, found.plain) for name, outcomes in found.found.items()),
    ]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    notes = "".join(f"\n\n- {note}" for note in _jumps(found))
    price, tolerance, seeds = f"{100 * found.price:g}", f"{100 * found.tolerance:g}", len(found.plain)
    return f"""# Defences at the same price

Each defence as strong as adds {price} points, give or take {tolerance}, to its owner's error on the validation images;
{found.data}, profile `{found.profile}` of the study `divqat`, first target, {found.budget:,} queries, seeds: {seeds}.
Below the errors on the test images: the undefended victim's in %, means over the seeds; of the others what they add to
it, in points, with the 95 % interval of Student's t over the seeds. l1: to the undefended victim's answers.

Made by `python studies/price.py`.

{table}{notes}{_compared(found)}
"""


def _compared(found: Prices) -> str:
    """Compare the defences with one another, over the seeds for which both have the price."""
    head = ["Defence", "less", "seeds", "owner's error", "attacker's error, soft labels", "hard labels"]
    lines = [head, ["---", "---", *["--:"] * 4]]
    robbed = {
        name: {seed: one.robbed for seed, one in outcomes.items() if one.robbed is not None}
        for name, outcomes in found.found.items()
    }
    for first, second in itertools.combinations([name for name in CONTENDERS if robbed.get(name)], 2):
        seeds = robbed[first].keys() & robbed[second].keys()
        if seeds:
            differences = [_added(robbed[first][seed], robbed[second][seed]) for seed in sorted(seeds)]
            columns = (_points([one[place] for one in differences]) for place in range(3))
            lines.append([CONTENDERS[first].title, CONTENDERS[second].title, str(len(seeds)), *columns])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    words = "The first one's errors less the second one's, of the same seed, in points."
    return f"\n\n## Defences beside one another\n\n{words}\n\n{table}" if len(lines) > 2 else ""


def _row(title: str, outcomes: dict[int, Outcome], plain: dict[int, Robbed]) -> list[str]:
    done = {seed: one for seed, one in outcomes.items() if one.robbed is not None}
    if not done:
        return [title, "none", "-", "-", "-", "-"]
    added = [_added(one.robbed, plain[seed]) for seed, one in done.items() if one.robbed is not None]
    strengths = ", ".join(f"{one.trials[-1].strength:g}" for one in done.values())
    l1 = spread([one.robbed.l1 for one in done.values() if one.robbed is not None]).value
    owner, soft, hard = (_points([one[place] for one in added]) for place in range(3))
    return [title, strengths, owner, f"{l1:.3f}", soft, hard]


def _added(one: Robbed, plain: Robbed) -> tuple[float, float, float]:
    return one.owner - plain.owner, one.soft - plain.soft, one.hard - plain.hard


def _columns(victims: Iterable[Robbed]) -> list[str]:
    own = list(victims)
    owner, soft, hard = (spread([getattr(one, name) for one in own]).value for name in ("owner", "soft", "hard"))
    return [f"{100 * owner:.1f}", "0", f"{100 * soft:.1f}", f"{100 * hard:.1f}"]


def _points(values: list[float]) -> str:
    mean = spread([100 * value for value in values])
    if mean.low is None or mean.high is None:
        return f"{mean.value:+.1f} (one seed)"
    return f"{mean.value:+.1f} [{mean.low:+.1f}, {mean.high:+.1f}]"


def _jumps(found: Prices) -> Iterator[str]:
    """Say of what does not have the price which strengths stand on both sides of it."""
    for name, outcomes in found.found.items():
        for seed, one in outcomes.items():
            if one.robbed is None:
                below = max((t for t in one.trials if t.paid < found.price), key=_strength, default=None)
                above = min((t for t in one.trials if t.paid >= found.price), key=_strength, default=None)
                error = found.plain[seed].owner
                sides = " and ".join(
                    _told(trial, error, found.guessing) for trial in (below, above) if trial is not None
                )
                yield f"{CONTENDERS[name].title}, seed {seed}, has no strength of that price: {sides}."


def _told(trial: Trial, error: float, guessing: float) -> str:
    told = "a training that diverges" if trial.price is None else f"{100 * trial.price:.1f} points"
    dead = " (collapsed)" if trial.price is not None and error + trial.price >= guessing else ""
    return f"{told} at strength {trial.strength:g}{dead}"


def _strength(trial: Trial) -> float:
    return trial.strength


def tell(task: str, done: int, total: int, note: str = "") -> None:
    """Print the progress of the steps."""
    if done == total:
        print(f"{task}: {total} {note}", flush=True)


def main() -> None:
    """Run what is missing, and write the result and the table after each victim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--profile", default="slope")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    cells = open_study(HERE / "divqat.yaml", given.profile).cells()
    first = cells[0].data
    recipes: dict[int, HardenRecipe] = {}
    for cell in cells:
        if cell.data == first and isinstance(cell.recipe, HardenRecipe) and cell.seed in given.seeds:
            recipes.setdefault(cell.seed, cell.recipe)
    any_recipe = next(iter(recipes.values()))
    found = Prices(
        profile=given.profile,
        data=first,
        price=PRICE,
        tolerance=TOLERANCE,
        budget=any_recipe.budget,
        guessing=1 - 1 / len(class_names(any_recipe.images)),
        plain={},
        found={name: {} for name in CONTENDERS},
    )
    given.out.mkdir(parents=True, exist_ok=True)
    for seed, recipe in recipes.items():
        own = Seed(recipe, Store(given.store))
        found.plain[seed] = own.robbed(None, 0.0)
        for name, contender in CONTENDERS.items():
            found.found[name][seed] = own.outcome(contender)
            write_whole(given.out / RESULT, found.model_dump_json(indent=1) + "\n")
            write_whole(given.out / PAGE, page(found))
    print(page(found))


if __name__ == "__main__":
    main()
