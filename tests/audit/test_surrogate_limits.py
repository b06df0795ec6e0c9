"""The two ends of what a surrogate can be worth, on a real build, and what its answers cost."""

import pytest

from edgerift import zoo
from edgerift.audit import SurrogateRecipe, surrogate_part
from edgerift.deploy import twin_scores
from edgerift.evade import SURROGATE_ORIGINAL, CrossEntropy, preset, search, surrogate_steering
from edgerift.extract import ExtractRecipe, JacobianPolicy, Knockoff, Oracle, QuerySettings, open_victim
from edgerift.images import open_splits
from edgerift.steps import Store, silent
from edgerift.train import TrainSettings

# In full precision a belief about the true models is the truth.
ATTACK = preset("default", 16, 8).replace(stop="believed", confidence=0.0, precision="float32")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def known(small_pair, store):
    return small_pair.settings().open(store, silent)


@pytest.fixture(scope="module")
def few(small_pair):
    return open_splits(small_pair.images).test.select(range(60))


def steering_of(model, folder, known):
    zoo.save(model, folder / SURROGATE_ORIGINAL)
    return surrogate_steering(folder, known)


def test_a_surrogate_that_equals_the_original_gives_the_white_boxs_findings(small_pair, known, few, tmp_path):
    pair, steering = known
    same = steering_of(zoo.load(small_pair.folder / "original.safetensors"), tmp_path, steering)
    found = search(pair, few, ATTACK, steering=same)
    white = search(pair, few, ATTACK.replace(stop="goal"), steering=steering)
    assert found.evasive.equal(white.evasive)
    assert found.images[found.evasive].equal(white.images[white.evasive])
    assert 10 < int(found.evasive.sum()) < len(found)
    assert (found.build_questions == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_random_surrogate_is_worth_no_more_than_the_build_alone(known, few, tmp_path, seed):
    """Both steer by the build's own twin, with the same steps; PGD may stop wherever it evades."""
    pair, steering = known
    drawn = steering_of(zoo.create("lenet", classes=10, size=12, seed=seed), tmp_path, steering)
    plain = ATTACK.replace(rule="sign", step=1.0, schedule="constant", steps=16)
    found = search(pair, few, plain, steering=drawn)
    alone = search(pair, few, plain.replace(objective=CrossEntropy(), stop="never"), steering=steering)
    white = search(pair, few, ATTACK, steering=steering)
    assert found.rate.low <= alone.rate.high
    assert found.rate.high < white.rate.low
    # One denominator: an image on which the surrogate is wrong is a failed try, not no try.
    both = (pair.original_scores(few.images).argmax(1) == few.labels) & (
        pair.build_scores(few.images).argmax(1) == few.labels
    )
    wrong = twin_scores(drawn.original, few.images).argmax(1) != few.labels
    assert (wrong & both).any()
    assert found.rate.trials == white.rate.trials == alone.rate.trials == int(both.sum())


@pytest.mark.parametrize(
    ("fields", "budget", "paid"),
    [
        ({}, 40, 40),
        ({"views": 2}, 40, 40),
        ({"policy": JacobianPolicy(seeds=5, rounds=4, step=9, epochs=1)}, 90, 5 * 2**3),
        ({"policy": JacobianPolicy(seeds=5, rounds=4, step=9, epochs=1)}, 33, 33),
    ],
    ids=["knockoff", "two views", "jacobian", "jacobian cut"],
)
def test_a_surrogate_costs_what_the_formula_says(small_pair, store, fields, budget, paid):
    training = TrainSettings(epochs=1, batch_size=32, learning_rate=0.05, device="cpu")
    stealing = ExtractRecipe(
        victim=small_pair.settings().build,
        images=small_pair.images,
        queries=QuerySettings(images=small_pair.images, collages=100),
        budget=budget,
        attack=Knockoff(student="lenet", training=training, **fields),
    )
    test = open_splits(small_pair.images).test.select(range(20))
    made = SurrogateRecipe(extract=stealing, knows="build", target="server")
    original = small_pair.settings().open(store, silent)[0].original_scores(test.images)
    assert surrogate_part(made, test.images, original, store, silent).queries == paid
    # The ledger says so by itself.
    with Oracle(
        open_victim(stealing.victim, store, silent), budget=budget, ledger=store.get(stealing) / "ledger.bin"
    ) as again:
        assert again.spent == paid
