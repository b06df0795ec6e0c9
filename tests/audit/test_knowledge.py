"""Attackers who lack the original, or both models, in an audit: surrogates from paid answers, judged once."""

import pytest
import torch
from torch import nn

from edgerift.audit import AuditRecipe, SurrogateRecipe
from edgerift.deploy import Program, open_build, own_twin
from edgerift.errors import ModelError, RecipeError
from edgerift.evade import EvadeShard, Pair, preset, surrogate_steering
from edgerift.extract import ExtractRecipe, Knockoff, QuerySettings
from edgerift.steps import Store, read, silent
from edgerift.train import TrainSettings
from edgerift.zoo import load

BUDGET = 96


@pytest.fixture(scope="module")
def recipe(small_pair):
    training = TrainSettings(epochs=2, batch_size=32, learning_rate=0.05, device="cpu")
    stealing = ExtractRecipe(
        victim=small_pair.settings().build,
        images=small_pair.images,
        queries=QuerySettings(images=small_pair.images, collages=BUDGET),
        budget=BUDGET,
        attack=Knockoff(student="lenet", training=training),
    )
    return AuditRecipe(
        pair=small_pair.settings(),
        images=small_pair.images,
        attacks={"default": preset("default", 24, 6)},
        main="default",
        count=16,
        knowledge={
            name: SurrogateRecipe(extract=stealing, knows=name, target="server") for name in ("build", "answers")
        },
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def test_who_knows_the_build_steers_by_its_twin_and_who_does_not_by_a_quantized_clone(recipe, store):
    pair, known = recipe.pair.open(store, silent)
    shown = torch.rand(4, 1, 12, 12)
    build, answers = (surrogate_steering(store.get(recipe.knowledge[name]), known) for name in ("build", "answers"))
    clone = load(store.get(recipe.knowledge["build"].extract) / "clone.safetensors")
    assert torch.equal(build.adapted[0](shown), pair.twin(shown))
    assert torch.allclose(build.original(shown), clone(shown), atol=1e-4)
    assert torch.allclose(answers.original(shown), clone(shown), atol=1e-4)
    assert not torch.equal(answers.adapted[0](shown), pair.twin(shown))
    program = Program.load(store.get(recipe.knowledge["answers"]) / "program.safetensors")
    assert program.target == "server"


class Unasked(nn.Module):
    def forward(self, images):
        raise AssertionError("the build's own twin was asked")


def test_of_a_build_of_another_tool_only_who_knows_it_asks_its_own_twin(recipe, store, monkeypatch):
    foreign = recipe.replace(pair=recipe.pair.replace(program=None))
    pair, known = foreign.pair.open(store, silent)
    assert pair.program is None
    build, answers = (surrogate_steering(store.get(foreign.knowledge[name]), known) for name in ("build", "answers"))
    shown = torch.rand(4, 1, 12, 12)
    expected = own_twin(open_build(recipe.pair.build.path)).before_softmax(shown)
    assert torch.equal(build.adapted[0](shown), expected)
    assert not torch.equal(answers.adapted[0](shown), expected)
    monkeypatch.setattr(Pair, "twin", Unasked())
    searched = foreign.knowing("answers").open(store, silent)
    assert (searched.build_questions == 1).all()
    with pytest.raises(ModelError, match="twin was asked"):
        foreign.knowing("build").open(store, silent)


@pytest.mark.slow
def test_the_audit_tells_what_each_attacker_reaches_for_what_was_paid(recipe, store, tmp_path):
    recipe.produce(tmp_path, store, silent)
    from edgerift.audit import Measured

    evasion = Measured.model_validate_json((tmp_path / "measured.json").read_text()).evasion
    assert [part.knows for part in evasion.knowledge] == ["build", "answers"]
    for part in evasion.knowledge:
        assert part.queries == BUDGET
        assert part.evasive.trials == evasion.attacked == 16
        assert part.only_white_box - part.only_surrogates == evasion.main.evasive.successes - part.evasive.successes
        found = recipe.knowing(part.knows).open(store, silent)
        assert (found.build_questions == 1).all()


def test_a_search_with_surrogates_reads_back_as_it_was_written(recipe):
    search = recipe.knowing("answers")
    shard = EvadeShard(evade=search, parts=1)
    again = read(shard.canonical_json(), [EvadeShard])
    assert isinstance(again, EvadeShard)
    assert isinstance(again.evade.surrogate, SurrogateRecipe)
    assert again.digest() == shard.digest()
    with pytest.raises(RecipeError, match="has no judge to stop by, and stop is 'goal'; set 'believed'"):
        search.replace(attack=preset("default"))
    with pytest.raises(RecipeError, match="unknown recipe type 'surogate'; did you mean 'surrogate'"):
        read(shard.canonical_json().replace('"type":"surrogate"', '"type":"surogate"'), [EvadeShard])


def test_only_attacks_that_can_stop_on_belief_are_taken(recipe):
    with pytest.raises(RecipeError, match="stop 'believed' is for searches by gradients"):
        recipe.replace(attacks={"square": preset("square")}, main="square")
    with pytest.raises(RecipeError, match="`knowledge` is for an attack"):
        recipe.replace(attacks={}, main=None, thefts={"soft": {"queries": recipe.knowledge["build"].extract.queries}})
