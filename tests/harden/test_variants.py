"""Which victims are compared: what each is made of, and what its thief is asked to steal."""

import math
from pathlib import Path

import pytest
import torch

from edgerift import zoo
from edgerift.adapt import (
    Allowance,
    Divqat,
    GivenOriginal,
    LabelSmoothing,
    MisleadingTargets,
    QatSettings,
    Search,
    Trial,
    flip_alpha,
)
from edgerift.defend import AdaptiveMisinformation, Deception, ReverseSigmoid, defended
from edgerift.deploy import BuildRecipe
from edgerift.errors import RecipeError
from edgerift.extract import Knockoff, QuerySettings
from edgerift.harden import PAPER_VARIANTS, VARIANTS, HardenRecipe, MadeVariant, paper_row, variant_of
from edgerift.harden._verdict import _appears
from edgerift.images import ImagesSettings, open_splits, resolve
from edgerift.steps import Recipe, Store, silent
from edgerift.train import TrainRecipe, TrainSettings

IMAGES = ImagesSettings(size=12)
ORIGINAL = TrainRecipe(
    images=IMAGES,
    architecture=zoo.Architecture(name="lenet", classes=10, size=12),
    settings=TrainSettings(epochs=1),
)


def harden(**fields: object) -> HardenRecipe:
    queries = QuerySettings(images=IMAGES, collages=32)
    return HardenRecipe.model_validate({"original": ORIGINAL, "images": IMAGES, "queries": queries, **fields})


@pytest.mark.parametrize(
    ("row", "defence", "stage", "l1", "high"),
    [
        ("divqat", Divqat(), "quantized", 0.6, 2.0),
        ("divqat+rs", Divqat(), "quantized", 0.3, 2.0),
        ("divqat+dcp", Divqat(), "quantized", 0.3, 2.0),
        ("float", Divqat(), "float", 0.6, 2.0),
        ("nasty", Divqat(temperature=4.0), "quantized", 0.6, 2.0),
        ("smoothing", LabelSmoothing(), "quantized", 0.6, 0.9),
        ("mislead", MisleadingTargets(), "quantized", 0.6, 1.2),
    ],
)
def test_what_is_searched_for(row: str, defence: object, stage: str, l1: float, high: float) -> None:
    found = harden().victims.tuned(row)
    assert found is not None
    assert (found.hardened.defence, found.hardened.stage) == (defence, stage)
    assert (found.allowance.l1, found.allowance.high) == (pytest.approx(l1), high)


def test_output_defences_get_the_fields_that_are_given_by_name() -> None:
    given = harden(answers=(("reverse-sigmoid", (("gamma", 0.1),)),))
    assert given.victims.choosing("rs")[-1].fields == (("gamma", 0.1),)
    assert given.victims.choosing("dcp") == harden().victims.choosing("dcp")
    assert "fields" not in harden().victims.choosing("rs")[-1].canonical_json()
    assert '"answers"' not in harden().canonical_json()
    assert len({given, harden()}) == 2
    with pytest.raises(RecipeError, match="unknown field 'gama'"):
        harden(answers=(("reverse-sigmoid", (("gama", 0.1),)),)).victims.choosing("rs")


def test_defences_that_look_at_images_get_their_network() -> None:
    victims = harden().victims
    random, kept, original, wrong = (victims.choosing(row)[-1] for row in ("mad", "mad-argmax", "grad2", "am"))
    assert (random.network, kept.network, original.network) == (None, None, ORIGINAL)
    assert (random.defence, random.fields) == ("mad", ())
    assert (kept.defence, kept.fields) == ("mad", (("keeps", "argmax"),))
    assert isinstance(wrong.network, Recipe)
    assert wrong.network.inputs() == (ORIGINAL,)
    assert "network" not in victims.choosing("rs")[-1].canonical_json()
    # A field that is given goes before the variant's own.
    given = harden(answers=(("mad", (("keeps", "nothing"), ("seed", 3))),)).victims
    assert given.choosing("mad-argmax")[-1].fields == (("keeps", "nothing"), ("seed", 3))


def test_a_misleading_network_is_wrong_and_goes_with_its_defence(tmp_path: Path) -> None:
    described = resolve(IMAGES)
    original = ORIGINAL.replace(images=described, settings=TrainSettings(epochs=20, learning_rate=0.05, batch_size=32))
    store = Store(tmp_path)
    step = harden(original=original, images=described).victims.choosing("am")[-1].network
    folder = store.get(step, silent)
    defence = AdaptiveMisinformation(misleading=str(folder / "misleading.safetensors"), threshold=2.0)
    test = open_splits(described).test
    right = torch.zeros(len(test), 10).scatter(1, test.labels[:, None], 1.0)
    given = defended(right, (defence,), test.images)
    # At this threshold all answers are the network's, which is wrong more often than chance.
    assert float((given.argmax(1) == test.labels).double().mean()) < 0.05
    assert defence.network_bytes(10, test.shape) == (folder / "misleading.safetensors").stat().st_size


@pytest.mark.parametrize("row", ["large", "ptq", "qat", "rs", "dcp", "noise", "mad", "mad-argmax", "grad2", "am"])
def test_what_needs_no_search(row: str) -> None:
    assert harden().victims.tuned(row) is None


def test_the_held_form_turns_its_hinge() -> None:
    found = harden().victims.tuned("held")
    assert found is not None
    defence = found.at(0.5)
    assert defence.defence.hinge == 0.5
    assert defence.defence.alpha == found.hardened.defence.alpha > 0


