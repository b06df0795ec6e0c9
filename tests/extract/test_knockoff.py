"""What a clone is trained on, by hand; that nothing else decides it; and that true labels make plain training of it."""

import contextlib
import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from counted_victim import CountedVictim, distinct_images
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import zoo
from edgerift.defend import Defence, LabelOnly, ReverseSigmoid, TopK
from edgerift.errors import BudgetError, InputError, ModelError, RecipeError
from edgerift.extract import Clone, Knockoff, Oracle, image_keys, knockoff, learn_inversion
from edgerift.images import Augmentation, ImageSet, load
from edgerift.train import TrainSettings, fit, run

FAST = TrainSettings(epochs=2, batch_size=16, learning_rate=0.05, device="cpu")
QUERIES = ImageSet(
    "queries",
    distinct_images(50),
    torch.zeros(50, dtype=torch.int64),
    ("unknown",),
    "queries",
    augmentation=Augmentation(flip=True, crop=1),
)
CLASSES = 5


def student() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, CLASSES))
    with torch.no_grad():
        model[1].weight.copy_(torch.arange(48 * CLASSES).reshape(CLASSES, 48).sin() / 10)
        model[1].bias.zero_()
    return model


def steal(budget: int = 50, defence: Defence | tuple[Defence, ...] = (), **options: Any) -> Clone:
    fields = {"training": FAST, **options}
    oracle = Oracle(CountedVictim(CLASSES), budget=budget, defence=defence)
    return knockoff(oracle, QUERIES, fields.pop("model", None) or student(), **fields)


def measured_on(count: int = 20, classes: int = CLASSES, size: int = 4) -> ImageSet:
    images = distinct_images(count, size, seed=9)
    labels = CountedVictim(classes, size).logits(images).argmax(1)
    return ImageSet("test", images, labels, tuple(f"class {number}" for number in range(classes)), "test")


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def places(clone: Clone) -> list[int]:
    return [int(number) for number in clone.questions.images[:, 0, 0, 0]]


