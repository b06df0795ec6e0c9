"""The audit as a step: what it measures, what it keeps when it is killed, and what its name stands for."""

import functools
import json

import pytest

from edgerift.adapt import CompressRecipe, FinetuneRecipe, Pruning, given_original
from edgerift.audit import AuditRecipe, Measured, attack_part
from edgerift.audit import _evasion as evasion_module
from edgerift.audit import _opened as opened_module
from edgerift.audit import _recipe as recipe_module
from edgerift.deploy import Program, fidelity
from edgerift.errors import InputError, RecipeError
from edgerift.evade import EvadeRecipe, SelectRecipe, search
from edgerift.evade import _recipe as evade_recipe_module
from edgerift.images import open_splits
from edgerift.measure import accuracy
from edgerift.steps import Store, silent
from edgerift.train import TrainSettings

TASKS = ("default", "pgd", "audit: fidelity", "audit: checks", "audit: reasons")


class KilledError(Exception):
    pass


def without_times(measured):
    return {key: value for key, value in json.loads(measured.model_dump_json()).items() if key != "times"}


@pytest.fixture(scope="module")
def measured(audited):
    return Measured.model_validate_json((audited.store.get(audited.recipe) / "measured.json").read_bytes())


@pytest.fixture(scope="module")
def opened(audited):
    return audited.recipe.pair.open(audited.store, silent)[0]


@pytest.fixture
def images_once(monkeypatch):
    """Decode the images once, however often an audit is started."""
    once = functools.cache(open_splits)
    monkeypatch.setattr(opened_module, "open_splits", once)
    monkeypatch.setattr("edgerift.evade._selection.open_splits", once)


def test_every_attack_is_measured_on_the_images_that_were_drawn(audited, measured, opened):
    test = open_splits(audited.recipe.images).test
    assert list(measured.evasion.attacks) == ["default", "pgd"]
    for name, attack in audited.recipe.attacks.items():
        found = audited.recipe.searching(name).open(audited.store, silent)
        assert len(found) == 24
        direct = search(opened, test.select(found.index), attack)
        assert measured.evasion.attacks[name].evasive.successes == int(direct.evasive.sum())
        assert measured.evasion.attacks[name] == attack_part(found)
    assert measured.evasion.main_attack == "default"
    assert 3 <= measured.evasion.attacks["default"].evasive.successes < 24
    (one,) = measured.evasion.comparisons
    assert (one.first, one.second) == ("default", "pgd")


def test_the_pair_is_described_by_all_test_images(audited, measured, opened):
    test = open_splits(audited.recipe.images).test
    original, build = opened.original_scores(test.images), opened.build_scores(test.images)
    right = [answers.argmax(1) == test.labels for answers in (original, build)]
    pair, data, evasion = measured.pair, measured.data, measured.evasion
    assert pair.original_accuracy.value == accuracy(original, test.labels).value
    assert pair.build_accuracy.value == accuracy(build, test.labels).value
    assert pair.only_original_right.successes == int((right[0] & ~right[1]).sum()) == evasion.dropped_build_wrong
    assert pair.only_build_right.successes == int((~right[0] & right[1]).sum()) == evasion.dropped_original_wrong
    assert pair.instability.successes == int((right[0] != right[1]).sum())
    assert {rate.trials for rate in (pair.instability, pair.only_original_right)} == {359} == {data.images}
    assert (pair.target, pair.runtime, pair.provenance.method) == ("server", "onnxruntime", "ptq")
    assert pair.fingerprint == opened.build.fingerprint()
    assert pair.integer_macs == opened.build.integer_macs()
    assert data.fingerprint == test.fingerprint
    assert evasion.attacked == 24


def test_fidelity_is_that_of_all_clean_and_of_the_attacked_images(audited, measured, opened):
    found = audited.recipe.searching("default").open(audited.store, silent)
    program, test = Program.load(audited.folder / "program.safetensors"), open_splits(audited.recipe.images).test
    for part, images in (
        (measured.evasion.fidelity_clean, test.images),
        (measured.evasion.fidelity_attacked, found.images),
    ):
        near = fidelity(program, opened.build, images)
        assert (part.images, part.equal_logits, part.max_lsb) == (len(images), near.equal_logits, near.max_lsb)


