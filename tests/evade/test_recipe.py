"""Searches through the store: which images, the parts of a killed search, and what the name of a step stands for."""

import hashlib
from dataclasses import fields

import pytest
import torch

from edgerift.adapt import FinetuneRecipe
from edgerift.deploy import GivenBuild
from edgerift.errors import BuildError, InputError, MissingRuntimeError
from edgerift.evade import (
    Attack,
    EvadeRecipe,
    EvadeShard,
    Evasion,
    FloatBuild,
    Pair,
    SelectRecipe,
    Steering,
    eligible,
    search,
)
from edgerift.evade import _recipe as recipe_module
from edgerift.images import open_splits
from edgerift.steps import Store, reachable, silent
from edgerift.train import TrainSettings

ATTACK = Attack(epsilon=12, steps=3, stop="never")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def searching(small_pair):
    def make(**changes):
        fields = {"pair": small_pair.settings(), "images": small_pair.images, "attack": ATTACK, "count": 20}
        return EvadeRecipe(**{**fields, **changes})

    return make


@pytest.fixture(scope="module")
def opened(small_pair, store) -> Pair:
    return small_pair.settings().open(store, silent)[0]


@pytest.fixture(scope="module")
def test_images(small_pair):
    return open_splits(small_pair.images).test


class KilledError(Exception):
    pass


def files(folder):
    return {path.name for path in folder.iterdir()}


def assert_same(first, second):
    for field in fields(Evasion):
        one, other = getattr(first, field.name), getattr(second, field.name)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, field.name


def test_a_selection_keeps_both_models_answers_to_every_test_image(small_pair, store, opened, test_images):
    recipe = SelectRecipe(pair=small_pair.settings(), images=small_pair.images)
    original, build = recipe.open(store, silent)
    assert torch.equal(original, opened.original_scores(test_images.images))
    assert torch.equal(build, opened.build_scores(test_images.images))
    told = []
    recipe.open(store, lambda *progress: told.append(progress))
    assert told == []


def test_a_search_is_the_one_that_the_function_makes(searching, store, opened, test_images):
    found = searching(count=None).open(store, silent)
    direct = search(opened, test_images, ATTACK)
    assert len(found) > 250
    for name in ("index", "images", "last", "evasive", "first", "original", "build", "clean_build", "gradient_calls"):
        assert torch.equal(getattr(found, name), getattr(direct, name)), name
    assert (found.dropped, found.attack, found.data) == (direct.dropped, ATTACK, "digits")


def test_gradients_are_taken_on_the_device_that_is_there_and_change_no_verdict(searching, store, tmp_path, monkeypatch):
    expected = searching().open(store, silent)
    moved, precise = [], []

    def to(steering, device):
        moved.append(device)
        return steering

    def search_here(*given, **options):
        precise.append((torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic))
        return search_selected(*given, **options)

    search_selected = recipe_module.search_selected
    monkeypatch.setattr(recipe_module, "search_selected", search_here)
    monkeypatch.setattr(recipe_module, "choose_device", lambda chosen: torch.device("cuda", 0))
    monkeypatch.setattr(Steering, "to", to)
    assert_same(searching().open(Store(tmp_path), silent), expected)
    assert moved == [torch.device("cuda", 0)]
    assert set(precise) == {(False, True)}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_a_device_that_is_not_there_is_told(searching, tmp_path):
    with pytest.raises(MissingRuntimeError, match="use device='cpu'"):
        searching(device="cuda").open(Store(tmp_path), silent)


def test_images_are_drawn_from_those_that_both_get_right(searching, store, opened, test_images):
    labels = test_images.labels
    answers = opened.original_scores(test_images.images), opened.build_scores(test_images.images)
    allowed = eligible(*answers, labels)
    draws = [searching(count=20, draw=draw).open(store, silent) for draw in (0, 0, 1)]
    first, again, other = (found.index.tolist() for found in draws)
    assert first == again == sorted(set(first))
    assert len(first) == len(other) == 20
    assert first != other
    assert set(first) | set(other) <= set(allowed.index.tolist())
    assert max(first) > 200
    for found in draws:
        assert torch.equal(found.clean, test_images.images[found.index])
        assert torch.equal(found.labels, labels[found.index])
        assert torch.equal(found.clean_original, answers[0][found.index])
        assert torch.equal(found.clean_build, answers[1][found.index])
        assert found.dropped == allowed.dropped
    assert recipe_module.drawn(allowed, len(allowed.index), 5) is allowed
    assert recipe_module.drawn(allowed, 10_000, 5) is allowed


