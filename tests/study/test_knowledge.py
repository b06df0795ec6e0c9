"""Attackers of a study who lack a model: where they stand in the grid, what is measured, and the table of it."""

from pathlib import Path

import pytest

from edgerift.audit import EmbeddingPart, SurrogateRecipe
from edgerift.errors import RecipeError
from edgerift.evade import Attack, Diva
from edgerift.extract import ExtractRecipe, JacobianPolicy, Knockoff, QuerySettings
from edgerift.facts import readings as of
from edgerift.measure import mcnemar
from edgerift.steps import Store, silent
from edgerift.study import AttackChoice, PairRecipe, Study, make_cells, read_study
from edgerift.train import TrainSettings

DIVA = Path(__file__).parents[2] / "studies" / "diva.yaml"
TRAIN = TrainSettings(epochs=2, batch_size=32, learning_rate=0.05, device="cpu")
STUDY = {
    "study": "tiny",
    "title": "Tiny",
    "seeds": [3],
    "size": 16,
    "data": {"digits": {}},
    "originals": {"LeNet": {"model": "lenet"}},
    "evasion": {
        "adaptations": ["ptq", "finetune", "prune", "prune+qat"],
        "attacks": {
            "white": {"preset": "default"},
            "semi": {"preset": "default", "knows": "build"},
            "black": {"preset": "default", "knows": "answers"},
        },
        "shown": "white",
        "surrogate": {"budget": 60, "attack": {"student": "lenet"}, "training": {"epochs": 2}},
    },
}


def changed(**evasion):
    return Study.model_validate({**STUDY, "evasion": {**STUDY["evasion"], **evasion}})


def test_who_lacks_a_model_attacks_what_was_quantized_and_shares_its_answers():
    cells = {cell.kind: cell.recipe for cell in make_cells(Study.model_validate(STUDY))}
    assert [name for name, recipe in cells.items() if recipe.surrogates] == ["ptq", "prune+qat"]
    assert list(cells["finetune"].attacks) == list(cells["prune"].attacks) == ["white"]
    recipe = cells["ptq"]
    assert [recipe.attacks[name].stop for name in ("white", "semi", "black")] == ["goal", "believed", "believed"]
    semi, black = (recipe.surrogates[name] for name in ("semi", "black"))
    assert semi.extract == black.extract
    assert (semi.knows, black.knows, semi.target) == ("build", "answers", "mobile")
    assert semi.extract.victim == recipe.pair.build
    assert semi.extract.queries.collages == semi.extract.budget == 60
    assert semi.extract.attack.seed == semi.extract.attack.training.seed == 4
    assert semi.extract.attack.training.epochs == 2
    assert recipe.searching("semi").surrogate == semi
    assert recipe.searching("white").surrogate is None
    assert semi in recipe.searching("semi").needs(Store(Path("/nonexistent")))


def test_an_attack_may_be_on_some_adaptations_only():
    sweep = {"preset": "diva-2022", "adaptations": ["prune+qat", "finetune"]}
    semi = {"preset": "default", "knows": "build", "adaptations": ["ptq"]}
    study = changed(attacks={"white": {"preset": "default"}, "sweep": sweep, "semi": semi})
    cells = {cell.kind: cell.recipe for cell in make_cells(study)}
    assert {kind: list(recipe.attacks) for kind, recipe in cells.items()} == {
        "ptq": ["white", "semi"],
        "finetune": ["white", "sweep"],
        "prune": ["white"],
        "prune+qat": ["white", "sweep"],
    }
    assert [kind for kind, recipe in cells.items() if recipe.surrogates] == ["ptq"]


def test_a_surrogate_takes_a_query_policy():
    study = changed(surrogate={"attack": {"policy": {"type": "jacobian", "seeds": 5}}})
    assert study.imitating(study.data["digits"], 0).policy == JacobianPolicy(seeds=5)


@pytest.mark.parametrize(
    ("evasion", "told"),
    [
        (
            {"attacks": {"white": {"preset": "default", "adaptations": ["ptq", "qat"]}}},
            r"evasion.attacks.white.adaptations\[1\] is 'qat'; the plan's adaptations are ptq, finetune, prune",
        ),
        (
            {"attacks": {"white": {"preset": "default", "adaptations": ["ptq", "finetune", "prune"]}}},
            r"evasion.adaptations\[3\] is 'prune\+qat', which no attack is tried on",
        ),
        (
            {"attacks": {"white": {"preset": "default", "knows": "build"}}},
            r"evasion.adaptations\[1\] is 'finetune', which no attack is tried on",
        ),
        (
            {
                "attacks": {"white": {"preset": "pgd", "adaptations": ["finetune"]}, "other": {"preset": "pgd"}},
                "pictured": ["ptq"],
            },
            r"evasion.pictured\[0\] is 'ptq', which the attack shown, 'white', is not tried on",
        ),
        ({"surrogate": None}, "surrogate is needed where an attacker does not know both models"),
        (
            {"attacks": {"white": {"preset": "square", "knows": "build"}}},
            "knows is 'build': .*stop 'believed' is for searches by gradients",
        ),
        (
            {"attacks": {"white": {"preset": "default", "knows": "build", "change": {"stop": "never"}}}},
            "an attacker who lacks a model stops on belief; leave it out",
        ),
    ],
)
def test_what_does_not_fit_is_told(evasion, told):
    with pytest.raises(RecipeError, match=told):
        changed(**evasion)


