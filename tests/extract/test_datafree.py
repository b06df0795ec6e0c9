"""The loop of the data-free attacks: what it spends, what it draws, what it learns and what it leaves."""

import gc
import math
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from small_thefts import (
    ATTACKS,
    CLASSES,
    ITERATIONS,
    POSITIVES,
    SIZE,
    TINY,
    LinearVictim,
    budget,
    require_same,
    steal,
    whole,
)
from torch import Tensor, nn

from edgerift import zoo
from edgerift.errors import EdgeriftError, InputError, ModelError
from edgerift.extract import DataFree, DataFreeClone, Descent, Generator, Measured, Oracle, Rehearsal, data_free
from edgerift.extract import _datafree_run as datafree_module
from edgerift.extract._iteration import Iteration, Seen
from edgerift.images import in_channels, is_grey


def differ(first: DataFreeClone, second: DataFreeClone) -> bool:
    state = second.model.state_dict()
    return any(not torch.equal(tensor, state[name]) for name, tensor in first.model.state_dict().items())


class TestBudget:
    @pytest.mark.parametrize("name", list(ATTACKS))
    def test_each_iteration_asks_what_the_formula_says(self, name: str) -> None:
        queries, told = ATTACKS[name].queries, list[tuple[object, ...]]()
        victim = LinearVictim()
        oracle = Oracle(victim, budget=4 * queries - 1)

        def progress(*given: object) -> None:
            assert oracle.spent == oracle.streamed == victim.answered == given[1]
            told.append(given[:3])

        found = steal(name, oracle, points=3, progress=progress)
        assert told == [("steal", queries * number, 3 * queries) for number in (1, 2, 3)]
        assert [point.queries for point in found.curve] == [queries, 2 * queries, 3 * queries]

    def test_a_budget_below_one_iteration_is_an_error(self) -> None:
        victim = LinearVictim()
        with pytest.raises(InputError, match="a budget of 55; one iteration of dfme takes 56 queries"):
            steal("dfme", Oracle(victim, budget=55))
        assert victim.answered == 0
        assert steal("dfme", Oracle(victim, budget=56)).curve[-1].queries == 56

    def test_images_that_were_asked_about_before_leave_less_for_the_attack(self) -> None:
        victim = LinearVictim()
        oracle = Oracle(victim, budget=4 * 56)
        oracle.ask(POSITIVES)
        assert steal("dfme", oracle).curve[-1].queries == 3 * 56
        assert oracle.spent == victim.answered == 3 * 56 + 6

    @pytest.mark.parametrize(("total", "points"), [(1, 20), (7, 3), (20, 20), (5, 20)])
    def test_the_curve_has_points_at_equal_shares_of_the_budget(self, total: int, points: int) -> None:
        attack = DataFree(name="dfme", **TINY, clone_steps=1)
        found = data_free(
            Oracle(LinearVictim(), budget=total * attack.queries), attack, classes=CLASSES, size=SIZE, points=points
        )
        expected = sorted({total * number // points for number in range(1, points + 1)} - {0})
        assert [point.queries for point in found.curve] == [attack.queries * number for number in expected]
        assert expected[-1] == total


@pytest.mark.parametrize("grey", [True, False], ids=["grey", "colour"])
@pytest.mark.parametrize("name", list(ATTACKS))
def test_a_victim_of_grey_images_is_asked_about_nothing_else(name: str, grey: bool) -> None:
    victim, asked = LinearVictim(), list[Tensor]()

    def answer(images: Tensor) -> Tensor:
        asked.append(images)
        return victim(in_channels(images, 3))

    found = steal(name, Oracle(answer, budget=2 * ATTACKS[name].queries), grey=grey)
    assert sum(len(images) for images in asked) == 2 * ATTACKS[name].queries
    assert is_grey(torch.cat(asked)) is grey
    points = found.generator(torch.randn(2, found.generator.linear.in_features))
    assert points.shape == (2, 1 if grey else 3, SIZE, SIZE)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"points": 0}, "points=0"),
        ({"positives": POSITIVES}, "the attack uses none"),
        ({"student": "lenett"}, "did you mean 'lenet'"),
        ({"batchsize": 3}, "did you mean 'batch_size'"),
    ],
)
def test_what_does_not_fit_is_an_error_of_one_line(fields: dict[str, Any], message: str) -> None:
    victim = LinearVictim()
    with pytest.raises(EdgeriftError, match=message) as error:
        steal("dfme", Oracle(victim, budget=1000), **fields)
    assert "\n" not in str(error.value)
    assert victim.answered == 0


