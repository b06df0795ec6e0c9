"""Attacks of a user's own: described by name and digest, run only when trusted, checked and judged as any other."""

import json
import pickle
import sys
from pathlib import Path

import pytest
import torch
from linear_pair import image_set, margin_model, near_images, pair_of
from small_pair import SmallPair

from edgerift.audit import attack_part
from edgerift.errors import InputError, ModelError, RecipeError
from edgerift.evade import Attack, EvadeRecipe, Evasion, is_own, own_attack, preset, search
from edgerift.steps import Store, silent

FILE = Path(__file__).parents[1] / "helpers" / "own_attacks.py"
WEIGHT = torch.tensor([2, 2, 2, 2, 1, 1, 1, 1, -3, -3, -3, -3])
CLEAN = near_images(30, 2, seed=1)
BIAS = 0.5 - int((CLEAN.flatten(1).long() @ WEIGHT).float().quantile(0.2))
PAIR, STEERING = pair_of(margin_model(torch.zeros(12), 100_000.5), margin_model(WEIGHT, BIAS))


def run(name: str, **fields: int) -> Evasion:
    attack = own_attack(f"{FILE}:{name}", trust=True, **{"epsilon": 4, **fields})
    return search(PAIR, image_set(CLEAN), attack, steering=STEERING, batch_size=7)


def test_a_step_of_ones_own_finds_what_fgsm_finds() -> None:
    found, ours = run("corners"), search(PAIR, image_set(CLEAN), "fgsm", steering=STEERING, epsilon=4, stop="never")
    assert 0 < int(found.evasive.sum()) < len(found)
    assert torch.equal(found.images, ours.last)
    assert torch.equal(found.evasive, ours.evasive)
    assert not found.void.any()
    assert int(found.gradient_calls.sum()) == 0


def test_it_may_ask_the_build_and_the_same_seed_gives_the_same_images() -> None:
    state = torch.get_rng_state()
    first, again, other = run("best_of"), run("best_of"), run("best_of", seed=1)
    assert first.evasive.any()
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("too_far", r"own_attacks.py:too_far' leave the epsilon of 4 grey levels: \d+ of \d+ do, by up to 2"),
        ("of_another_shape", r"of_another_shape' answered shape \[7, 1, 2, 2\]; needed: .*\[7, 3, 2, 2\]"),
        ("of_nothing", "of_nothing' answered a NoneType"),
        ("outside", "outside' reach from .* floats are allowed from 0 to 1"),
        ("broken", r"broken' raised ValueError: two words; edgerift calls it as attack\(models, images"),
        ("of_two_arguments", "of_two_arguments' raised TypeError: .*; edgerift calls it as attack"),
    ],
)
def test_what_a_function_does_wrong_is_told_in_one_line(name: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as refused:
        run(name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        (f"{FILE}:corner", ModelError, "did you mean 'corners'"),
        (f"{FILE}:levels", ModelError, r"is a ndarray; it has to be a function: attack\(models"),
        ("nowhere.py:corners", InputError, "no Python file defines attack 'nowhere.py:corners'"),
        ("no_such_package.attacks:corners", InputError, "no Python file defines"),
        (f"{FILE}:", InputError, "write path/file.py:function, or module:function"),
    ],
)
def test_a_name_without_a_function_is_refused_before_any_search(name: str, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        own_attack(name, trust=True)


def test_code_runs_only_when_it_is_trusted(tmp_path: Path) -> None:
    file, trace = tmp_path / "marked.py", tmp_path / "ran"
    file.write_text(
        f"import pathlib\npathlib.Path({str(trace)!r}).touch()\ndef attack(*given, **rest): return given[1]\n"
    )
    described = own_attack(f"{file}:attack")
    with pytest.raises(InputError, match="pass trust=True"):
        search(PAIR, image_set(CLEAN), described, steering=STEERING)
    again = Attack.model_validate_json(own_attack(f"{file}:attack", trust=True).model_dump_json())
    trace.unlink()
    with pytest.raises(InputError, match="pass trust=True"):
        search(PAIR, image_set(CLEAN), again, steering=STEERING)
    assert not trace.exists()


def test_no_text_can_say_that_code_is_trusted() -> None:
    described = own_attack(f"{FILE}:corners", trust=True)
    assert described.own is not None
    assert pickle.loads(pickle.dumps(described)).own.trusted
    assert described.replace(epsilon=3).own.trusted  # type: ignore[union-attr]
    assert not Attack.model_validate_json(described.model_dump_json()).own.trusted  # type: ignore[union-attr]
    for field in ("trust", "trusted", "_trusted"):
        text = json.dumps({"own": {"name": described.own.name, "sha256": described.own.sha256, field: True}})
        with pytest.raises(RecipeError):
            Attack.model_validate_json(text)


def test_a_description_names_the_file_s_content_and_a_changed_file_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_bytes(FILE.read_bytes())
    first = own_attack(f"{file}:corners", trust=True, epsilon=4)
    file.write_bytes(FILE.read_bytes() + b"# more\n")
    assert own_attack(f"{file}:corners").model_dump_json() != first.model_dump_json()
    with pytest.raises(InputError, match=r"mine.py:corners' has changed since"):
        search(PAIR, image_set(CLEAN), first, steering=STEERING)


def test_a_module_is_found_by_name_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "own_package_of_attacks"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError\n")
    (package / "steps.py").write_bytes(FILE.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    described = own_attack("own_package_of_attacks.steps:corners")
    assert described.own is not None
    assert described.own.sha256 == own_attack(f"{FILE}:corners").own.sha256  # type: ignore[union-attr]
    assert "own_package_of_attacks" not in sys.modules


def test_attacks_of_edgerift_keep_their_descriptions() -> None:
    assert "own" not in preset("default").model_dump_json()
    assert [is_own(name) for name in ("default", "mine:attack", "mine.py:attack")] == [False, True, True]


def test_a_stored_search_is_opened_without_trust_and_its_costs_are_not_known(
    small_pair: SmallPair, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    settings = {"pair": small_pair.settings(), "images": small_pair.images, "count": 30}
    trusted = own_attack(f"{FILE}:pursue", trust=True, epsilon=24)
    found = EvadeRecipe(**settings, attack=trusted).open(store, silent)
    again = EvadeRecipe(**settings, attack=own_attack(f"{FILE}:pursue", epsilon=24)).open(store, silent)
    assert found.evasive.any()
    assert torch.equal(found.images, again.images)
    part = attack_part(again)
    assert part.evasive.successes == int(found.evasive.sum())
    assert (part.gradient_calls, part.build_questions, part.steps) == (None, None, None)
    assert part.linf is not None
    assert part.linf <= 24