@pytest.mark.parametrize("name", ["divqat", "held", "mislead", "nasty", "float", "smoothing"])
@pytest.mark.parametrize("strength", [0.125, 0.75])
def test_a_training_is_known_by_its_variant_at_any_strength(name: str, strength: float) -> None:
    search = harden().victims.tuned(name)
    assert search is not None
    hardened = search.hardened.replace(defence=search.hardened.defence.with_strength(strength))
    assert variant_of(hardened) is VARIANTS[name]


@pytest.mark.parametrize(
    ("defence", "stage"),
    [(Divqat(gate=0.1), "quantized"), (Divqat(temperature=2.0), "quantized"), (LabelSmoothing(), "float")],
)
def test_a_training_that_no_variant_has_is_no_variant(defence: Divqat | LabelSmoothing, stage: str) -> None:
    assert variant_of(harden().victims.hardened(defence).replace(stage=stage)) is None


def test_an_alpha_that_is_given_is_not_searched_for() -> None:
    victims = harden(alpha=0.4).victims
    assert victims.tuned("divqat") is None
    assert victims.tuned("divqat+rs") is None
    assert victims.tuned("float") is not None


def test_every_row_of_the_paper_is_known_and_in_its_order() -> None:
    assert [row for row in VARIANTS.names() if row in PAPER_VARIANTS] == list(PAPER_VARIANTS)


@pytest.mark.parametrize(
    ("data", "row", "defender", "adversary"),
    [
        ("cifar10", "large", 16.37, 20.56),
        ("cifar10", "divqat", 20.03, 23.52),
        ("cifar100", "dcp", 36.35, 65.28),
        ("gtsrb", "divqat+dcp", 6.96, 59.36),
        ("svhn", "divqat+rs", 6.62, 13.15),
    ],
)
def test_figures_of_the_paper(data: str, row: str, defender: float, adversary: float) -> None:
    found = paper_row(data, row)
    assert found is not None
    assert (found.defender_error, found.adversary_error) == pytest.approx((defender / 100, adversary / 100))


@pytest.mark.parametrize(
    ("data", "row", "defender", "adversary"),
    [
        ("cifar10", "qat", 15.51, 21.37),
        ("cifar10", "divqat", 18.86, 24.12),
        ("cifar100", "qat", 36.37, 58.97),
        ("cifar100", "divqat", 37.60, 61.88),
        ("gtsrb", "qat", 7.28, 51.65),
        ("gtsrb", "divqat", 6.62, 53.55),
        ("svhn", "qat", 5.74, 9.22),
        ("svhn", "divqat", 9.37, 14.92),
    ],
)
def test_figures_of_the_paper_for_the_other_target(data: str, row: str, defender: float, adversary: float) -> None:
    found = paper_row(data, row, "mobile")
    assert found is not None
    assert (found.defender_error, found.adversary_error) == pytest.approx((defender / 100, adversary / 100))


@pytest.mark.parametrize(("data", "row"), [("digits", "qat"), ("cifar10", "mislead")])
def test_the_paper_prints_nothing_elsewhere(data: str, row: str) -> None:
    assert paper_row(data, row) is None
    assert paper_row(data, row, "mobile") is None
    assert paper_row("cifar10", "rs", "mobile") is None


@pytest.mark.parametrize("keeps", [True, False])
def test_a_thief_of_labels_sees_only_what_changes_labels(keeps: bool) -> None:
    recipe = harden(attack=Knockoff(student="lenet"))
    victim = BuildRecipe(program=recipe.victims.adapted("qat"), runtime="executorch")
    defence = ReverseSigmoid(beta=0.1) if keeps else Deception(beta=0.9)
    plain = MadeVariant(name="qat", title="", victim=victim)
    defended = MadeVariant(name="rs", title="", victim=victim, defences=(defence,), keeps_labels=keeps)
    assert (recipe.stealing(defended, "hard").digest() == recipe.stealing(plain, "hard").digest()) is keeps
    assert recipe.stealing(defended, "soft").digest() != recipe.stealing(plain, "soft").digest()
    assert recipe.stealing(plain, "soft").attack == Knockoff(student="lenet", labels="soft")


def test_another_seed_moves_the_training_alone() -> None:
    victims = harden(settings=QatSettings(train=TrainSettings(seed=4))).victims
    first, second = victims.adapted("qat"), victims.adapted("qat", 1)
    assert (first.settings.train.seed, second.settings.train.seed) == (4, 5)
    assert second.replace(settings=first.settings) == first


@pytest.mark.parametrize("margin", [4.0, 10.0, 17.6, 30.0])
def test_where_theory_puts_the_poisoned_optimum(margin: float) -> None:
    alpha = _appears(margin)
    assert 1 + 1 / alpha - math.log(alpha) == pytest.approx(margin)
    assert flip_alpha(margin) == 2 / margin


def test_given_originals_are_taken() -> None:
    given = GivenOriginal(sha256="0" * 64, path="somewhere.safetensors")
    assert harden(original=given).victims.adapted("ptq").original == given


def trial(strength: float, l1: float, allowed: bool) -> Trial:
    return Trial(
        strength=strength, l1=l1, divergence=0.0, accuracy=0.9, changed=0.0, top1=0.9, top2=0.1, allowed=allowed
    )


def search(chosen: float | None, *trials: Trial) -> Search:
    beyond = any(found.strength == chosen and found.l1 > 0.1 for found in trials)
    return Search(
        allowance=Allowance(), reference_accuracy=0.9, floor=0.1, chosen=chosen, beyond_noise=beyond, trials=trials
    )


def test_the_noise_between_seeds_is_said() -> None:
    assert "no allowed setting beats the noise" in search(0.5, trial(0.5, 0.05, True)).verdict
    assert "two seeds differ by 0.100" in search(0.5, trial(0.5, 0.4, True)).verdict
