"""The victims that users bring to an oracle, and what they may answer and raise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from counted_victim import CountedVictim, distinct_images
from linear_pair import StandInBuild
from torch import Tensor, nn

from edgerift.defend import ReverseSigmoid, TopK
from edgerift.errors import BudgetError, InputError, ModelError, ProbabilitiesWarning
from edgerift.extract import Oracle, knockoff, posteriors
from edgerift.images import Augmentation, ImageSet
from edgerift.settings import Settings
from edgerift.train import TrainSettings

IMAGES = distinct_images(60)
FAST = TrainSettings(epochs=2, batch_size=16, learning_rate=0.1, device="cpu")
QUERIES = ImageSet(
    "queries", distinct_images(50, seed=3), torch.zeros(50, dtype=torch.int64), ("unknown",), "queries",
    augmentation=Augmentation(flip=True, crop=1),
)  # fmt: skip


def student(classes: int = 5) -> nn.Module:
    layer = nn.Linear(48, classes)
    layer.weight.data = torch.randn(classes, 48, generator=torch.Generator().manual_seed(0)) / 10
    layer.bias.data.zero_()
    return nn.Sequential(nn.Flatten(), layer)


class Soft(nn.Module):
    def __init__(self, end: nn.Module | None) -> None:
        super().__init__()
        self.inner, self.end = student(), end

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images) * 9
        return logits if self.end is None else self.end(logits)


@pytest.mark.parametrize("kind", ["function", "array", "build", "module"])
def test_a_softmax_at_the_end_changes_no_posterior_and_no_clone(kind: str) -> None:
    plain = CountedVictim()
    soft = {
        "function": plain.posteriors,
        "array": lambda images: plain.posteriors(images).numpy(),
        "build": StandInBuild(plain.posteriors),
        "module": Soft(nn.Softmax(1)),
    }[kind]
    reference = Soft(None) if kind == "module" else plain.logits
    expected = Oracle(reference, budget=60, defence=ReverseSigmoid(beta=0.3)).ask(IMAGES)
    with pytest.warns(ProbabilitiesWarning, match="the victim answers probabilities") as said:
        answers = Oracle(soft, budget=60, defence=ReverseSigmoid(beta=0.3)).ask(IMAGES)
    assert len(said) == 1
    with pytest.warns(ProbabilitiesWarning):
        clone = knockoff(Oracle(soft, budget=50), QUERIES, student(), training=FAST)
    with pytest.warns(ProbabilitiesWarning):
        known = posteriors(soft, IMAGES)
    torch.testing.assert_close(answers, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(known, posteriors(reference, IMAGES), atol=1e-5, rtol=1e-4)
    other = knockoff(Oracle(reference, budget=50), QUERIES, student(), training=FAST)
    for one, two in zip(clone.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-3)


def test_log_softmax_and_other_weights_are_logits() -> None:
    expected = Oracle(Soft(None), budget=60).ask(IMAGES)
    for victim in (Soft(nn.LogSoftmax(1)), Soft(None).double(), Soft(None).bfloat16()):
        torch.testing.assert_close(Oracle(victim, budget=60).ask(IMAGES), expected, atol=0.02, rtol=0.02)


def test_int8_probabilities_come_back_as_they_are_but_for_their_sum() -> None:
    grid = (CountedVictim().posteriors(IMAGES) * 256).round() / 256
    assert (grid.sum(1) != 1).any()
    with pytest.warns(ProbabilitiesWarning):
        answers = Oracle(lambda images: grid, budget=60).ask(IMAGES)
    torch.testing.assert_close(answers, grid / grid.sum(1, keepdim=True))


def test_a_victim_that_answers_labels_is_believed() -> None:
    labels = torch.eye(5)[CountedVictim().logits(IMAGES).argmax(1)]
    assert torch.equal(Oracle(lambda images: labels, budget=60).ask(IMAGES), labels)


def test_images_and_answers_may_be_arrays() -> None:
    victim = CountedVictim()
    oracle = Oracle(lambda images: victim.logits(images).numpy().tolist(), budget=60)
    assert torch.equal(oracle.ask(IMAGES.numpy()), victim.posteriors(IMAGES))
    assert torch.equal(posteriors(victim.logits, IMAGES.numpy()), victim.posteriors(IMAGES))
    with pytest.raises(InputError, match="an oracle needs uint8 images"):
        oracle.ask(np.zeros((2, 4, 4, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="images are a list; needed: a tensor or numpy array"):
        oracle.ask([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda images: None, "the victim answered None"),
        (lambda images: "cat", r"the victim answered a str|shape \[\]"),
        (lambda images: torch.zeros(3, 5), r"the victim answered 4 images with shape \[3, 5\]"),
        (lambda images: np.full((4, 5), np.nan), "with values that are not finite"),
        (lambda images: images.nothing, "the victim raised AttributeError: .* edgerift calls it with a uint8"),
        (lambda: None, "the victim raised TypeError"),
    ],
    ids=["none", "text", "count", "nan", "raises", "arguments"],
)
def test_a_broken_victim_is_told_in_one_line_and_costs_nothing(tmp_path: Path, answer, message: str) -> None:
    with Oracle(answer, budget=9, ledger=tmp_path / "ledger") as oracle:
        with pytest.raises(ModelError, match=message) as caught:
            oracle.ask(IMAGES[:4])
        assert oracle.spent == 0
    assert "\n" not in str(caught.value)


class Own(Settings):
    """A defence of a user's own, which goes wrong as it is told."""

    wrong: str
    keeps_argmax: bool = False

    def __call__(self, answers: Tensor) -> Tensor:
        return {"raises": lambda: answers[:, 99], "none": lambda: None, "shape": lambda: answers[:1]}[self.wrong]()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("raises", "defence Own raised IndexError: .* edgerift calls it with answers float32"),
        ("none", r"defence Own did not return float32 \[4, 5\]"),
        ("shape", r"defence Own did not return float32 \[4, 5\]"),
    ],
)
def test_a_broken_defence_is_told_in_one_line_and_costs_nothing(wrong: str, message: str) -> None:
    oracle = Oracle(CountedVictim(), budget=9, defence=(TopK(k=2), Own(wrong=wrong)))
    with pytest.raises(InputError, match=message):
        oracle.ask(IMAGES[:4])
    assert oracle.spent == 0


