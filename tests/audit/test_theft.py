"""The theft half of an audit: what the thieves take, how it is summed up, and that a killed run goes on."""

from pathlib import Path

import pytest
from made_audit import made_theft, theft

from edgerift.audit import AuditRecipe, Measured, Policy, TheftSettings, read_audit, run_audit
from edgerift.audit._theft import summarised
from edgerift.errors import InputError, RecipeError
from edgerift.extract import ExtractRecipe, Knockoff, QuerySettings
from edgerift.images import open_splits
from edgerift.steps import Store, silent
from edgerift.train import TrainSettings


class KilledError(Exception):
    pass


def thief(small_pair, **fields):
    training = TrainSettings(epochs=2, batch_size=32, learning_rate=0.05, device="cpu")
    attack = Knockoff(student="lenet", training=training, seed=1, **fields)
    return TheftSettings(queries=QuerySettings(images=small_pair.images, collages=70), budget=64, attack=attack)


@pytest.fixture(scope="module")
def recipe(small_pair):
    thefts = {"soft": thief(small_pair), "hard": thief(small_pair, labels="hard")}
    return AuditRecipe(pair=small_pair.settings(), images=small_pair.images, thefts=thefts)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def folder(recipe, store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("robbed")
    run_audit(recipe, folder, store)
    return folder


@pytest.fixture(scope="module")
def robbed(folder):
    return read_audit(folder)


def test_every_thief_robs_the_build_that_ships(recipe, store, robbed, small_pair):
    assert robbed.evasion is None
    assert list(robbed.theft.thieves) == ["soft", "hard"]
    for name, settings in recipe.thefts.items():
        direct = ExtractRecipe(
            victim=recipe.pair.build,
            images=small_pair.images,
            queries=settings.queries,
            budget=64,
            attack=settings.attack,
        )
        assert direct.digest() == recipe.stealing(name).digest()
        assert robbed.theft.thieves[name] == direct.theft(store, silent)
        assert robbed.theft.thieves[name].spent == 64
    soft, hard = robbed.theft.thieves.values()
    assert (soft.attack.labels, hard.attack.labels) == ("soft", "hard")
    assert soft.divergence != hard.divergence
    assert soft.defender_error.value == pytest.approx(1 - robbed.pair.build_accuracy.value)
    labels = open_splits(small_pair.images).test.labels
    assert robbed.theft.chance == max(labels.tolist().count(label) for label in range(10)) / len(labels)
    assert set(robbed.times) == {"pair", "theft soft", "theft hard"}


def test_the_folder_of_a_theft_holds_no_findings(recipe, store, folder, audited, tmp_path):
    models = {"original.safetensors", "program.safetensors", "model.onnx"}
    expected = {"audit.json", "audit.schema.json", ".edgerift-files"} | models
    assert {path.name for path in folder.iterdir()} == expected
    run_audit(audited.recipe, tmp_path, audited.store)
    assert (tmp_path / "findings").is_dir()
    run_audit(recipe, tmp_path, store)
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_the_gate_judges_the_theft(recipe, store, tmp_path):
    for limit, verdict in ((1.0, "pass"), (0.0, "fail")):
        audit = run_audit(recipe, tmp_path, store, policy=Policy(stolen=limit, evasive=0.0))
        assert [(part.rule, part.holds) for part in audit.gate] == [("stolen", limit == 1.0), ("errors", True)]
        assert audit.verdict == verdict


def test_both_threats_in_one_audit_are_those_of_each_alone(recipe, robbed, audited, store):
    """The searches and thefts are steps of their own, found again in the store that did them."""
    told = []
    both = audited.recipe.replace(thefts=recipe.thefts)
    path = audited.store.get(both, lambda *progress: told.append(progress[0])) / "measured.json"
    measured = Measured.model_validate_json(path.read_bytes())
    assert measured.evasion.replace(flags=()) == audited.audit.evasion.replace(flags=())
    assert measured.theft == robbed.theft
    assert measured.flags == measured.evasion.flags + measured.theft.flags
    assert "default" not in told


def test_a_baseline_needs_evasion(recipe, audited, store, tmp_path):
    with pytest.raises(InputError, match="a baseline is compared by its evasive images; examine evasion too"):
        run_audit(recipe, tmp_path / "out", Store(tmp_path / "new"), baseline=audited.folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"thefts": {}}, "there are no attacks, no `thefts` and no `tampering`"),
        ({"main": "default"}, "the main attack 'default' is not among the attacks (there are none)"),
        ({"thefts": {"../up": None}}, "thefts"),
    ],
)
def test_a_recipe_names_what_it_does(recipe, fields, text):
    if fields.get("thefts"):
        fields = {"thefts": dict.fromkeys(fields["thefts"], recipe.thefts["soft"])}
    with pytest.raises(RecipeError) as caught:
        recipe.replace(**fields)
    assert text in str(caught.value)


