"""Readable names of a study's steps: by what they do, and by their place in the grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from edgerift.adapt import (
    ADAPTATIONS,
    AdaptRecipe,
    AttemptRecipe,
    CompressRecipe,
    FinetuneRecipe,
    HardenedRecipe,
    TunedRecipe,
)
from edgerift.audit import SurrogateRecipe
from edgerift.deploy import BuildRecipe
from edgerift.differ import DifferRecipe
from edgerift.evade import EvadeRecipe, EvadeShard, PairSettings, SelectRecipe
from edgerift.extract import DataFreeRecipe, ExtractRecipe, GivenEndpoint
from edgerift.flips import FlipsRecipe
from edgerift.harden import DataFreeHardenRecipe, HardenRecipe, TunedAnswersRecipe, variant_of
from edgerift.run import Graph, Key
from edgerift.steps import Recipe
from edgerift.study._grid import DATA_FREE, Cell
from edgerift.study._pairs import PairRecipe
from edgerift.train import TrainRecipe

#: More values of one coordinate than this are left out of a name.
_MOST: Final = 3

#: Digits of a digest that distinguish otherwise equal names.
_DIGEST: Final = 8


def cells_of_steps(cells: Iterable[Cell], graph: Graph) -> dict[Key, list[Cell]]:
    """List for each step of a graph the cells that need it, directly or not."""
    found: dict[Key, list[Cell]] = {}
    for cell in cells:
        goal = graph.key(cell.recipe)
        seen, open_steps = {goal}, [goal]
        while open_steps:
            key = open_steps.pop()
            found.setdefault(key, []).append(cell)
            new = [step for step in graph.needs(key) if step not in seen]
            seen.update(new)
            open_steps += new
    return found


def step_names(graph: Graph, needed_by: Mapping[Key, list[Cell]]) -> dict[Key, str]:
    """Give every step of a graph a unique name.

    A name has the type of the step, the data set, the original and the seed that the cells which need it have in
    common, and what it does: `build: cifar10, ResNet, QAT for mobile on executorch, seed 0`.
    """
    steps = {**graph.finished, **graph.missing}
    names = {key: _name(recipe, needed_by.get(key, [])) for key, recipe in steps.items()}
    uses = Counter(names.values())
    return {
        key: name if uses[name] == 1 else f"{name} ({key.rpartition('-')[2][:_DIGEST]})" for key, name in names.items()
    }


def _name(recipe: Recipe, cells: list[Cell]) -> str:
    parts = [
        _together([cell.data for cell in cells]),
        _together([cell.original for cell in cells]),
        described(recipe),
        _together([f"seed {cell.seed}" for cell in cells]),
    ]
    said = ", ".join(part for part in parts if part)
    return f"{recipe.type}: {said}" if said else recipe.type


def _together(values: list[str]) -> str:
    """Format a coordinate of several cells; empty where it has too many values."""
    different = list(dict.fromkeys(values))
    return " and ".join(different) if len(different) <= _MOST else ""


def described(recipe: Recipe) -> str:
    """Describe what a step does, beyond its type and its cells; empty for an unknown step."""
    match recipe:
        case AdaptRecipe() | CompressRecipe() | FinetuneRecipe() | HardenedRecipe() | TunedRecipe():
            return _adapted(recipe)
        case AttemptRecipe(hardened=hardened):
            return _adapted(hardened)
        case BuildRecipe(program=program):
            return f"{described(program)} on {recipe.runtime}"
        case TunedAnswersRecipe():
            return f"strongest {recipe.defence} before {described(recipe.build)}"
        case ExtractRecipe(attack=attack):
            return f"{_victim(recipe)} by {attack.student} from {attack.labels} labels"
        case DataFreeRecipe():
            return f"{_victim(recipe)} by {_attack(recipe)}"
        case HardenRecipe():
            return recipe.target
        case DataFreeHardenRecipe(attacks=attacks):
            return f"{DATA_FREE} {', '.join(attack.name for attack in attacks)}"
        case _:
            return _evaded(recipe)


def _adapted(recipe: AdaptRecipe | CompressRecipe | FinetuneRecipe | HardenedRecipe | TunedRecipe) -> str:
    if isinstance(recipe, FinetuneRecipe):
        return "float control"
    if isinstance(recipe, CompressRecipe):
        return recipe.compression.title
    if isinstance(recipe, HardenedRecipe):
        return f"{_variant(recipe)} {recipe.defence.strength:g} for {recipe.target}"
    if isinstance(recipe, TunedRecipe):
        # Combined with an output defence a training has a part of the allowance.
        share = f" within l1 {recipe.allowance.l1:g}"
        return f"strongest {_variant(recipe.hardened)}{share} for {recipe.hardened.target}"
    seed = recipe.settings.train.seed
    # The second model, which measures the variance between trainings, has a seed that its cells do not have.
    again = f" of training seed {seed}" if recipe.method == "qat" and seed != recipe.images.seed else ""
    before = "" if recipe.compression is None else f"{recipe.compression.type}+"
    return f"{ADAPTATIONS[before + recipe.method].title}{again} for {recipe.target}"


def _variant(recipe: HardenedRecipe) -> str:
    """Name a training as the variants of a study do, or by its defence where none has it."""
    found = variant_of(recipe)
    return recipe.defence.type if found is None else found.name


def _evaded(recipe: Recipe) -> str:
    match recipe:
        case PairRecipe(pair=pair) | SelectRecipe(pair=pair):
            return _pair(pair)
        case EvadeRecipe(pair=pair, name=name):
            return f"{name} on {_pair(pair)}"
        case SurrogateRecipe(knows=knows, extract=extract):
            return f"surrogates of who knows {'the build' if knows == 'build' else knows}, {_victim(extract)}"
        case FlipsRecipe(program=program, runtime=runtime):
            return f"{described(program)} on {runtime}" if isinstance(program, AdaptRecipe) else runtime
        case DifferRecipe(pair=pair):
            return _pair(pair)
        case EvadeShard(evade=evade, first=first, parts=parts):
            return f"{described(evade)}, parts {first + 1} to {first + parts}"
        case _:
            return ""


def _pair(pair: PairSettings) -> str:
    """Name what is attacked: a program, or a float model in its place."""
    return described(pair.adapted)


def _victim(recipe: ExtractRecipe | DataFreeRecipe) -> str:
    if isinstance(recipe.victim, GivenEndpoint):
        return recipe.victim.url
    victim = "float original" if isinstance(recipe.victim, TrainRecipe) else described(recipe.victim)
    return " behind ".join([victim, *(defence.type for defence in recipe.defences)])


def _attack(recipe: DataFreeRecipe) -> str:
    differences = recipe.attack.differences
    epsilon = "" if differences is None else f" with epsilon {differences.epsilon:g}"
    view = " without rounding" if recipe.simulated else f" with {recipe.pixels} pixels"
    return f"{recipe.attack.name}{epsilon}{view}"
