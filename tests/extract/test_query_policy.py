"""Jacobian-based augmentation: each step by hand, what it costs, and that a killed run pays for nothing twice."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from counted_victim import CountedVictim, distinct_images
from torch import Tensor, nn

from edgerift.errors import BudgetError, RecipeError
from edgerift.extract import (
    QUERY_POLICIES,
    Asking,
    JacobianPolicy,
    Knockoff,
    Oracle,
    RandomPolicy,
    knockoff,
)
from edgerift.images import ImageSet
from edgerift.steps import silent
from edgerift.train import TrainSettings

CLASSES = 5
QUERIES = ImageSet("queries", distinct_images(60), torch.zeros(60, dtype=torch.int64), ("unknown",), "queries")
FAST = TrainSettings(epochs=2, batch_size=16, learning_rate=0.05, device="cpu")


def weight(number: int = 0) -> Tensor:
    return torch.randn(CLASSES, 48, generator=torch.Generator().manual_seed(3 + number))


def linear(number: int = 0, factor: float = 1) -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, CLASSES, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(factor * weight(number))
    return model


def student() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.Tanh(), nn.Linear(16, CLASSES))


@dataclass
class Learned:
    """Answers another linear substitute in each round, and notes how much there was to learn from."""

    sizes: list[int] = field(default_factory=list)

    def __call__(self, images: ImageSet, answers: Tensor, epochs: int) -> nn.Module:
        assert len(images) == len(answers)
        self.sizes.append(len(images))
        return linear(len(self.sizes) - 1)


def collected(policy: JacobianPolicy, *, budget: int = 10_000, queries: ImageSet = QUERIES, seed: int = 0):
    victim, learned = CountedVictim(CLASSES), Learned()
    oracle = Oracle(victim, budget=budget)
    images, answers = policy.collect(Asking(oracle, queries, seed, 1, lambda answers, _: answers, learned, silent))
    assert torch.equal(answers, victim.posteriors(images.images))
    assert set(victim.asked.values()) == {1}
    assert oracle.spent == len(images) == len(victim.asked)
    return images.images, answers, learned


def gradient(images: Tensor, labels: Tensor, number: int = 0) -> Tensor:
    """Of log p_y: W_y - sum_k p_k W_k."""
    shown, rows = images.float().flatten(1) / 255, weight(number)
    return (rows[labels] - (shown @ rows.T).softmax(1) @ rows).reshape(images.shape)


@pytest.mark.parametrize(("towards", "sign"), [("label", 1), ("away", -1)])
def test_a_step_is_that_of_the_formula(towards, sign):
    images, answers, learned = collected(JacobianPolicy(seeds=20, rounds=2, step=26, towards=towards))
    seeds, made = images[:20], images[20:]
    expected = seeds.float() + sign * 26 * gradient(seeds, answers[:20].argmax(1)).sign()
    assert torch.equal(made, expected.clamp(0, 255).to(torch.uint8))
    assert learned.sizes == [20]


@pytest.mark.parametrize(("factor", "low", "high"), [(5, 20, 30), (1000, 104, torch.inf)])
def test_a_substitute_that_is_sure_still_has_a_direction(factor, low, high):
    """The answer leads the log-sum of the others by so much that 1 - p is 0 in float32, then p of the others too."""
    rows = linear(factor=factor)[1].weight.detach().double()
    scores = QUERIES.images.double().flatten(1) / 255 @ rows.T
    labels = scores.argmax(1)
    others = scores.scatter(1, labels[:, None], -torch.inf)
    gaps = scores.amax(1) - others.logsumexp(1)
    sure = (low < gaps) & (gaps < high)
    assert sure.sum() >= 3
    queries, victim = QUERIES.select(sure.nonzero()[:, 0]), CountedVictim(CLASSES)
    victim.weight = rows.T * 2048 / 255
    oracle = Oracle(victim, budget=1000)
    asking = Asking(oracle, queries, 0, 1, lambda answers, _: answers, lambda *_: linear(factor=factor), silent)
    images, answers = JacobianPolicy(seeds=len(queries), rounds=2, step=26).collect(asking)
    assert oracle.spent == 2 * len(queries)
    order = [(queries.images == one).flatten(1).all(1).nonzero().item() for one in images.images[: len(queries)]]
    assert torch.equal(answers[: len(queries)].argmax(1), labels[sure][order])
    slopes = (rows[labels] - others.softmax(1) @ rows)[sure][order].reshape(-1, 3, 4, 4)
    expected = (queries.images[order].double() + 26 * slopes.sign()).clamp(0, 255)
    assert torch.equal(images.images[len(queries) :], expected.to(torch.uint8))


def test_another_class_is_approached():
    images, answers, _ = collected(JacobianPolicy(seeds=20, rounds=2, step=9, towards="random-class"))
    seeds, made = images[:20], images[20:].float()
    reached = torch.stack(
        [
            (made == (seeds.float() + 9 * gradient(seeds, torch.full((20,), label)).sign()).clamp(0, 255))
            .flatten(1)
            .all(1)
            for label in range(CLASSES)
        ],
        1,
    )
    assert (reached.sum(1) == 1).all()
    assert (reached.int().argmax(1) != answers[:20].argmax(1)).all()
    assert len(reached.int().argmax(1).unique()) > 1


def test_the_sign_turns_after_so_many_rounds():
    images, answers, _ = collected(JacobianPolicy(seeds=4, rounds=4, step=1, flip_every=2))
    for number, sign in enumerate((1, 1, -1)):
        known = images[: 4 * 2**number]
        expected = known.float() + sign * gradient(known, answers[: len(known)].argmax(1), number).sign()
        assert torch.equal(images[len(known) : 2 * len(known)], expected.clamp(0, 255).to(torch.uint8))


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_the_ledger_has_the_formulas_queries(rounds):
    policy = JacobianPolicy(seeds=7, rounds=rounds, step=1, flip_every=None)
    images, _, learned = collected(policy)
    assert len(images) == 7 * 2 ** (rounds - 1) == policy.most(10_000)
    assert learned.sizes == [7 * 2**number for number in range(rounds - 1)]


def test_the_last_round_is_cut_to_the_budget_at_random():
    images, _, _ = collected(JacobianPolicy(seeds=10, rounds=3, step=1), budget=33)
    whole, _, _ = collected(JacobianPolicy(seeds=10, rounds=3, step=1))
    assert torch.equal(images[:20], whole[:20])
    kept = [bool((whole[20:] == image).flatten(1).all(1).any()) for image in images[20:]]
    assert len(kept) == 13
    assert all(kept)
    assert not torch.equal(images[20:], whole[20:33])
    assert JacobianPolicy(seeds=10, rounds=3).most(33) == 33


def test_an_image_that_cannot_move_is_not_queried_again():
    """Of two classes the gradient is that of their difference, and points out of the range at its corner."""
    rows = torch.randint(-20, 21, (2, 48), generator=torch.Generator().manual_seed(1)).double()
    rows[0, rows[0] == rows[1]] += 1
    corner = ((rows[0] > rows[1]).to(torch.uint8) * 255).reshape(1, 3, 4, 4)
    victim, substitute = CountedVictim(2), nn.Sequential(nn.Flatten(), nn.Linear(48, 2, bias=False))
    victim.weight = rows.T
    with torch.no_grad():
        substitute[1].weight.copy_(rows / 100)
    queries = ImageSet("corner", corner, torch.zeros(1, dtype=torch.int64), ("unknown",), "corner", in_colour=True)
    oracle = Oracle(victim, budget=100)
    asking = Asking(oracle, queries, 0, 1, lambda answers, _: answers, lambda *_: substitute, silent)
    images, answers = JacobianPolicy(seeds=5, rounds=4).collect(asking)
    assert answers.argmax(1).tolist() == [0]
    assert torch.equal(images.images, corner)
    assert oracle.spent == 1
    images, _ = JacobianPolicy(seeds=5, rounds=2, towards="away").collect(asking)
    assert len(images) == 2


def test_a_killed_thief_goes_on_to_the_same_clone_and_pays_for_nothing_twice(tmp_path: Path):
    policy = JacobianPolicy(seeds=8, rounds=3, step=5, epochs=3)

    class Dying(CountedVictim):
        def __call__(self, images: Tensor) -> Tensor:
            if len(self.asked) >= 16:
                raise KeyboardInterrupt
            return super().__call__(images)

    def stolen(victim: CountedVictim, ledger: Path | None):
        with Oracle(victim, budget=20, ledger=ledger) as oracle:
            clone = knockoff(oracle, QUERIES, student(), training=FAST, policy=policy, seed=4)
            return clone, oracle.spent

    with pytest.raises(KeyboardInterrupt):
        stolen(Dying(CLASSES), tmp_path / "ledger")
    rest, whole = CountedVictim(CLASSES), CountedVictim(CLASSES)
    clone, spent = stolen(rest, tmp_path / "ledger")
    expected, _ = stolen(whole, None)
    assert spent == 20
    assert len(rest.asked) == 4
    assert torch.equal(clone.questions.images, expected.questions.images)
    assert all(
        torch.equal(one, other)
        for one, other in zip(clone.model.state_dict().values(), expected.model.state_dict().values(), strict=True)
    )


def test_the_substitute_is_trained_from_the_start_on_what_is_known():
    """The first round by hand: the gradient is that of the student after one epoch on the seeds."""
    policy = JacobianPolicy(seeds=16, rounds=2, step=3, epochs=1)
    victim = CountedVictim(CLASSES)
    clone = knockoff(Oracle(victim, budget=100), QUERIES, linear(), training=FAST, policy=policy, labels="hard")
    seeds, made = clone.questions.select(range(16)), clone.questions.images[16:].float()
    again = knockoff(
        Oracle(victim, budget=100),
        seeds,
        linear(),
        training=FAST.replace(epochs=1),
        labels="hard",
        policy=RandomPolicy(),
    )
    # The order of the images in an epoch is another one, so the weights agree but for its noise.
    shown = (seeds.images.float() / 255).requires_grad_(True)
    labels = victim.posteriors(seeds.images).argmax(1)
    (slope,) = torch.autograd.grad(again.model(shown).log_softmax(1).gather(1, labels[:, None]).sum(), shown)
    expected = (seeds.images.float() + 3 * slope.sign()).clamp(0, 255)
    assert (made == expected).float().mean() > 0.95
    assert len(clone.questions) == 32


@pytest.mark.parametrize(("step", "told"), [(0, "step is 0"), (0.1, "step is 0.1"), (256, "step is 256")])
def test_a_step_that_makes_no_new_image_is_refused(step, told):
    """The papers' lambda of 0 asks about every image twice, and one of 0.1 is 26 whole grey levels."""
    with pytest.raises(RecipeError, match=told):
        JacobianPolicy(step=step)


def test_a_description_has_a_policy_only_where_it_is_no_random_one():
    assert QUERY_POLICIES.names() == ("jacobian", "random")
    assert "policy" not in Knockoff().model_dump()
    described = Knockoff(policy=JacobianPolicy(seeds=5))
    assert Knockoff.model_validate_json(described.model_dump_json()) == described
    with pytest.raises(RecipeError, match="views is 2; the query policy 'jacobian' makes its own, leave it at 1"):
        described.replace(views=2)


def test_nothing_left_to_pay_with_is_told():
    oracle = Oracle(CountedVictim(CLASSES), budget=5)
    oracle.ask(distinct_images(5, seed=9))
    with pytest.raises(BudgetError, match="no image can be queried with a budget of 5"):
        knockoff(oracle, QUERIES, linear(), training=FAST, policy=JacobianPolicy())
