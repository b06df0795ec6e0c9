"""A whole comparison at its smallest: every figure against another way to compute it."""

import json
from pathlib import Path

import pytest

from edgerift import zoo
from edgerift.adapt import PtqSettings, QatSettings
from edgerift.deploy import open_build
from edgerift.errors import RecipeError
from edgerift.extract import Knockoff, QuerySettings, posteriors
from edgerift.harden import Hardening, HardenRecipe, PaperRow, _paper
from edgerift.images import ImagesSettings, open_splits
from edgerift.steps import Store, silent
from edgerift.train import TrainRecipe, TrainSettings

IMAGES = ImagesSettings(size=12)
TRAIN = TrainSettings(epochs=1, batch_size=64, learning_rate=0.01, device="cpu")
RECIPE = HardenRecipe(
    original=TrainRecipe(
        images=IMAGES,
        architecture=zoo.Architecture(name="lenet", classes=10, size=12),
        settings=TRAIN.replace(epochs=6, learning_rate=0.05),
    ),
    images=IMAGES,
    settings=QatSettings(calibration=PtqSettings(calibration_images=64), train=TRAIN),
    rows=("large", "rs", "divqat", "qat"),
    alpha=0.0,
    # The loss of the second is not finite.
    alphas=(0.0, 1e40),
    students=("resnet8", "lenet"),
    queries=QuerySettings(images=IMAGES, collages=128),
    budget=100,
    attack=Knockoff(student="lenet", training=TRAIN.replace(batch_size=32, learning_rate=0.05)),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hardening, Store]:
    store = Store(tmp_path_factory.mktemp("store"))
    return RECIPE.open(store, silent), store


def test_rows_stand_in_the_order_of_the_table(made: tuple[Hardening, Store]) -> None:
    assert list(made[0].victim) == ["large", "qat", "rs", "divqat"]


def test_an_alpha_of_zero_is_the_plain_model(made: tuple[Hardening, Store]) -> None:
    hardening, _ = made
    plain, same = hardening.victim["qat"], hardening.victim["divqat"]
    assert (plain.l1.value, same.l1.value, same.l1_queries.value, same.changed.successes) == (0, 0, 0, 0)
    assert same.strength == hardening.alpha == 0
    assert hardening.searches == {}
    for name in ("defender_error", "divergence", "adversary_error", "disagreement", "best_epoch", "reliability"):
        assert getattr(same, name) == getattr(plain, name)
    (point,) = hardening.alphas
    assert (point.adversary_error, point.divergence) == (plain.adversary_error.soft, plain.divergence.value)
    # At alpha zero every thief takes what it takes from the plain model, whose figure 3 has all of them.
    thieves = {(each.student, each.labels): each.adversary_error for each in hardening.students}
    assert [(each.student, each.labels) for each in point.thefts] == [("lenet", "hard"), ("resnet8", "soft")]
    for each in point.thefts:
        assert each.victim == "divqat"
        assert each.adversary_error == thieves[each.student, each.labels]


def test_an_alpha_whose_training_diverges_is_named_and_left_out(made: tuple[Hardening, Store]) -> None:
    hardening, store = made
    assert ([point.alpha for point in hardening.alphas], hardening.diverged) == ([0.0], (1e40,))
    assert Hardening.model_validate_json(hardening.model_dump_json()).diverged == (1e40,)
    # What follows from it is never asked for, also of a graph that runs each step by itself.
    needed = RECIPE.needs(store)
    assert RECIPE.victims.attempted(1e40) in needed
    lost = RECIPE.alpha_variant(1e40)
    assert not {lost.victim, RECIPE.stealing(lost, "soft"), RECIPE.stealing(lost, "hard")} & {*needed}
    assert RECIPE.alpha_variant(0.0).victim in needed


def test_guessing_always_answers_the_commonest_class(made: tuple[Hardening, Store]) -> None:
    labels = open_splits(IMAGES).test.labels.tolist()
    share = max(map(labels.count, labels)) / len(labels)
    data = made[0].data
    assert (data.most_common, data.guessing) == (pytest.approx(share), pytest.approx(1 - share))
    assert 0.1 < share < 0.15
    assert data.replace(most_common=None).guessing == pytest.approx(0.9)


def test_the_defence_of_answers_keeps_its_budget_on_the_validation_images(made: tuple[Hardening, Store]) -> None:
    hardening, store = made
    row = RECIPE.victims.made("rs", store, silent)
    assert row.defences == hardening.victim["rs"].defences
    build = open_build(store.get(row.victim) / "model.pte")
    clean = posteriors(build, open_splits(IMAGES).validation.images)
    moved = float((row.defences[0](clean) - clean).abs().sum(1).mean())
    assert 0.55 < moved <= 0.6