@pytest.mark.parametrize("positives", [None, POSITIVES.float(), POSITIVES[:4], POSITIVES[..., :8], POSITIVES[0]])
def test_positives_have_to_be_images_like_the_victims(positives: Tensor | None) -> None:
    with pytest.raises(InputError, match=r"uses 5 images of the attacker's own, uint8 \[N,3,12,12\]; got"):
        steal("maze", Oracle(LinearVictim(), budget=1000), positives=positives)


class TestRandomness:
    def test_the_seed_draws_all_and_the_global_state_nothing(self) -> None:
        torch.manual_seed(77)
        before = torch.random.get_rng_state()
        again = steal("dfme", Oracle(LinearVictim(), budget=budget("dfme", ITERATIONS)), points=2)
        assert torch.equal(torch.random.get_rng_state(), before)
        require_same(again, whole("dfme"))
        other = steal("dfme", Oracle(LinearVictim(), budget=budget("dfme", ITERATIONS)), points=2, seed=1)
        assert differ(other, again)
        assert not torch.equal(other.generator.linear.weight, again.generator.linear.weight)

    def test_dropout_is_drawn_from_the_seed_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def with_dropout(*given: object) -> list[nn.Module]:
            linear = nn.Linear(3 * SIZE * SIZE, CLASSES)
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
            return [nn.Sequential(nn.Flatten(), nn.Dropout(), linear)]

        monkeypatch.setattr(datafree_module, "make_clones", with_dropout)
        found = []
        for state in (1, 2):
            torch.manual_seed(state)
            before = torch.random.get_rng_state()
            with torch.random.fork_rng():
                found.append(steal("dfme", Oracle(LinearVictim(), budget=budget("dfme", 2))))
            assert torch.equal(torch.random.get_rng_state(), before)
        weights = [each.model.state_dict()["clones.0.2.weight"] for each in found]
        assert torch.equal(*weights)
        assert weights[0].abs().max() > 0

    def test_each_iteration_draws_for_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seeds, true = list[int](), Iteration.__call__

        def noting(iteration: Iteration, number: int, draws: torch.Generator) -> Seen:
            seeds.append(draws.initial_seed())
            return true(iteration, number, draws)

        monkeypatch.setattr(Iteration, "__call__", noting)
        for seed in (0, 1):
            steal("disguide", Oracle(LinearVictim(), budget=budget("disguide", 4)), seed=seed)
        assert len(set(seeds)) == len(seeds) == 8

    @pytest.mark.parametrize("name", ["dfme", "maze", "disguide"])
    def test_an_observer_changes_nothing(self, name: str) -> None:
        """Even one that draws, makes images, differentiates and leaves the clone in another mode."""
        seen: list[tuple[bool, bool]] = []

        def observe(clone: nn.Module, generator: Generator) -> Measured:
            seen.append((clone.training, generator.training))
            latent = torch.randn(4, 8) + torch.randn(1)
            images = (torch.tanh(generator.train()(latent)) + 1) / 2
            clone(images).sum().backward()
            with torch.inference_mode():
                clone(images)
            clone.requires_grad_(False)
            clone.train()
            torch.manual_seed(0)
            return Measured(error=0.5, disagreement=0.25, divergence=1.0)

        oracle = Oracle(LinearVictim(), budget=budget(name, ITERATIONS))
        found = steal(name, oracle, points=2, observe=observe)
        assert seen == [(False, True), (False, True)]
        assert [point.measured for point in found.curve] == [Measured(error=0.5, disagreement=0.25, divergence=1.0)] * 2
        frame = found.frame()
        assert frame.queries.tolist() == [point.queries for point in found.curve]
        assert frame.clone_loss.tolist() == [point.clone_loss for point in found.curve]
        assert frame[["error", "disagreement", "divergence"]].to_numpy().tolist() == [[0.5, 0.25, 1.0]] * 2
        assert whole(name).frame()[["error", "disagreement", "divergence"]].isna().all(axis=None)
        bare = tuple(point.replace(measured=None) for point in found.curve)
        require_same(found._replace(curve=bare), whole(name))

    def test_how_often_it_is_measured_changes_nothing(self) -> None:
        often = steal("disguide", Oracle(LinearVictim(), budget=budget("disguide", ITERATIONS)), points=ITERATIONS)
        require_same(often._replace(curve=whole("disguide").curve), whole("disguide"))
        losses = [point.clone_loss for point in often.curve]
        means = [sum(losses[start : start + 4]) / 4 for start in (0, 4)]
        assert [point.clone_loss for point in whole("disguide").curve] == pytest.approx(means, rel=1e-6)