@pytest.mark.parametrize("size", [1, 7, 20])
def test_parts_change_nothing(searching, store, tmp_path, monkeypatch, size):
    """But for the last bits of the float model's answers, which depend on the batch."""
    whole = searching().open(store, silent)
    monkeypatch.setattr(recipe_module, "_PART", size)
    told = []
    searching(name="mine").produce(tmp_path, store, lambda *progress: told.append(progress))
    assert files(tmp_path) == {"evasion.safetensors"}
    found = Evasion.load(tmp_path / "evasion.safetensors")
    for name in ("index", "images", "last", "evasive", "void", "first", "build", "last_build", "gradient_calls"):
        assert torch.equal(getattr(found, name), getattr(whole, name)), name
    assert torch.allclose(found.original, whole.original, atol=1e-5)
    assert (found.dropped, found.attack, found.classes) == (whole.dropped, whole.attack, whole.classes)
    assert {(task, total) for task, _, total, *_ in told} == {("mine", 20)}
    done = [progress[1] for progress in told]
    assert done == sorted(done)
    assert done[-1] == 20


@pytest.mark.parametrize("finished", [0, 2, 3])
def test_a_killed_search_goes_on_after_its_last_finished_part(searching, store, tmp_path, monkeypatch, finished):
    """Twenty images in parts of six; the search dies while part number `finished` is searched."""
    monkeypatch.setattr(recipe_module, "_PART", 6)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    searching().produce(whole, store, silent)

    def kill(task, done, total, note=""):
        if done > 6 * finished:
            raise KilledError

    with pytest.raises(KilledError):
        searching().produce(killed, store, kill)
    kept = {f"part-{number:05d}.safetensors" for number in range(finished)}
    assert files(killed) == kept
    written = {name: (killed / name).stat().st_mtime_ns for name in kept}
    searched = []
    true_search = recipe_module.search_selected
    monkeypatch.setattr(
        recipe_module,
        "search_selected",
        lambda pair, test, chosen, *rest, **options: (
            searched.append(len(chosen.index)) or true_search(pair, test, chosen, *rest, **options)
        ),
    )
    joined = recipe_module.joined

    def check(parts):
        assert {name: (killed / name).stat().st_mtime_ns for name in kept} == written
        return joined(parts)

    monkeypatch.setattr(recipe_module, "joined", check)
    searching().produce(killed, store, silent)
    assert searched == [6, 6, 6, 2][finished:]
    assert_same(Evasion.load(killed / "evasion.safetensors"), Evasion.load(whole / "evasion.safetensors"))
    assert files(killed) == {"evasion.safetensors"}


def test_a_search_killed_while_it_tidies_up_searches_no_more(searching, store, tmp_path, monkeypatch):
    """All parts are joined and some are gone; what is joined stays."""
    whole = (store.get(searching()) / "evasion.safetensors").read_bytes()
    (tmp_path / "evasion.safetensors").write_bytes(whole)
    (tmp_path / "part-00002.safetensors").write_bytes(b"left")
    monkeypatch.setattr(recipe_module, "search_selected", None)
    searching().produce(tmp_path, store, silent)
    assert files(tmp_path) == {"evasion.safetensors"}
    assert (tmp_path / "evasion.safetensors").read_bytes() == whole


@pytest.mark.parametrize(("shard", "shards"), [(1, [6, 6, 6, 2]), (7, [12, 8]), (12, [12, 8]), (24, [])])
def test_shards_give_the_result_of_one_worker(searching, store, tmp_path, monkeypatch, shard, shards):
    """A shard is of whole parts, since the parts decide how far from a find the build is asked."""
    monkeypatch.setattr(recipe_module, "_PART", 6)
    fresh = Store(tmp_path)
    whole, cut = (searching(attack=ATTACK.replace(seed=shard), shard=size) for size in (None, shard))
    assert cut.needs(fresh) == (*cut.inputs(), cut.selecting)
    fresh.get(cut.selecting)
    found = [step for step in cut.needs(fresh) if isinstance(step, EvadeShard)]
    sizes = [len(Evasion.load(fresh.get(step) / "evasion.safetensors")) for step in found]
    assert sizes == shards
    assert all(step.needs(fresh) == (*cut.inputs(), cut.selecting) for step in found)
    assert cut.digest() == whole.digest()
    # The description, which the store has, does not tell of them.
    assert sorted(step.digest() for step in whole.asked(fresh)) == sorted(step.digest() for step in found)
    assert {f"evade-shard-{step.digest()}" for step in found} <= reachable([whole], fresh)
    assert searching(draw=5).asked(fresh) == ()
    assert_same(cut.open(fresh, silent), whole.open(store, silent))


