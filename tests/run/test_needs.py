"""What steps say that they need, against what they ask the store for."""

import shutil
from pathlib import Path

import pytest

from edgerift import zoo
from edgerift.adapt import Allowance, FinetuneRecipe, PtqSettings, QatSettings
from edgerift.audit import AuditRecipe, TheftSettings
from edgerift.deploy import BuildRecipe
from edgerift.evade import Attack, EvadeRecipe, EvadeShard, PairSettings
from edgerift.evade import _recipe as evade_recipe
from edgerift.extract import Knockoff, QuerySettings
from edgerift.harden import HardenRecipe
from edgerift.images import ImagesSettings
from edgerift.run import Graph, key_of
from edgerift.steps import Recipe, Store, silent
from edgerift.study import PairRecipe
from edgerift.train import TrainRecipe, TrainSettings

IMAGES = ImagesSettings(size=12)
TRAIN = TrainSettings(epochs=1, batch_size=64, learning_rate=0.01, device="cpu")
HARDEN = HardenRecipe(
    original=TrainRecipe(
        images=IMAGES,
        architecture=zoo.Architecture(name="lenet", classes=10, size=12),
        settings=TRAIN.replace(epochs=3, learning_rate=0.05),
    ),
    images=IMAGES,
    target="server",
    runtime="onnxruntime",
    settings=QatSettings(calibration=PtqSettings(calibration_images=64), train=TRAIN),
    allowance=Allowance(steps=0),
    rows=("large", "dcp"),
    alpha=0.5,
    queries=QuerySettings(images=IMAGES, collages=64),
    budget=64,
    attack=Knockoff(student="lenet", training=TRAIN),
)
QAT = HARDEN.victims.adapted("qat")
PAIR = PairSettings(original=HARDEN.original, program=QAT, build=BuildRecipe(program=QAT, runtime="onnxruntime"))
CONTROL = FinetuneRecipe(original=HARDEN.original, images=IMAGES, settings=TRAIN)
ATTACKS = {"first": Attack(steps=1), "second": Attack(steps=0, seed=1)}
GOALS = {
    "harden": HARDEN,
    "pair": PairRecipe(pair=PAIR, images=IMAGES, attacks=ATTACKS, count=10, pictured="first", shard=4),
    "pair of the control": PairRecipe(pair=PAIR.replace(control=CONTROL), images=IMAGES, attacks=ATTACKS, count=9),
    "audit": AuditRecipe(
        pair=PAIR,
        images=IMAGES,
        attacks=ATTACKS,
        main="first",
        thefts={"soft": TheftSettings(queries=HARDEN.queries, budget=64, attack=HARDEN.attack)},
        count=9,
        control=CONTROL,
    ),
}
SEARCHED = HARDEN.replace(rows=("ptq", "divqat+rs", "float"), alpha=None, alphas=(0.5,), students=("resnet8",))


class WatchedStore(Store):
    """A store that notes what steps ask for while they are produced, and what of it is not there."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: set[str] = set()
        self.nested: list[tuple[str, str]] = []

    def get(self, recipe, progress=silent):
        if self._producing:
            self.asked.add(key_of(recipe))
            if not self.has(recipe):
                outer = sorted(self._producing, key=len)
                self.nested.append((", ".join(name.split("-")[0] for name in outer), recipe.type))
        return super().get(recipe, progress)

    def surprises(self) -> list[tuple[str, str]]:
        """What was built inside of another step: trials of a search may be, and a training that may diverge."""
        return [found for found in self.nested if not found[0].startswith("tuned") and found != ("attempt", "hardened")]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> WatchedStore:
    return WatchedStore(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "harden" else []) for name in GOALS]
)
def test_a_step_asks_for_what_it_needs_and_for_nothing_else(store, tmp_path, monkeypatch, name):
    monkeypatch.setattr(evade_recipe, "_PART", 4)
    require_needs(GOALS[name], store, tmp_path)


@pytest.mark.slow
def test_a_search_for_a_strength_asks_for_nothing_else_but_its_trials(store, tmp_path):
    require_needs(SEARCHED, store, tmp_path)
    assert {"tuned", "hardened", "tuned-answers", "attempt"} <= kinds_in(store)


def require_needs(goal: Recipe, store: WatchedStore, folder: Path) -> None:
    """Build a goal and all below it step by step, as a study does, and one of each kind where nothing else is."""
    graph = Graph([goal], store)
    built: dict[str, Recipe] = {}
    while ready := graph.ready():
        key = ready[0]
        built[key] = graph.missing[key]
        store.get(built[key])
        assert store.surprises() == []
        graph.finish(key)
    assert not graph.missing
    assert store.has(goal)
    # Nothing was built in vain.
    assert built.keys() - {key_of(goal)} <= store.asked
    # And nothing but what a step names itself has to be there: that may be all that somebody kept.
    for recipe in {recipe.type: recipe for recipe in built.values()}.values():
        alone = WatchedStore(folder / recipe.type)
        alone.root.mkdir()
        for needed in recipe.needs(store):
            result = store.get(needed)
            shutil.copytree(result, alone.root / result.name, dirs_exist_ok=True)
        alone.get(recipe)
        assert alone.surprises() == []


def kinds_in(store: Store) -> set[str]:
    return {folder.name.rsplit("-", 1)[0] for folder in store.root.iterdir() if not folder.name.startswith(".")}


@pytest.mark.slow
def test_every_other_kind_of_step_was_looked_at(store, tmp_path, monkeypatch):
    monkeypatch.setattr(evade_recipe, "_PART", 4)
    for name, goal in GOALS.items():  # What another test has built is there already.
        (tmp_path / name).mkdir()
        require_needs(goal, store, tmp_path / name)
    expected = {"train", "adapt", "build", "finetune", "select", "evade", "evade-shard", "extract", "harden", "pair"}
    assert kinds_in(store) - {"tuned", "hardened", "attempt"} == expected | {"audit", "tuned-answers"}


def test_a_search_of_nothing_fails_when_it_runs_and_not_when_it_is_asked(store, monkeypatch):
    monkeypatch.setattr(evade_recipe, "_PART", 4)
    searching = EvadeRecipe(pair=PAIR, images=IMAGES, attack=Attack(steps=3), shard=1)
    store.get(searching.selecting)
    assert any(isinstance(step, EvadeShard) for step in searching.needs(store))
    monkeypatch.setattr(evade_recipe.SelectRecipe, "eligible", lambda *_: 0)
    graph = Graph([searching], store)
    assert graph.ready() == [key_of(searching)]