@pytest.mark.parametrize("name", list(ATTACKS))
def test_what_an_attack_leaves(name: str, tmp_path: Path) -> None:
    found = whole(name)
    assert isinstance(found.generator, Generator)
    assert len(found.model.clones) == ATTACKS[name].clones
    for module in (found.model, found.generator):
        assert not any(each.training for each in module.modules())
        for parameter in module.parameters():
            assert not parameter.requires_grad
            assert parameter.grad is None
            assert parameter.is_contiguous()
            assert parameter.isfinite().all()
    for point in found.curve:
        assert math.isfinite(point.clone_loss)
        assert point.clone_loss > 0
        assert point.measured is None
        assert (point.zero_share is None) == (ATTACKS[name].differences is None)
        assert point.zero_share is None or 0 <= point.zero_share <= 1
    clone = found.model.clones[0]
    assert isinstance(clone, zoo.Classifier)
    zoo.save(clone, tmp_path / "clone.safetensors")
    images = torch.rand(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(zoo.load(tmp_path / "clone.safetensors").eval()(images), clone(images))
    assert found.model(images).shape == (5, CLASSES)


class Guarded(nn.Module):
    """A network that is never to be differentiated."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3 * SIZE * SIZE, CLASSES, generator=torch.Generator().manual_seed(4)))
        self.calls = torch.zeros(())

    def forward(self, images: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        assert not images.requires_grad
        assert not self.weight.requires_grad
        assert images.dtype == torch.float32
        return (images.flatten(1) - 0.5) @ self.weight


@pytest.mark.parametrize("pixels", ["whole", "float"])
@pytest.mark.parametrize("name", list(ATTACKS))
def test_no_attack_sees_a_gradient_of_the_victim(name: str, pixels: str) -> None:
    victim = Guarded()
    oracle = Oracle(victim, budget=budget(name, 1), pixels=pixels)  # type: ignore[arg-type]
    with torch.enable_grad():
        steal(name, oracle)
    assert victim.weight.grad is None
    assert victim.weight.requires_grad


@pytest.mark.parametrize("name", ["dfme", "disguide"])
def test_nor_one_of_a_function_with_gradients(name: str) -> None:
    weight = LinearVictim().weight.clone().requires_grad_()

    def victim(images: Tensor) -> Tensor:
        return (images.flatten(1).double() / 255 - 0.5) @ weight

    steal(name, Oracle(victim, budget=budget(name, 2)))
    assert weight.grad is None


def test_floats_go_to_the_victim_as_they_are() -> None:
    found = [steal("dfme", Oracle(Guarded(), budget=budget("dfme", 3), pixels=kind)) for kind in ("whole", "float")]  # type: ignore[arg-type]
    assert differ(*found)
    # A step of a thousandth does not leave its grey levels everywhere, and always moves a float.
    shares = [each.curve[-1].zero_share for each in found]
    assert shares[0] is not None
    assert shares[1] == 0
    assert shares[0] > 0


@pytest.mark.parametrize("name", ["dfme", "maze", "disguide"])
def test_an_attack_runs_in_half_precision(name: str) -> None:
    found = steal(name, Oracle(LinearVictim(), budget=budget(name, 3)), precision="bfloat16")
    assert {tensor.dtype for tensor in found.model.state_dict().values()} == {torch.float32}
    assert math.isfinite(found.curve[-1].clone_loss)
    exact = steal(name, Oracle(LinearVictim(), budget=budget(name, 3)))
    assert differ(found, exact)
    assert found.curve[0].clone_loss == pytest.approx(exact.curve[0].clone_loss, rel=0.2)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["dfme", "disguide"])
def test_a_compiled_attack_learns_the_same(name: str) -> None:
    found = steal(name, Oracle(LinearVictim(), budget=budget(name, 3)), compile=True)
    exact = steal(name, Oracle(LinearVictim(), budget=budget(name, 3)))
    assert [point.queries for point in found.curve] == [point.queries for point in exact.curve]
    assert found.curve[-1].clone_loss == pytest.approx(exact.curve[-1].clone_loss, rel=0.05)
    assert found.model.state_dict().keys() == exact.model.state_dict().keys()


def test_memory_stays_flat() -> None:
    """Tensors that are alive, and the oracle's lists, where the curve has a point, from then on."""
    tiny = {**TINY, "width": 2, "batch_size": 2}
    attack = DataFree(name="dfme", **tiny, clone_steps=1, rehearsal=Rehearsal(steps=1, capacity=50))
    oracle = Oracle(LinearVictim(), budget=200 * attack.queries)
    alive: dict[int, int] = {}

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        number = done // attack.queries
        if number in (40, 200):
            alive[number] = sum(issubclass(type(each), Tensor) for each in gc.get_objects())
            assert oracle._stream._batches == []

    data_free(oracle, attack, classes=CLASSES, size=SIZE, points=20, progress=progress)
    assert oracle.spent == 200 * attack.queries
    assert alive[40] == alive[200]


@pytest.mark.parametrize("name", ["dfme", "disguide", "disguide-hard"])
def test_the_clone_learns(name: str) -> None:
    """On images of the generator it gets better with the queries, at a learning rate that suits a small network."""
    attack = ATTACKS[name]
    clone = attack.clone.replace(learning_rate=0.03)
    iterations = 50
    # In evaluation mode the images themselves get harder at first, as the running statistics set in.
    fields: dict[str, Any] = {"clone": clone, "generator_mode": "train"}
    found = steal(name, Oracle(LinearVictim(), budget=budget(name, iterations)), points=10, **fields)
    losses = [point.clone_loss for point in found.curve]
    assert sum(losses[-3:]) < 0.85 * sum(losses[:3])


def test_a_victim_of_other_classes_is_an_error() -> None:
    with pytest.raises(ModelError, match="answers with 3 classes; the attack was given 4"):
        steal("dfme", Oracle(LinearVictim(), budget=1000), classes=CLASSES + 1)


def test_a_loss_that_is_not_finite_is_an_error_and_no_clone() -> None:
    with pytest.raises(ModelError, match=r"the clones' loss is not finite after \d+ queries"):
        steal("dfme", Oracle(LinearVictim(), budget=budget("dfme", 3)), clone=Descent(learning_rate=1e30))


@pytest.mark.parametrize("name", ["dfme", "disguide"])
@pytest.mark.parametrize("pixels", ["float", "whole"])
def test_images_that_are_not_finite_are_not_the_victims_fault(name: str, pixels: Literal["float", "whole"]) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, CLASSES))
    oracle = Oracle(module, budget=budget(name, 9), pixels=pixels)
    with pytest.raises(ModelError, match="the generated images are not finite; use a lower learning rate"):
        steal(name, oracle, generator=Descent(learning_rate=1e38))
    assert oracle.spent < budget(name, 9)