def test_findings_flags_layers_and_embeddings_are_there(audited, measured):
    evasive = measured.evasion.attacks["default"].evasive.successes
    assert len(measured.evasion.findings) == evasive
    assert all(part.attack == "default" and part.id.startswith("default-") for part in measured.evasion.findings)
    assert len(measured.flags) == 12
    assert [flag.name for flag in measured.flags if flag.level in ("error", "warning")] == []
    program = Program.load(audited.folder / "program.safetensors")
    assert len(measured.evasion.layers) == 5
    assert all(layer.healed.trials <= evasive for layer in measured.evasion.layers)
    assert program.classes == 10
    assert [one.method for one in measured.evasion.embeddings] == ["pca", "tsne"]
    assert all(len(one.points) == 4 * evasive for one in measured.evasion.embeddings)
    assert measured.evasion.control is None


def test_the_times_are_those_of_the_stages(measured):
    assert set(measured.times) == {"pair", "attack default", "attack pgd", "fidelity", "checks", "reasons"}
    assert all(seconds >= 0 for seconds in measured.times.values())


def test_only_the_result_is_left(audited):
    assert {path.name for path in audited.store.get(audited.recipe).iterdir()} == {
        "measured.json",
        "recipe.json",
        "SHA256SUMS",
    }


def test_a_finished_audit_does_no_work(audited):
    told = []
    audited.store.get(audited.recipe, lambda *progress: told.append(progress))
    assert told == []


def test_two_audits_from_scratch_are_the_same(audited, measured, tmp_path):
    again = Store(tmp_path / "store").get(audited.recipe) / "measured.json"
    assert without_times(Measured.model_validate_json(again.read_bytes())) == without_times(measured)


def place(event):
    """Where in the audit something was told: its stage, and within a search the number of images done."""
    task, done, _ = event
    task = "audit: reasons" if task == "rank layers" else task
    return TASKS.index(task), done if task in ("default", "pgd") else 0


def test_a_run_killed_at_every_moment_ends_the_same(audited, tmp_path, monkeypatch, images_once):
    """Die whenever something is told for the first time, until nothing new is told."""
    monkeypatch.setattr(evade_recipe_module, "_PART", 8)
    whole = (Store(tmp_path / "whole").get(audited.recipe) / "measured.json").read_bytes()
    store, seen = Store(tmp_path / "killed"), set()
    killed_at = (0, 0)
    deaths = 0

    def kill(task, done, total, note=""):
        event = task, done, total
        stage, images = killed_at
        # What was finished is not told again: at most the part of 8 images in which the last run died.
        assert place(event) >= (stage, images - 8), f"{event} again after {killed_at}"
        if event not in seen:
            seen.add(event)
            raise KilledError

    while not store.has(audited.recipe):
        before = set(seen)
        try:
            folder = store.get(audited.recipe, kill)
        except KilledError:
            deaths += 1
            (new,) = seen - before
            finished = new[0].startswith("audit: ") and new[1] == new[2]
            killed_at = (place(new)[0] + finished, place(new)[1])
    assert deaths == len(seen) > 15
    assert seen >= set(audited.told)
    result = Measured.model_validate_json((folder / "measured.json").read_bytes())
    assert without_times(result) == without_times(Measured.model_validate_json(whole))
    assert {path.name for path in folder.iterdir()} == {"measured.json", "recipe.json", "SHA256SUMS"}


def test_a_run_killed_while_it_tidies_up_measures_no_more(audited, measured, tmp_path, monkeypatch):
    (tmp_path / "measured.json").write_text(measured.model_dump_json())
    (tmp_path / "stage-checks.json").write_text("{}")
    monkeypatch.setattr(recipe_module, "Opened", None)
    audited.recipe.produce(tmp_path, audited.store, silent)
    assert {path.name for path in tmp_path.iterdir()} == {"measured.json"}


def test_a_stage_that_is_finished_is_read(audited, measured, tmp_path):
    """A flag that no check says shows that the file was believed."""
    (flag,) = (part for part in measured.flags if part.name == "repeat")
    told = evasion_module._Flags(flags=(flag.replace(seen="from the disk"),))
    (tmp_path / "stage-checks.json").write_text(told.model_dump_json())
    audited.recipe.produce(tmp_path, audited.store, silent)
    result = Measured.model_validate_json((tmp_path / "measured.json").read_bytes())
    assert [part.seen for part in result.flags] == ["from the disk"]