@pytest.mark.parametrize("finished", [0, 1])
def test_a_killed_shard_goes_on_after_its_last_finished_part(searching, store, tmp_path, monkeypatch, finished):
    """Parts 1 and 2 of four; the shard dies while one of them is searched."""
    monkeypatch.setattr(recipe_module, "_PART", 6)
    shard = EvadeShard(evade=searching(), first=1, parts=2)
    whole = Evasion.load(store.get(shard) / "evasion.safetensors")
    told = []

    def kill(task, done, total, note=""):
        told.append((done, total))
        if done > 6 * (1 + finished):
            raise KilledError

    with pytest.raises(KilledError):
        shard.produce(tmp_path, store, kill)
    assert files(tmp_path) == {f"part-{number:05d}.safetensors" for number in range(1, 1 + finished)}
    # Progress is that of the whole search, of which this is a part.
    assert {total for _, total in told} == {20}
    shard.produce(tmp_path, store, silent)
    assert files(tmp_path) == {"evasion.safetensors"}
    assert_same(Evasion.load(tmp_path / "evasion.safetensors"), whole)


def test_a_shard_killed_while_it_tidies_up_searches_no_more(searching, store, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe_module, "_PART", 6)
    shard = EvadeShard(evade=searching(), first=1, parts=2)
    whole = (store.get(shard) / "evasion.safetensors").read_bytes()
    (tmp_path / "evasion.safetensors").write_bytes(whole)
    (tmp_path / "part-00002.safetensors").write_bytes(b"left")
    monkeypatch.setattr(recipe_module, "search_selected", None)
    shard.produce(tmp_path, store, silent)
    assert files(tmp_path) == {"evasion.safetensors"}
    assert (tmp_path / "evasion.safetensors").read_bytes() == whole


def test_what_steers_shards_is_no_part_of_their_names(searching):
    one, other = (searching(shard=size, batch_size=size, name=str(size)) for size in (1, 2))
    first, second = (EvadeShard(evade=search, first=0, parts=1).digest() for search in (one, other))
    assert first == second
    assert EvadeShard(evade=one, first=1, parts=1).digest() != first != EvadeShard(evade=one, parts=2).digest()


def test_the_control_needs_no_build(small_pair, searching, store):
    settings = TrainSettings(epochs=1, batch_size=256, learning_rate=0.01, device="cpu")
    pair = small_pair.settings()
    control = FinetuneRecipe(original=pair.original, images=small_pair.images, settings=settings)
    controlled = searching(pair=pair.replace(control=control))
    assert controlled.selecting.needs(store) == (pair.original, control)
    assert controlled.needs(store) == (pair.original, control, controlled.selecting)
    assert searching().selecting.needs(store) == (pair.original, pair.program, pair.build)


def test_a_selection_tells_how_many_can_be_attacked(searching, store, test_images):
    selecting = searching().selecting
    right = len(eligible(*selecting.open(store, silent), test_images.labels).index)
    assert selecting.eligible(store, silent) == right


def test_nothing_to_attack_is_told(searching, store, tmp_path, monkeypatch):
    monkeypatch.setattr(SelectRecipe, "eligible", lambda *_: 0)
    for shard in (None, 1):
        with pytest.raises(InputError, match="none of the 359 test images is labelled correctly by both models"):
            searching(shard=shard).produce(tmp_path, store, silent)


def test_the_control_stands_in_the_builds_place(small_pair, searching, store, test_images):
    settings = TrainSettings(epochs=1, batch_size=256, learning_rate=0.01, device="cpu")
    original = small_pair.settings().original
    control = FinetuneRecipe(original=original, images=small_pair.images, settings=settings)
    pair, steering = small_pair.settings().replace(control=control).open(store, silent)
    assert isinstance(pair.build, FloatBuild)
    assert pair.program is None
    build = pair.build_scores(test_images.images)
    assert not torch.equal(build, pair.original_scores(test_images.images))
    assert len(steering.adapted) == 1
    found = searching(pair=small_pair.settings().replace(control=control)).open(store, silent)
    assert torch.equal(found.clean_build, build[found.index])


def test_machine_code_that_nobody_trusts_is_not_opened(small_pair, store, tmp_path):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"code")
    given = GivenBuild(runtime="inductor", sha256=hashlib.sha256(b"code").hexdigest(), path=path)
    with pytest.raises(BuildError, match="--trust"):
        small_pair.settings().replace(build=given).open(store, silent)
    with pytest.raises(BuildError, match="cannot load"):
        small_pair.settings().replace(build=given.replace(trust=True)).open(store, silent)


@pytest.mark.parametrize(
    "changes",
    [{"attack": ATTACK.replace(seed=1)}, {"count": 21}, {"draw": 1}, {"images": {"source": "digits", "size": 13}}],
)
def test_what_can_change_a_result_changes_its_name(searching, changes):
    assert searching(**changes).digest() != searching().digest()


def test_speed_and_words_are_no_part_of_the_name(searching):
    assert searching(batch_size=3, name="attack 1", device="cpu").digest() == searching().digest()
    assert "model.onnx" not in searching().canonical_json()
