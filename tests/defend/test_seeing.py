"""Defences that look at the image: closed forms, independent references, and what holds for each of them."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from scipy.optimize import linprog
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import zoo
from edgerift.defend import (
    DEFENCES,
    AdaptiveMisinformation,
    Defence,
    GradientRedirection,
    Mad,
    Rounding,
    SeeingDefence,
    defended,
    sweep,
    tuned,
)
from edgerift.defend._surrogates import answers_of, fitting, surrogate_network
from edgerift.defend.defences._mad import _best, _grown, _sets_with_top
from edgerift.defend.defences._redirection import moved_mass, slopes_along_ones
from edgerift.errors import InputError

CLASSES = 4
IMAGES = torch.randint(256, (37, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
ANSWERS = (2 * torch.randn(37, CLASSES, generator=torch.Generator().manual_seed(4))).softmax(1)


@pytest.fixture(scope="module")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("networks") / "wrong.safetensors"
    zoo.save(zoo.create("lenet", classes=CLASSES, size=12, seed=1), path)
    return str(path)


def made(name: str, file: str, strength: float | None = None) -> SeeingDefence:
    fields: dict[str, Any] = {"misleading": file} if name == "adaptive-misinformation" else {"surrogate": file}
    if strength is not None:
        fields[DEFENCES[name].strength_field or ""] = strength
    found = DEFENCES[name](**fields)
    assert isinstance(found, SeeingDefence)
    return found


SEEING = [name for name, one in DEFENCES.items() if one.sees]
every = pytest.mark.parametrize("name", SEEING)


def test_these_see_the_images() -> None:
    assert SEEING == ["adaptive-misinformation", "gradient-redirection", "mad"]


@every
def test_answers_stay_on_the_simplex_and_within_the_distance(name: str, network_file: str) -> None:
    for strength in DEFENCES[name].grid:
        given = made(name, network_file, strength)(ANSWERS, IMAGES)
        assert given.dtype == torch.float32
        assert bool((given >= 0).all())
        assert float((given.double().sum(1) - 1).abs().max()) < 1e-6
        if name != "adaptive-misinformation":
            assert float((given.double() - ANSWERS.double()).abs().sum(1).max()) <= strength + 1e-6
    assert torch.equal(made(name, network_file, 0)(ANSWERS, IMAGES), ANSWERS)


@every
def test_an_answer_depends_on_its_own_image_alone_bit_by_bit(name: str, network_file: str) -> None:
    defence = made(name, network_file)
    together = defence(ANSWERS, IMAGES)
    order = torch.randperm(len(IMAGES), generator=torch.Generator().manual_seed(1))
    assert torch.equal(defence(ANSWERS[order], IMAGES[order]), together[order])
    for place in (0, 20, 36):
        one = slice(place, place + 1)
        assert torch.equal(defence(ANSWERS[one], IMAGES[one]), together[one])
    assert torch.equal(defence(ANSWERS, IMAGES), together)
    if name != "gradient-redirection":  # A network that was never trained ranks the classes alike for all noise.
        assert not torch.equal(defence(ANSWERS, IMAGES.flip(0)), together)


@every
def test_grey_levels_and_shares_are_the_same_image(name: str, network_file: str) -> None:
    defence = made(name, network_file)
    torch.testing.assert_close(defence(ANSWERS, IMAGES.float() / 255), defence(ANSWERS, IMAGES))


@every
def test_without_images_nothing_is_answered(name: str, network_file: str) -> None:
    defence = made(name, network_file)
    for images in (None, IMAGES[1:], IMAGES[0]):
        with pytest.raises(InputError, match=f"defence {name} looks at the images"):
            defence(ANSWERS, images)
    with pytest.raises(InputError, match="looks at the images"):
        defended(ANSWERS, [Rounding(), defence])
    assert defence(ANSWERS[:0], IMAGES[:0]).shape == (0, CLASSES)


@every
def test_a_chain_hands_the_images_on(name: str, network_file: str) -> None:
    defence, rounding = made(name, network_file), Rounding(decimals=1)
    chained = defended(ANSWERS, [rounding, defence], IMAGES)
    assert torch.equal(chained, defence(rounding(ANSWERS), IMAGES))


@every
def test_a_defence_comes_back_from_its_json_and_notices_another_file(name: str, network_file: str) -> None:
    defence, adapter = made(name, network_file), TypeAdapter[Defence](Defence)
    again = adapter.validate_json(adapter.dump_json(defence))
    assert again == defence
    assert len(again.model_dump()["sha256"]) == 64
    changed = defence.replace(sha256="0" * 64)
    with pytest.raises(InputError, match="has changed since the defence was made"):
        changed(ANSWERS, IMAGES)
    with pytest.raises(InputError, match="cannot read the network"):
        made(name, "none.safetensors")


@every
def test_a_sweep_grows_and_a_tuned_one_keeps_its_budget(name: str, network_file: str) -> None:
    field = {"misleading" if name == "adaptive-misinformation" else "surrogate": network_file}
    points = sweep(name, ANSWERS, ANSWERS.argmax(1), images=IMAGES, **field)
    distances = [point.l1 for point in points]
    assert distances[0] == 0
    assert distances == sorted(distances)
    found = tuned(name, ANSWERS, 0.25, images=IMAGES, **field)
    assert found is not None
    reached = defended(ANSWERS, [found], IMAGES)
    assert float((reached - ANSWERS).abs().sum(1).mean()) <= 0.25 + 1e-6


# MAD


def test_the_angle_of_gradients_is_that_of_answers() -> None:
    """The closed form against autograd, through the last layer's weight and its bias."""
    generator = torch.Generator().manual_seed(0)
    layer, features = nn.Linear(6, CLASSES).double(), torch.randn(6, generator=generator).double()
    seen = layer(features).softmax(0)
    before, after = (torch.randn(CLASSES, generator=generator).double().softmax(0) for _ in range(2))

    def gradient(answer: Tensor) -> Tensor:
        loss = -(answer * layer(features).log_softmax(0)).sum()
        return torch.cat([part.flatten() for part in torch.autograd.grad(loss, [layer.weight])])

    expected = 1 - F.cosine_similarity(gradient(before), gradient(after), dim=0)
    found = 1 - F.cosine_similarity(seen - before, seen - after, dim=0)
    torch.testing.assert_close(found, expected)