def test_figures_against_another_way(made: tuple[Hardening, Store]) -> None:
    hardening, store = made
    test = open_splits(IMAGES).test
    build = open_build(store.get(RECIPE.victims.made("qat", store, silent).victim) / "model.pte")
    clean = posteriors(build, test.images)
    part = hardening.victim["rs"]
    answers = part.defences[0](clean)
    assert part.l1.value == pytest.approx(float((answers - clean).abs().sum(1).mean()), abs=1e-6)
    assert part.defender_error.successes == int((answers.argmax(1) != test.labels).sum())
    assert part.defender_error.trials == len(test) == hardening.data.test
    assert part.top1 == pytest.approx(float(answers.max(1).values.mean()), abs=1e-6)
    assert part.changed.successes == int((answers.argmax(1) != clean.argmax(1)).sum())
    assert hardening.thief.spent == RECIPE.budget == 100
    assert hardening.noise.test.value > 0
    assert "hard labels" in part.verdict


def test_students_steal_the_plain_row_and_the_hardened_one(made: tuple[Hardening, Store]) -> None:
    hardening, store = made
    places = [(point.victim, point.student, point.labels) for point in hardening.students]
    assert places == [
        (victim, student, labels)
        for victim in ("qat", "divqat")
        for student in ("resnet8", "lenet")
        for labels in ("soft", "hard")
    ]
    for point in hardening.students:
        row = RECIPE.victims.made(point.victim, store, silent)
        theft = RECIPE.stealing(row, point.labels, point.student).theft(store, silent)
        assert theft.attack.student == point.student
        assert (point.adversary_error, point.disagreement) == (theft.adversary_error, theft.disagreement)
        own = hardening.victim[point.victim].adversary_error
        # The attack's own student is a student like the others.
        assert (getattr(own, point.labels) == point.adversary_error) >= (point.student == "lenet")


def test_the_costs_of_an_answer_are_measured_for_every_build(made: tuple[Hardening, Store]) -> None:
    hardening, store = made
    assert list(hardening.times) == ["qat", "rs", "divqat"]
    for name, part in hardening.victim.items():
        if name == "large":
            assert part.shipped_bytes is None
            continue
        times = hardening.times[name]
        assert all((cost or 0) > 0 for cost in (times.answer_milliseconds, times.slowdown))
        build = store.get(RECIPE.victims.made(name, store, silent).victim) / "model.pte"
        assert part.shipped_bytes == build.stat().st_size
        assert (times.defence_milliseconds is not None) is (name == "rs")


def test_two_runs_differ_in_the_times_alone(made: tuple[Hardening, Store], tmp_path: Path) -> None:
    hardening, store = made
    RECIPE.produce(tmp_path, store, silent)
    again = Hardening.model_validate_json((tmp_path / "hardening.json").read_bytes())
    assert again.times != hardening.times
    assert again.replace(times=hardening.times) == hardening


def test_the_papers_figures_are_those_of_the_target(
    made: tuple[Hardening, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tuple((10.0 + place, 20.0 + place) for place in range(8))
    monkeypatch.setitem(_paper._TABLE, "digits", server)
    monkeypatch.setitem(_paper._MOBILE, "digits", {"qat": (1.0, 2.0)})
    assert RECIPE.target == "mobile"
    RECIPE.produce(tmp_path, made[1], silent)
    found = Hardening.model_validate_json((tmp_path / "hardening.json").read_bytes())
    assert found.victim["qat"].paper == PaperRow(defender_error=0.01, adversary_error=0.02)
    # For this target the paper prints no other row.
    assert [part.paper for name, part in found.victim.items() if name != "qat"] == [None] * 3


def test_a_document_of_the_first_version_is_read(made: tuple[Hardening, Store]) -> None:
    """Its times stood among the victims, and before that there were no times, no students and no other thefts."""
    hardening = made[0]
    content = hardening.model_dump(mode="json") | {"version": 1}
    times = content.pop("times")
    for name, part in content["victim"].items():
        nothing = {"answer_milliseconds": None, "defence_milliseconds": None, "slowdown": None}
        part |= times.get(name, nothing)
    assert Hardening.model_validate(content) == hardening
    assert Hardening.model_validate_json(json.dumps(content)) == hardening
    del content["students"]
    for part in content["victim"].values():
        for field in ("answer_milliseconds", "slowdown", "shipped_bytes"):
            del part[field]
    for point in content["alphas"]:
        del point["thefts"]
    old = Hardening.model_validate(content)
    assert (old.students, list(old.times)) == ((), ["rs"])
    assert all(point.thefts == () for point in old.alphas)
    rest = {"students": hardening.students, "victim": hardening.victim, "alphas": hardening.alphas}
    assert old.replace(times=hardening.times, **rest) == hardening


@pytest.mark.parametrize("damage", [{"victim": 3}, {"victim": {"qat": 3}}, {"version": 3}, {"version": "1"}])
def test_a_damaged_document_is_refused(made: tuple[Hardening, Store], damage: dict[str, object]) -> None:
    with pytest.raises(RecipeError):
        Hardening.model_validate(made[0].model_dump(mode="json") | {"version": 1} | damage)


def test_the_document_is_read_back_as_it_was(made: tuple[Hardening, Store], tmp_path: Path) -> None:
    hardening, store = made
    assert Hardening.model_validate_json(hardening.model_dump_json()) == hardening
    assert RECIPE.open(store, silent) == hardening