def test_the_defaults_are_the_papers_but_for_the_rate() -> None:
    settings = Knockoff()
    training = settings.training
    assert (training.learning_rate, training.momentum, training.nesterov) == (0.05, 0.9, True)
    assert (training.weight_decay, training.schedule, training.epochs, training.batch_size) == (5e-4, "cosine", 50, 64)
    assert (settings.labels, settings.top_k, settings.views, settings.smoothing, settings.undo) == (
        "soft",
        None,
        1,
        0,
        (),
    )
    assert training.label_smoothing == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
        ({"labels": "hard"}, [1, 0, 0, 0]),
        ({"top_k": 2}, [2 / 3, 1 / 3, 0, 0]),
        ({"top_k": 3}, [4 / 7, 2 / 7, 1 / 7, 0]),
        ({"top_k": 4}, [8 / 15, 4 / 15, 2 / 15, 1 / 15]),
        ({"smoothing": 0.4}, [0.42, 0.26, 0.18, 0.14]),
        ({"top_k": 2, "smoothing": 0.1}, [0.625, 0.325, 0.025, 0.025]),
        ({"labels": "hard", "smoothing": 0.2}, [0.85, 0.05, 0.05, 0.05]),
        ({"labels": "hard", "top_k": 3}, [1, 0, 0, 0]),
        ({"defence": TopK(k=2, renormalise=False)}, [2 / 3, 1 / 3, 0, 0]),
        ({"defence": TopK(k=2, renormalise=False), "smoothing": 0.1}, [0.625, 0.325, 0.025, 0.025]),
        ({"defence": TopK(k=2, renormalise=False), "labels": "hard"}, [1, 0, 0, 0]),
        ({"defence": LabelOnly()}, [1, 0, 0, 0]),
    ],
    ids=str,
)
def test_what_a_clone_is_trained_on(options: dict[str, Any], expected: list[float]) -> None:
    """A victim that answers 8, 4, 2 and 1 fifteenths, in an order that depends on the image."""
    row = torch.tensor([8.0, 4.0, 2.0, 1.0]).log()

    def victim(images: Tensor) -> Tensor:
        return torch.stack([row.roll(int(image[0, 0, 0]) % 4) for image in images])

    oracle = Oracle(victim, budget=50, defence=options.pop("defence", ()))
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    before = copy.deepcopy(model)
    clone = knockoff(oracle, QUERIES, model, training=FAST, seed=3, **options)
    rolled = torch.stack([torch.tensor(expected, dtype=torch.float32).roll(place % 4) for place in places(clone)])
    assert clone.answers.dtype == torch.float32
    assert torch.allclose(clone.answers, rolled, atol=1e-6)

    def soft(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return -(targets * model(images).log_softmax(1)).sum(1).mean()

    alone = replace(clone.questions, labels=rolled.argmax(1), classes=tuple("abcd"))
    run(before, alone, None, FAST.replace(seed=3), loss=soft, targets=rolled)
    for one, other in zip(clone.model.parameters(), before.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert clone.model is model
    assert not clone.model.training


@pytest.mark.parametrize("defence", [(), ReverseSigmoid(beta=0.3)])
def test_undefended_answers_reach_the_clone_bit_by_bit(defence: tuple[Defence, ...] | Defence) -> None:
    clone = steal(defence=defence)
    expected = CountedVictim(CLASSES).posteriors(clone.questions.images)
    assert torch.equal(clone.answers, expected if defence == () else defence(expected))  # type: ignore[operator]


def test_the_seed_draws_the_questions() -> None:
    first, again, other = (places(steal(budget=20, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == len(set(other)) == 20
    assert set(first) != set(other)
    assert first != sorted(first)
    assert places(steal(budget=30, seed=1))[:20] == first


@pytest.mark.parametrize(
    ("budget", "views", "images"), [(7, 1, 7), (50, 1, 50), (900, 1, 50), (41, 4, 10), (43, 4, 10)]
)
def test_asking_stops_at_the_end_of_the_budget_or_of_the_set(budget: int, views: int, images: int) -> None:
    victim = CountedVictim(CLASSES)
    oracle = Oracle(victim, budget=budget)
    clone = knockoff(oracle, QUERIES, student(), views=views, training=FAST)
    assert len(clone.questions) == len(clone.answers) == images
    assert oracle.spent == len(victim.asked) <= min(budget, images * views)
    assert set(victim.asked.values()) == {1}


def test_views_are_averaged_and_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []
    true = Oracle.ask

    def watch(self: Oracle, images: Tensor, *rest: Any) -> Tensor:
        asked.append(images)
        return true(self, images, *rest)

    monkeypatch.setattr(Oracle, "ask", watch)
    clone = steal(budget=200, views=4)
    assert len(asked) == 4
    assert torch.equal(asked[0], clone.questions.images)
    padded = F.pad(clone.questions.images, (1, 1, 1, 1))
    windows = [padded[:, :, top : top + 4, left : left + 4] for top in range(3) for left in range(3)]
    allowed = torch.stack([*windows, *(window.flip(3) for window in windows)])
    for view in asked[1:]:
        assert (allowed == view).flatten(2).all(2).any(0).all()
        assert not torch.equal(view, asked[0])
    assert len({key for view in asked[1:] for key in image_keys(view)}) > 100
    expected = torch.stack([CountedVictim(CLASSES).posteriors(view) for view in asked]).double().mean(0)
    assert torch.allclose(clone.answers.double(), expected, atol=1e-7)


def test_each_views_answer_is_undone_before_they_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []
    true = Oracle.ask

    def watch(self: Oracle, images: Tensor, *rest: Any) -> Tensor:
        asked.append(true(self, images, *rest))
        return asked[-1]

    monkeypatch.setattr(Oracle, "ask", watch)
    monkeypatch.setattr("edgerift.extract._inversion._STEPS", 60)
    defence = ReverseSigmoid(beta=0.9)
    clone = steal(budget=100, views=2, defence=defence, undo=(defence,), seed=5, labels="soft")
    invert = learn_inversion([defence], CLASSES, seed=5)
    expected = (invert(asked[0]).double() + invert(asked[1]).double()) / 2
    assert torch.allclose(clone.answers.double(), expected, atol=1e-6)
    clean = CountedVictim(CLASSES).posteriors(clone.questions.images)
    assert (asked[0] - clean).abs().sum(1).mean() > 0.1


def test_undoing_comes_before_cutting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgerift.extract._inversion._STEPS", 60)
    defence = ReverseSigmoid(beta=0.9)
    clone = steal(defence=defence, undo=(defence,), labels="hard", seed=5)
    defended = defence(CountedVictim(CLASSES).posteriors(clone.questions.images))
    expected = learn_inversion([defence], CLASSES, seed=5)(defended).argmax(1)
    assert torch.equal(clone.answers, F.one_hot(expected, CLASSES).float())


def test_what_is_measured_on_the_way_decides_nothing() -> None:
    alone, watched = steal(), steal(measured_on=measured_on())
    assert same_weights(alone.model, watched.model)
    assert torch.equal(alone.answers, watched.answers)
    assert alone.best_epoch() is None
    assert all(epoch.validation_accuracy is None for epoch in alone.history.epochs)
    accuracies = [epoch.validation_accuracy for epoch in watched.history.epochs]
    test = measured_on()
    with torch.no_grad():
        right = (watched.model(test.images / 255).argmax(1) == test.labels).float().mean()
    assert accuracies[-1] == pytest.approx(float(right))


@pytest.mark.parametrize(
    ("accuracies", "best"), [([0.1, 0.7, 0.3], (2, 0.7)), ([0.7, 0.2, 0.7], (1, 0.7)), ([0.0], (1, 0.0))]
)
def test_the_best_epoch_is_the_first_of_the_most_accurate(accuracies: list[float], best: tuple[int, float]) -> None:
    clone = steal(measured_on=measured_on())
    epoch = clone.history.epochs[0]
    history = replace(clone.history, epochs=tuple(replace(epoch, validation_accuracy=value) for value in accuracies))
    assert clone._replace(history=history).best_epoch() == best


def test_a_seed_decides_the_clone_and_another_makes_another() -> None:
    queries = replace(QUERIES, images=distinct_images(50, 12))

    def make(**options: Any) -> nn.Module:
        oracle = Oracle(CountedVictim(CLASSES, 12), budget=50)
        return knockoff(oracle, queries, **{"student": "lenet", "training": FAST, "seed": 1, **options}).model

    first = make()
    assert isinstance(first, zoo.Classifier)
    assert (first.architecture.name, first.architecture.classes, first.architecture.size) == ("lenet", CLASSES, 12)
    torch.manual_seed(5)
    for again in (
        make(),
        make(training=FAST.replace(seed=77)),
        make(student=None, settings=Knockoff(student="lenet", training=FAST, seed=1)),
        make(student="lenet", settings=Knockoff(student="resnet8", training=FAST, seed=1)),
        make(training=FAST.replace(epochs=9), epochs=2),
    ):
        assert same_weights(first, again)
    for other in (make(seed=2), make(epochs=3), make(learning_rate=0.01), make(labels="hard")):
        assert not same_weights(first, other)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("point", [1, 2, 3, 6, 8, 10])
def test_a_killed_theft_ends_with_the_same_weights_and_pays_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: int, point: int
) -> None:
    """Killed while it asks, in parts of 16, or while it trains, in 4 steps an epoch; twice over."""
    monkeypatch.setattr("edgerift.extract._oracle.PART", 16)
    whole = steal(budget=150, views=views, measured_on=measured_on(), epochs=3)
    victim = CountedVictim(CLASSES)

    def go(limit: int | None) -> Clone:
        left = [limit]

        def kill(task: str, done: int, total: int, note: str = "") -> None:
            if left[0] is not None:
                left[0] -= 1
                if left[0] == 0:
                    raise KilledError

        with Oracle(victim, budget=150, ledger=tmp_path / "ledger") as oracle:
            return knockoff(
                oracle,
                QUERIES,
                student(),
                settings=Knockoff(training=FAST, views=views),
                measured_on=measured_on(),
                checkpoint=tmp_path / "checkpoint",
                progress=kill,
                epochs=3,
            )

    with pytest.raises(KilledError):
        go(point)
    with contextlib.suppress(KilledError):
        go(point)
    clone = go(None)
    assert same_weights(clone.model, whole.model)
    assert clone.history == whole.history
    assert torch.equal(clone.answers, whole.answers)
    assert set(victim.asked.values()) == {1}


def test_a_clone_trained_on_the_true_labels_is_plain_training() -> None:
    """The victim knows each image's label and is certain; the budget has no end."""
    train, test = load("digits", size=12)
    known = dict(zip(image_keys(train.images), train.labels.tolist(), strict=True))

    def victim(images: Tensor) -> Tensor:
        labels = torch.tensor([known[key] for key in image_keys(images)])
        return F.one_hot(labels, 10) * 1e6

    settings = TrainSettings(epochs=6, batch_size=32, learning_rate=0.05, device="cpu", seed=3)
    oracle = Oracle(victim, budget=10**9)
    clone = knockoff(oracle, train, "lenet", training=settings, seed=3, measured_on=test)
    assert torch.equal(clone.answers, F.one_hot(clone.questions.labels, 10).float())
    assert oracle.spent == len(set(known)) >= len(train) - 5
    made = zoo.Architecture(name="lenet", classes=10, size=12)
    same_order = fit(zoo.from_architecture(made, seed=3), clone.questions, None, settings=settings)
    for one, other in zip(clone.model.parameters(), same_order.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    plain = fit(zoo.from_architecture(made, seed=3), train, None, settings=settings)
    accuracies = []
    for model in (clone.model, plain):
        with torch.no_grad():
            accuracies.append(float((model(test.images / 255).argmax(1) == test.labels).float().mean()))
    assert min(accuracies) > 0.9
    assert abs(accuracies[0] - accuracies[1]) < 0.03
    assert accuracies[0] == pytest.approx(clone.history.epochs[-1].validation_accuracy)


def test_a_soft_clone_of_a_linear_victim_answers_as_it_does() -> None:
    images = distinct_images(400)
    queries = ImageSet("queries", images, torch.zeros(400, dtype=torch.int64), ("unknown",), "queries")
    victim = CountedVictim(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    training = TrainSettings(epochs=60, batch_size=20, learning_rate=0.5, weight_decay=0, device="cpu")
    clone = knockoff(Oracle(victim, budget=400), queries, model, training=training)
    fresh = distinct_images(100, seed=5)
    with torch.no_grad():
        stolen = clone.model(fresh / 255).softmax(1)
    assert (stolen - victim.posteriors(fresh)).abs().sum(1).mean() < 0.2


def test_what_a_thief_cannot_do() -> None:
    victim = CountedVictim(CLASSES)
    oracle = Oracle(victim, budget=3)
    with pytest.raises(InputError, match="a budget of 3 and 50 images with 4 views each: nothing to query"):
        knockoff(oracle, QUERIES, student(), views=4)
    plain = replace(QUERIES, augmentation=Augmentation())
    with pytest.raises(InputError, match="allows no mirroring or shifting, so 3 views would be the same"):
        knockoff(oracle, plain, student(), views=3)
    with pytest.raises(InputError, match="queries of 3x4x4 and images to measure on of 3x8x8"):
        knockoff(oracle, QUERIES, student(), measured_on=measured_on(size=8))
    with pytest.raises(RecipeError, match="unknown field 'epoch'; did you mean 'epochs'"):
        knockoff(oracle, QUERIES, student(), epoch=3)
    with pytest.raises(RecipeError, match="views"):
        knockoff(oracle, QUERIES, student(), views=0)
    with pytest.raises(RecipeError, match="size is 4; it is not allowed: height and width"):
        knockoff(oracle, QUERIES, "lenet")
    with pytest.raises(ModelError, match="did you mean 'resnet8'"):
        knockoff(oracle, replace(QUERIES, images=distinct_images(50, 12)), "resnet-8")
    assert not victim.asked
    with pytest.raises(InputError, match="the victim answers 5 classes, the images to measure on have 6"):
        knockoff(oracle, QUERIES, student(), measured_on=measured_on(classes=6))
    with pytest.raises(RecipeError, match="top_k is 6; the victim answers 5 classes"):
        knockoff(oracle, QUERIES, student(), top_k=6)
    with pytest.raises(BudgetError):
        knockoff(oracle, QUERIES, student(), seed=1)
    assert len(victim.asked) == 3


def test_a_frame_has_one_row_for_each_epoch() -> None:
    frame = steal(measured_on=measured_on()).frame()
    clone = steal(measured_on=measured_on())
    best = clone.best_epoch()
    assert list(frame.columns) == ["epoch", "train_loss", "validation_loss", "validation_accuracy", "learning_rate"]
    assert frame.epoch.tolist() == [1, 2]
    assert frame.train_loss.tolist() == [epoch.train_loss for epoch in clone.history.epochs]
    assert best is not None
    assert frame.set_index("epoch").validation_accuracy[best[0]] == best[1] == frame.validation_accuracy.max()
    assert steal().frame().validation_accuracy.isna().all()