def test_attacks_need_a_main_one(audited, recipe):
    with pytest.raises(RecipeError, match="the main attack 'None' is not among the attacks"):
        recipe.replace(attacks=audited.recipe.attacks)


def test_a_theft_killed_at_every_moment_pays_for_nothing_twice(recipe, robbed, tmp_path, monkeypatch):
    """Die whenever something new is told; epochs that were told before are not run again."""
    monkeypatch.setattr("edgerift.extract._oracle.PART", 32)
    store, seen = Store(tmp_path), set()

    def kill(task, done, total, note=""):
        event = task, done, total, note.split("(")[0]
        if event not in seen:
            seen.add(event)
            raise KilledError

    deaths = 0
    while not store.has(recipe):
        try:
            store.get(recipe, kill)
        except KilledError:
            deaths += 1
            assert deaths < 40
    assert deaths >= 4
    measured = Measured.model_validate_json((store.get(recipe) / "measured.json").read_bytes())
    assert measured.theft == robbed.theft
    assert {path.name for path in store.get(recipe).iterdir()} == {"measured.json", "recipe.json", "SHA256SUMS"}


def test_the_strongest_thief_agrees_most_with_the_build():
    part = summarised({"a": theft(30, 1, 1), "b": theft(29, 99, 1), "c": theft(29, 0, 0)}, 0.1)
    assert (part.strongest, part.best.disagreement.successes) == ("b", 29)
    assert [(flag.name, flag.level) for flag in part.flags] == [("clone", "ok"), ("queries", "ok")]


@pytest.mark.parametrize(("disagreement", "level"), [(400, "warning"), (355, "warning"), (340, "ok"), (7, "ok")])
def test_a_clone_that_learned_nothing_is_seen(disagreement, level):
    flag = summarised({"soft": theft(disagreement, 0, 0)}, 0.105).flags[0]
    assert flag.level == level
    assert f"agrees with the build on {1 - disagreement / 400:.1%} of the images" in flag.seen
    assert "10.5%" in flag.seen


def test_an_unspent_budget_is_seen():
    part = made_theft()
    (flag,) = (one for one in summarised({**part.thieves, "few": theft(1, 1, 1, spent=1999)}, 0.1).flags[1:])
    assert flag.level == "note"
    assert "few: 1,999 of 2,000 queries used" in flag.seen


@pytest.mark.parametrize("change", [{"budget": 63}, {"attack": Knockoff(student="resnet8")}])
def test_what_can_change_a_theft_changes_its_name(recipe, change):
    soft = recipe.thefts["soft"].replace(**change)
    assert recipe.replace(thefts={**recipe.thefts, "soft": soft}).digest() != recipe.digest()


def test_the_checks_of_a_theft_are_explained(robbed):
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    assert [flag.name for flag in robbed.flags if f"`{flag.name}`" not in page] == []
    assert all(flag.seen and flag.meaning and flag.action for flag in robbed.flags)