def test_a_function_is_no_defence() -> None:
    with pytest.raises(InputError, match=r"is not a defence; pass one of edgerift\.defend"):
        Oracle(CountedVictim(), budget=9, defence=lambda answers: answers)  # type: ignore[arg-type]


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("views", "expected"), [(1, 10), (3, 3)])
def test_a_second_theft_uses_what_is_left_also_when_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: int, expected: int
) -> None:
    monkeypatch.setattr("edgerift.extract._oracle.PART", 2)
    victim = CountedVictim()
    oracle = Oracle(victim, budget=50)
    oracle.ask(distinct_images(40, seed=77))
    whole = knockoff(oracle, QUERIES, student(), training=FAST, views=views)
    assert len(whole.questions) == expected
    assert oracle.spent <= 50
    assert oracle.spent > 50 - views
    left = [3]

    def kill(task: str, done: int, total: int, note: str = "") -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KilledError

    with Oracle(victim, budget=50, ledger=tmp_path / "ledger") as oracle:
        oracle.ask(distinct_images(40, seed=77))
        with pytest.raises(KilledError):
            knockoff(oracle, QUERIES, student(), training=FAST, views=views, progress=kill)
    with Oracle(victim, budget=50, ledger=tmp_path / "ledger") as oracle:
        assert 40 < oracle.spent < 50
        again = knockoff(oracle, QUERIES, student(), training=FAST, views=views)
    assert torch.equal(again.questions.images, whole.questions.images)
    assert torch.equal(again.answers, whole.answers)


def test_a_theft_of_what_is_known_costs_nothing_and_of_nothing_left_is_refused() -> None:
    oracle = Oracle(CountedVictim(), budget=20)
    first = knockoff(oracle, QUERIES, student(), training=FAST)
    again = knockoff(oracle, QUERIES, student(), training=FAST)
    assert torch.equal(first.questions.images, again.questions.images)
    assert oracle.spent == 20
    with pytest.raises(BudgetError, match="0 images are left of a budget of 20"):
        knockoff(oracle, QUERIES, student(), training=FAST, seed=5)


def test_an_oracle_asks_what_is_paid_for_and_no_more() -> None:
    asked = list[int]()

    def posteriors(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        return torch.tensor([[0.9, 0.1]]).repeat(len(images), 1)

    oracle = Oracle(posteriors, budget=1)
    with pytest.warns(ProbabilitiesWarning):
        answers = oracle.ask(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
    assert (asked, oracle.spent) == ([1], 1)
    torch.testing.assert_close(answers, torch.tensor([[0.9, 0.1]]))