def angle(rows: Tensor, seen: Tensor, given: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(seen.double() - rows.double(), seen.double() - given.double(), dim=1)


def reached(row: Tensor, corner: Tensor, epsilon: float) -> Tensor:
    way = corner - row
    return row + min(1.0, epsilon / float(way.abs().sum())) * way


@pytest.mark.parametrize("epsilon", [0.3, 0.6, 1.9])
def test_mad_answers_the_best_corner(epsilon: float) -> None:
    network = surrogate_network("lenet", 2, "", CLASSES, IMAGES)
    seen = answers_of(network, fitting(network, IMAGES))
    given = Mad(epsilon=epsilon, surrogate="lenet", seed=2)(ANSWERS, IMAGES)
    for row, own, answer in zip(ANSWERS.double(), seen, given.double(), strict=True):
        tried = torch.stack([reached(row, corner, epsilon) for corner in torch.eye(CLASSES).double()])
        best = tried[angle(row.expand(CLASSES, -1), own.expand(CLASSES, -1), tried).argmax()]
        torch.testing.assert_close(answer, best, atol=1e-6, rtol=0)


@pytest.mark.parametrize("epsilon", [0.3, 0.6, 1.9])
def test_mad_that_keeps_the_label_answers_the_best_even_set(epsilon: float) -> None:
    network = surrogate_network("lenet", 2, "", CLASSES, IMAGES)
    seen = answers_of(network, fitting(network, IMAGES))
    given = Mad(epsilon=epsilon, surrogate="lenet", seed=2, keeps="argmax")(ANSWERS, IMAGES)
    assert torch.equal(given.argmax(1), ANSWERS.argmax(1))
    for row, own, answer in zip(ANSWERS.double(), seen, given.double(), strict=True):
        top = int(row.argmax())
        sets = [torch.tensor(bits).double() for bits in product((0, 1), repeat=CLASSES) if bits[top]]
        tried = torch.stack([reached(row, chosen / chosen.sum(), epsilon) for chosen in sets])
        best = tried[angle(row.expand(len(sets), -1), own.expand(len(sets), -1), tried).argmax()]
        found, wanted = (angle(row[None], own[None], given[None]) for given in (answer, best))
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_two_classes_by_hand() -> None:
    rows, seen = torch.tensor([[0.8, 0.2]]).double(), torch.tensor([[0.4, 0.6]]).double()
    answers, place, value = _best(rows, seen, torch.eye(2).double()[None], 1.0)
    # Towards the second class, half of the way in l1: beyond s, so the gradient turns round.
    torch.testing.assert_close(answers, torch.tensor([[0.3, 0.7]]).double())
    assert (int(place), float(value)) == (1, pytest.approx(2.0))


def test_a_surrogate_that_agrees_leaves_the_answer() -> None:
    rows = ANSWERS.double()
    assert torch.equal(_best(rows, rows, torch.eye(CLASSES).double().expand(len(rows), -1, -1), 1.0)[0], rows)


@pytest.mark.parametrize("classes", [2, 5, 12])
def test_the_label_stays_for_any_answers_and_distance(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    answers = (3 * torch.randn(150, classes, generator=generator)).softmax(1)
    answers[:50] = (answers[:50] * 8).round() + torch.eye(classes)[answers[:50].argmax(1)]
    answers /= answers.sum(1, keepdim=True)
    images = torch.randint(256, (150, 3, 12, 12), dtype=torch.uint8, generator=generator)
    for epsilon in (0.2, 2.0):
        given = Mad(epsilon=epsilon, surrogate="lenet", keeps="argmax")(answers, images)
        assert torch.equal(given.argmax(1), answers.argmax(1))


def test_a_set_that_grows_is_at_least_as_good_as_the_label_alone() -> None:
    generator = torch.Generator().manual_seed(7)
    rows, seen = (torch.randn(50, 8, generator=generator).double().softmax(1) for _ in range(2))
    alone = _best(rows, seen, torch.eye(8).double()[rows.argmax(1)][:, None], 0.6)[0]
    all_sets, grown = _best(rows, seen, _sets_with_top(rows), 0.6)[0], _grown(rows, seen, 0.6)
    found = [angle(rows, seen, given) for given in (alone, grown, all_sets)]
    assert bool((found[0] <= found[1] + 1e-12).all())
    assert bool((found[1] <= found[2] + 1e-12).all())
    assert float((found[1] / found[2]).mean()) > 0.9


# GRAD2


def test_moved_mass_is_the_optimum_of_the_linear_programme() -> None:
    generator = np.random.default_rng(0)
    for _ in range(30):
        classes, epsilon = int(generator.integers(2, 9)), float(generator.uniform(0, 2))
        row, slopes = generator.dirichlet(np.ones(classes)), generator.normal(size=classes)
        # The answer is y + up - down, with up and down at least 0.
        found = linprog(
            np.concatenate([-slopes, slopes]),
            A_ub=np.block([[np.zeros((classes, classes)), np.eye(classes)], [np.ones((1, 2 * classes))]]),
            b_ub=np.concatenate([row, [epsilon]]),
            A_eq=np.concatenate([np.ones(classes), -np.ones(classes)])[None],
            b_eq=[0.0],
        )
        moved = moved_mass(torch.from_numpy(row)[None], torch.from_numpy(slopes)[None], epsilon)[0].numpy()
        assert moved @ slopes == pytest.approx(row @ slopes - found.fun, abs=1e-9)
        assert np.abs(moved - row).sum() <= epsilon + 1e-12
        assert moved.sum() == pytest.approx(1)


def test_all_of_the_distance_makes_a_corner() -> None:
    moved = moved_mass(ANSWERS.double(), torch.tensor([[0.0, 3.0, 1.0, 2.0]]).double().expand(37, -1), 2.0)
    torch.testing.assert_close(moved, F.one_hot(torch.ones(37).long(), CLASSES).double(), atol=1e-6, rtol=0)


def test_slopes_are_those_of_two_backward_passes() -> None:
    network = zoo.from_architecture(zoo.Architecture(name="lenet", classes=CLASSES, size=12), seed=5).eval().double()
    images = fitting(network, IMAGES[:6]).double()
    slopes = slopes_along_ones(network, images)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    for place, image in enumerate(images):
        for number in range(CLASSES):
            log = network(image[None]).log_softmax(1)[0, number]
            expected = sum(part.sum() for part in torch.autograd.grad(log, list(network.parameters())))
            assert float(slopes[place, number]) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


def test_a_step_on_the_answer_goes_along_the_ones() -> None:
    """The thief's step, up the log-likelihood of its answers, gains more along the ones than on the clean answers."""
    defence = GradientRedirection(epsilon=1.0, surrogate="lenet", seed=5)
    network = surrogate_network("lenet", 5, "", CLASSES, IMAGES)
    copied = zoo.from_architecture(zoo.Architecture(name="lenet", classes=CLASSES, size=12), seed=5).eval()

    def along(answers: Tensor) -> float:
        copied.zero_grad()
        (answers * copied(fitting(network, IMAGES)).log_softmax(1)).sum(1).mean().backward()
        return float(sum(value.grad.sum() for value in copied.parameters() if value.grad is not None))

    assert along(defence(ANSWERS, IMAGES)) > along(ANSWERS) + 1


# Adaptive misinformation


def test_misinformation_mixes_by_the_sigmoid(network_file: str) -> None:
    wrong = answers_of(zoo.load(Path(network_file)), IMAGES.float() / 255)

    def given(**fields: float) -> Tensor:
        return AdaptiveMisinformation(misleading=network_file, **fields)(ANSWERS, IMAGES).double()

    top = float(ANSWERS[0].max())
    torch.testing.assert_close(given(threshold=2.0), wrong, atol=1e-6, rtol=0)
    even = given(threshold=top)[0]
    torch.testing.assert_close(even, (ANSWERS[0].double() + wrong[0]) / 2, atol=1e-4, rtol=0)
    share = torch.sigmoid(20 * (0.7 - ANSWERS.double().amax(1, keepdim=True)))
    expected = (1 - share) * ANSWERS.double() + share * wrong
    torch.testing.assert_close(given(threshold=0.7, sharpness=20.0), expected, atol=1e-6, rtol=0)