def test_descriptions_of_before_are_as_they_were():
    assert "knows" not in AttackChoice(preset="default").model_dump()
    assert not {"points", "surrogate"} & set(
        changed(surrogate=None, attacks={"white": {"preset": "pgd"}}).evasion.model_dump()
    )


@pytest.mark.slow
def test_the_report_has_what_the_surrogates_cost(small_pair, tmp_path):
    stealing = ExtractRecipe(
        victim=small_pair.settings().build,
        images=small_pair.images,
        queries=QuerySettings(images=small_pair.images, collages=64),
        budget=64,
        attack=Knockoff(student="lenet", training=TRAIN),
    )
    attack = Attack(epsilon=24, steps=6, step=6.0)
    recipe = PairRecipe(
        pair=small_pair.settings(),
        images=small_pair.images,
        attacks={"white": attack, "semi": attack.replace(stop="believed")},
        surrogates={"semi": SurrogateRecipe(extract=stealing, knows="build", target="server")},
        count=16,
    )
    store = Store(tmp_path)
    report = recipe.open(store, silent)
    part = report.surrogates["semi"]
    theft = stealing.theft(store, silent)
    assert (part.knows, part.queries) == ("build", theft.spent == 64 and 64)
    assert part.agreement.successes == theft.disagreement.trials - theft.disagreement.successes
    found = recipe.searching("semi").open(store, silent)
    assert (found.build_questions == 1).all()
    (compared,) = report.comparisons
    assert compared.p == mcnemar(compared.only_first, compared.only_second)
    facts = list(of.SURROGATE.facts(part, {"attack": "semi"}))
    assert [fact.value for fact in facts] == [64, part.agreement.value, part.agreement_original.value]


def embedding(method, rows):
    points, label, taken, condition = zip(*rows, strict=True)
    return EmbeddingPart(
        method=method, classes=(0, 1, 2), points=points, label=label, model=("build",) * len(rows), condition=condition,
        explained=None, taken=taken,
    )  # fmt: skip


def test_where_attacked_images_land():
    """Clean classes at 0, 10 and 20; two land where they are taken for, one stays, one is between others."""
    clean = [((10.0 * label, 0.0), label, label, "clean") for label in range(3)]
    attacked = [
        ((9.0, 1.0), 0, 1, "attacked"),
        ((21.0, 0.0), 0, 2, "attacked"),
        ((1.0, 0.0), 0, 1, "attacked"),
        ((19.0, 0.0), 0, 1, "attacked"),
        # Not misled, or taken for a class that the map does not show.
        ((0.0, 0.0), 0, 0, "attacked"),
        ((0.0, 0.0), 0, 7, "attacked"),
    ]
    found = {fact.reading: fact.value for fact in of.EMBEDDING.facts(embedding("tsne", clean + attacked), {})}
    assert found[of.LANDED] == pytest.approx(100 * (2 - 1) / 4)
    # Of the five zeros that are misled two stand beside zeros, and one beside ones.
    assert found[of.ZEROS_BESIDE_ONES] == pytest.approx(100 * (1 - 2) / 5)
    without = {fact.reading for fact in of.EMBEDDING.facts(embedding("tsne", clean), {})}
    assert not {of.LANDED, of.ZEROS_BESIDE_ONES} & without


@pytest.mark.parametrize("profile", ["smoke", "digits", "small", "paper"])
def test_the_first_papers_study_has_every_row(profile):
    plan = read_study(DIVA, profile).evasion
    assert {"ptq", "qat", "finetune", "prune", "distil", "prune+qat"} == set(plan.adaptations)
    assert {choice.knows for choice in plan.attacks.values()} == {"both", "build", "answers"}
    weights = {
        choice.attack.objective.c for choice in plan.attacks.values() if isinstance(choice.attack.objective, Diva)
    }
    assert weights == {0.5, 1.0, 1.5, 2.0, 5.0}
    # Both models, before and after the attack; the paper says of how many samples its own points are.
    assert plan.points == {"paper": 1000, "small": 200}.get(profile, 250)


def test_one_of_the_originals_is_robust():
    originals = read_study(DIVA, "smoke").originals
    study = read_study(DIVA, "smoke")
    training = study.training(study.data["digits"], originals["Robust"], 0)
    assert training.adversary is not None
    assert training.adversary.epsilon == 8
    assert (study.is_robust("digits", "Robust"), study.is_robust("digits", "ResNet")) == (True, False)
    for name in ("prune", "distil"):
        assert study.compressing(name, study.data["digits"], originals["Robust"], 0).train.adversary is None