def test_the_control_is_attacked_as_the_build_is(audited, small_pair, tmp_path):
    settings = TrainSettings(epochs=1, batch_size=256, learning_rate=0.01, device="cpu")
    control = FinetuneRecipe(original=audited.recipe.pair.original, images=small_pair.images, settings=settings)
    recipe = audited.recipe.replace(control=control)
    searching = recipe.searching("default", control=True)
    assert searching.pair.control == control
    assert searching.replace(pair=recipe.pair).digest() == recipe.searching("default").digest()
    result = Measured.model_validate_json((audited.store.get(recipe) / "measured.json").read_bytes())
    found = searching.open(audited.store, silent)
    part = result.evasion.control
    assert (part.evasive.successes, part.attacked) == (int(found.evasive.sum()), len(found))
    assert part.evasive.value < result.evasion.attacks["default"].evasive.value
    answers = SelectRecipe(pair=searching.pair, images=small_pair.images).open(audited.store, silent)
    right = [scores.argmax(1) == open_splits(small_pair.images).test.labels for scores in answers]
    assert part.clean_disagreement.successes == int((right[0] != right[1]).sum())
    assert part.clean_disagreement != result.pair.instability
    assert part.clean_disagreement.trials == 359
    assert "control" in result.times
    assert part.change == "fine-tuning"


def test_a_control_that_was_compressed_says_so(audited, small_pair):
    settings = TrainSettings(epochs=1, batch_size=256, learning_rate=0.01, device="cpu")
    compression = Pruning(sparsity=0.5, train=settings)
    original = audited.recipe.pair.original
    control = CompressRecipe(original=original, images=small_pair.images, compression=compression)
    given = given_original(audited.store.get(control) / "original.safetensors")
    told = [
        json.loads((audited.store.get(audited.recipe.replace(control=one)) / "measured.json").read_bytes())
        for one in (control, given)
    ]
    assert told[0]["evasion"]["control"]["change"] == "compression"
    # The same model as a file is the same control.
    assert told[1]["evasion"]["control"] == told[0]["evasion"]["control"]


def test_names_of_attacks_are_names_of_files(audited):
    fields = {name: getattr(audited.recipe, name) for name in ("pair", "images")}
    attack = audited.recipe.attacks["pgd"]
    for name in ("../up", "a b", "", ".hidden", "a/b"):
        with pytest.raises(RecipeError, match="attacks"):
            AuditRecipe(**fields, attacks={name: attack}, main=name)
    with pytest.raises(RecipeError, match="the main attack 'other' is not among the attacks pgd"):
        AuditRecipe(**fields, attacks={"pgd": attack}, main="other")


def test_a_class_that_does_not_exist_is_refused_before_the_work(audited, tmp_path):
    store, told = Store(tmp_path / "store"), []
    with pytest.raises(InputError, match=r"class 10 cannot be embedded; the 10 classes of digits are 0 to 9"):
        store.get(audited.recipe.replace(classes=(3, 10)), lambda *progress: told.append(progress))
    assert told == []


@pytest.mark.parametrize(
    "changes",
    [{"main": "pgd"}, {"count": 25}, {"draw": 2}, {"classes": (1,)}, {"images": {"source": "digits", "size": 13}}],
)
def test_what_can_change_a_result_changes_its_name(audit_recipe, changes):
    assert audit_recipe.replace(**changes).digest() != audit_recipe.digest()


def test_order_and_speed_are_no_part_of_the_name(audit_recipe):
    turned = dict(reversed(audit_recipe.attacks.items()))
    assert audit_recipe.replace(attacks=turned, batch_size=7).digest() == audit_recipe.digest()


def test_searches_are_shared_with_those_of_the_function(audit_recipe):
    found = EvadeRecipe(
        pair=audit_recipe.pair,
        images=audit_recipe.images,
        attack=audit_recipe.attacks["pgd"],
        count=24,
        draw=1,
    )
    assert audit_recipe.searching("pgd").digest() == found.digest()
