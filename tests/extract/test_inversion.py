"""Inversion: on posteriors drawn in another way than those it was learned from."""

import pytest
import torch
from torch import Tensor

from edgerift.defend import Deception, Defence, LabelOnly, ReverseSigmoid, Temperature, TopK, defended
from edgerift.errors import InputError
from edgerift.extract import learn_inversion
from edgerift.extract._inversion import _drawn


def drawn(classes: int, count: int = 2000, seed: int = 0) -> Tensor:
    """Dirichlet rows of several concentrations, and rows of a victim that is almost sure."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        flat = [torch.distributions.Dirichlet(torch.full((classes,), a)).sample((count,)) for a in (0.1, 0.5, 1.0)]
    generator = torch.Generator().manual_seed(seed)
    sure = torch.randn(count, classes, generator=generator) + 9 * torch.eye(classes)[torch.arange(count) % classes]
    return torch.cat([*flat, sure.softmax(1)])


def l1(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().sum(1).mean())


@pytest.mark.parametrize(
    ("chain", "share"),
    [
        ([ReverseSigmoid(beta=0.3)], 0.55),
        ([Deception(beta=0.9)], 0.8),
        ([ReverseSigmoid(beta=0.3, form="clamped-odds"), Temperature(value=2.0)], 0.4),
    ],
    ids=["reverse sigmoid", "deception", "chain"],
)
def test_the_clean_answers_come_back(chain: list[Defence], share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not wholly: for a gamma below 1 a very small probability and a larger one have the same answer."""
    monkeypatch.setattr("edgerift.extract._inversion._STEPS", 700)
    clean = drawn(10)
    changed = defended(clean, chain)
    found = learn_inversion(chain, 10)(changed)
    assert l1(changed, clean) > 0.4
    assert l1(found, clean) < share * l1(changed, clean)
    assert (found.shape, found.dtype) == (clean.shape, torch.float32)
    assert torch.allclose(found.sum(1), torch.ones(len(found)), atol=1e-5)
    assert (found >= 0).all()
    assert not found.is_inference()
    assert not found.requires_grad


def test_two_classes_come_back_where_their_answers_have_one_origin() -> None:
    """With two classes the answer is p - r(p), which only p itself has where it is over beta / 2 on both sides."""
    first = torch.linspace(0.2, 0.8, 61)
    clean = torch.stack([first, 1 - first], 1)
    defence = ReverseSigmoid(beta=0.3)
    changed = defence(clean)
    odds = (first / (1 - first)) ** 0.2
    assert torch.allclose(changed[:, 0], first - 0.3 * (odds / (1 + odds) - 0.5), atol=1e-6)
    found = learn_inversion([defence], 2)(changed)
    assert float((found - clean).abs().max()) < 0.02
    assert float((changed - clean).abs().max()) > 0.02


def test_a_defence_that_does_nothing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgerift.extract._inversion._STEPS", 300)
    clean = drawn(10)
    found = learn_inversion([ReverseSigmoid(beta=0.0)], 10)(clean)
    assert l1(found, clean) < 0.02


@pytest.mark.parametrize("chain", [[LabelOnly()], [TopK(k=2, renormalise=False)]], ids=["label", "top-2"])
def test_what_is_lost_is_answered_by_a_mean(chain: list[Defence], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgerift.extract._inversion._STEPS", 300)
    clean = drawn(5)
    changed = defended(clean, chain)
    found = learn_inversion(chain, 5)(changed)
    assert torch.allclose(found.sum(1), torch.ones(len(found)), atol=1e-5)
    sure = clean.amax(1) > 0.6
    assert torch.equal(found.argmax(1)[sure], clean.argmax(1)[sure])
    if chain == [LabelOnly()]:
        own = torch.cat([_drawn(5, torch.Generator().manual_seed(seed)) for seed in range(20)])
        mean = own.sort(1, descending=True).values.mean(0)
        assert float((found.sort(1, descending=True).values[:, 0] - mean[0]).abs().max()) < 0.05


def test_a_seed_decides_the_map_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgerift.extract._inversion._STEPS", 50)
    asked = drawn(4, 500)
    state = torch.get_rng_state()
    first = learn_inversion([ReverseSigmoid(beta=0.9)], 4, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    with torch.no_grad():
        again = learn_inversion([ReverseSigmoid(beta=0.9)], 4, seed=3)
    other = learn_inversion([ReverseSigmoid(beta=0.9)], 4, seed=4)
    assert torch.equal(first(asked), again(asked))
    assert not torch.equal(first(asked), other(asked))
    assert torch.allclose(first(asked)[7:9], first(asked[7:9]), atol=1e-6)
    assert len(first(drawn(4, 3000))) == 12_000


@pytest.mark.parametrize(("chain", "classes"), [([], 10), ([LabelOnly()], 1)])
def test_there_has_to_be_something_to_undo(chain: list[Defence], classes: int) -> None:
    with pytest.raises(InputError, match=f"an inversion for {classes} classes and {len(chain)} defences"):
        learn_inversion(chain, classes)
